"""The parts of the page that have no picture of their own to be tested by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.lab.records import ProblemRecord, RaceRecord
from thalweg.report.axes import value_axis
from thalweg.report.conditions import facts_in, when_of
from thalweg.report.figure import script_json
from thalweg.report.formula import mathml
from thalweg.report.frames import FRAMES, POINTS, frame_steps, kept_points
from thalweg.report.landscape import landscape_of, start_of, window_of
from thalweg.report.numbers import duration, number, plain_list
from thalweg.report.sections import anchor_of


def surface(**spec: object) -> ProblemRecord:
    return ProblemRecord(name="saddle", kind="surface", title="Saddle", spec={"surface": "saddle", **spec})


@given(last=st.integers(0, 100_000))
def test_frames_go_from_the_start_to_the_end_and_are_densest_at_first(last: int) -> None:
    steps = frame_steps(last)
    gaps = np.diff(steps)
    assert (steps[0], steps[-1]) == (0, last)
    assert len(steps) <= FRAMES
    assert (gaps > 0).all()
    if last > 10 * FRAMES:
        assert gaps[:20].max() < gaps[-20:].min()


@given(count=st.integers(1, 200_000))
def test_a_long_path_keeps_its_ends_and_all_of_its_beginning(count: int) -> None:
    kept = kept_points(count)
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert len(kept) <= POINTS
    assert (np.diff(kept) > 0).all()
    assert (kept[: POINTS // 3] == np.arange(min(count, POINTS // 3))).all()


@given(st.floats(-1e300, 1e300))
def test_a_printed_number_is_within_its_digits_of_the_number(value: float) -> None:
    text = number(value)
    digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")
    mantissa, _, exponent = text.replace(",", "").partition("×10")
    printed = float(f"{mantissa.translate(digits)}e{exponent.translate(digits) or 0}")
    assert math.isclose(printed, value, rel_tol=6e-4)


def test_what_is_no_number_is_printed_as_such() -> None:
    assert [number(x) for x in (math.inf, -math.inf, math.nan, None)] == ["∞", "−∞", "–", "–"]
    assert duration(math.inf) == "∞"


def test_a_picture_has_gaps_where_there_is_no_value() -> None:
    assert plain_list([1.23456789, math.nan, math.inf]) == [1.23457, None, None]


def test_json_in_a_script_cannot_hold_what_is_no_json() -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        _ = script_json({"value": math.nan})


@pytest.mark.parametrize(
    ("values", "is_log"), [([1e-3, 1, 1e3], True), ([0.9, 1.1], False), ([-1.0, 100.0], False), ([0.0, 5.0], False)]
)
def test_an_axis_is_logarithmic_where_all_is_positive_and_far_apart(values: list[float], *, is_log: bool) -> None:
    low, high, axis = value_axis([*values, math.inf])
    assert (axis.get("type") == "log") is is_log
    assert low < min(values)
    assert max(values) < high


def test_values_that_are_all_equal_or_all_lost_still_have_an_axis() -> None:
    low, high, _ = value_axis([2.0, 2.0])
    assert low < 2 < high
    assert value_axis([math.inf, math.nan])[0] < value_axis([math.inf])[1]


def test_heights_are_measured_from_the_lowest_minimum_that_is_known() -> None:
    minima = [{"x": [0.0, 1.0], "value": -0.25, "is_global": True}]
    seen = landscape_of(surface(minima=minima), ((-2, 2), (-1.75, 1.75)))
    assert seen is not None
    row, column = np.unravel_index(np.argmin(seen.height), seen.height.shape)
    assert abs(seen.x[column]) < 0.03
    assert abs(abs(seen.y[row]) - 1) < 0.03
    assert [squeezed for _, squeezed in seen.ticks] == sorted(squeezed for _, squeezed in seen.ticks)


def test_a_start_outside_the_window_widens_it() -> None:
    inside = surface(window=[[-2, 2], [-1, 1]], start=[1.0, 0.5])
    outside = surface(window=[[-2, 2], [-1, 1]], start=[5.0, 0.5])
    assert window_of(inside) == ((-2, 2), (-1, 1))
    assert window_of(outside) == ((-2, 5.2), (-1, 1))


def test_a_surface_without_window_or_start_says_so() -> None:
    assert window_of(surface()) is None
    assert start_of(surface()) is None


def test_two_problems_never_share_an_anchor() -> None:
    names = ["beale (2, -2)", "beale (-2, 2)", "beale (2, 2)", "beale", "mnist_mlp", "mnist.mlp"]
    assert len({anchor_of(name) for name in names}) == len(names)


def test_facts_are_told_in_words_and_nothing_is_left_to_guess() -> None:
    told = facts_in({"n_train": 5000, "dirty": True, "commit": None, "rates": {"adam": [0.1, 1.0]}, "remark": ""})
    assert [(fact.name, fact.text) for fact in told] == [
        ("training examples", "5,000"),
        ("dirty", "yes"),
        ("rates: adam", "0.1, 1"),
    ]


def test_a_formula_becomes_mathml() -> None:
    drawn = mathml(r"\tfrac{1}{2} (x^2 + y^2)")
    assert drawn.startswith("<math")
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in drawn


def test_a_time_with_another_zone_is_told_in_utc() -> None:
    race = RaceRecord(
        id=1,
        key="",
        created="2026-03-14T17:09:26+02:00",
        finished="2026-03-14T15:10:26+00:00",
        schema_version=1,
        command="",
        settings={},
        machine={},
        versions={},
        source=None,
    )
    assert when_of(race) == "14 March 2026, 15:09 UTC, finished in 1 min 00 s"
