from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from thalweg.errors import RaceError
from thalweg.lab.statistics import band, interval, paired_difference

inf = math.inf
losses = st.lists(st.floats(-100, 100), min_size=2, max_size=8)


def test_the_interval_of_many_normal_values_is_the_textbooks() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 2_000)
    found = interval(values)
    margin = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
    assert (found.low, found.high) == pytest.approx((values.mean() - margin, values.mean() + margin), abs=0.06 * margin)


def test_of_a_skewed_sample_the_interval_reaches_further_to_the_long_side() -> None:
    found = interval(np.random.default_rng(1).lognormal(size=30))
    assert found.high - found.value > 1.2 * (found.value - found.low)


def test_nineteen_of_twenty_intervals_hold_the_true_mean() -> None:
    generator = np.random.default_rng(2)
    hits = sum(interval(generator.exponential(size=40)).contains(1.0) for _ in range(150))
    assert 0.88 <= hits / 150 <= 0.99


def test_with_a_diverged_run_the_interval_is_that_of_all_resamples_counted_out() -> None:
    values = [1.0, 2.0, 4.0, 8.0, inf]
    everything = np.sort([np.median(picked) for picked in itertools.product(values, repeat=5)])
    low, high = (everything[math.ceil(level * len(everything)) - 1] for level in (0.025, 0.975))
    found = interval(values, statistic="median")
    assert (found.value, found.low, found.high) == (4.0, low, high) == (4.0, 1.0, inf)


def test_the_mean_with_a_diverged_run_is_infinite_and_says_so() -> None:
    found = interval([1.0, 1.0, 1.0, inf])
    assert (found.value, found.low, found.high) == (inf, 1.0, inf)


@pytest.mark.parametrize("values", [[2.0], [2.0, 2.0, 2.0], [inf, inf]])
def test_equal_values_have_an_interval_of_no_width(values: list[float]) -> None:
    found = interval(values)
    assert found.low == found.value == found.high == values[0]


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_the_same_values_give_the_same_interval(statistic: str) -> None:
    values = [0.3, 0.1, 0.4, 0.1, 0.5]
    assert interval(values, statistic=statistic) == interval(values, statistic=statistic)


@given(losses, st.sampled_from(["mean", "median"]))
def test_an_interval_lies_within_the_values(values: list[float], statistic: str) -> None:
    found = interval(values, statistic=statistic)
    slack = 1e-9 * max(map(abs, values))
    assert min(values) - slack <= found.low <= found.high <= max(values) + slack


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [[1.0]]])
def test_what_has_no_interval_is_refused(values: list[object]) -> None:
    with pytest.raises(RaceError, match="at least one number and no NaN"):
        interval(values)


def test_a_band_is_the_interval_at_every_point() -> None:
    curves = [[3.0, 1.0], [3.0, 2.0], [3.0, 4.0]]
    found = band(curves, statistic="median")
    points = [interval([3.0, 3.0, 3.0], statistic="median"), interval([1.0, 2.0, 4.0], statistic="median")]
    assert found.value.tolist() == [point.value for point in points]
    assert found.low.tolist() == [point.low for point in points]
    assert found.high.tolist() == [point.high for point in points]


pairs = st.lists(st.tuples(st.floats(-100, 100), st.floats(-9, 9)), min_size=2, max_size=8)


@given(pairs)
def test_a_paired_difference_is_the_one_of_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = np.array(pairs).T
    differences = ours - theirs
    if np.ptp(differences) <= 1e-6:
        return
    found = paired_difference(ours, theirs, level=0.9)
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0], (0.0, 0.0, 0.0)),
        ([inf, inf], [inf, inf], (0.0, 0.0, 0.0)),
        ([2.0, 3.0], [1.0, 2.0], (1.0, 1.0, 1.0)),
        ([inf, 2.0], [1.0, 2.0], (inf, inf, inf)),
        ([inf, 2.0], [1.0, inf], (0.0, -inf, inf)),
        ([2.0], [1.0], (1.0, -inf, inf)),
        ([1.0], [1.0], (0.0, 0.0, 0.0)),
    ],
)
def test_paired_differences_at_the_edges(
    ours: list[float], theirs: list[float], expected: tuple[float, float, float]
) -> None:
    found = paired_difference(ours, theirs)
    assert (found.value, found.low, found.high) == expected


def test_a_comparison_on_different_seeds_is_refused() -> None:
    with pytest.raises(RaceError, match="same seeds on both sides, not 2 and 1"):
        paired_difference([1.0, 2.0], [1.0])
