"""`thalweg explain` of a schedule: its parts, its values at marked steps, its plot, and whether it settles."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import thalweg as tw
from thalweg import schedules
from thalweg.cli.app import app
from thalweg.cli.catalogue import Shelf, contents
from thalweg.cli.schedule_page import marked_steps, natural_length, plot

DOTS = {chr(0x2800 + pattern) for pattern in range(1, 256)}
"""Braille characters with something drawn in them."""


def explained(*arguments: str, width: int = 80) -> str:
    answer = CliRunner().invoke(app, ["explain", *arguments], env={"COLUMNS": str(width)})
    assert answer.exit_code == 0, answer.output + str(answer.exception)
    return answer.stdout


def table(printed: str) -> dict[int, float]:
    """The values at marked steps, read off what is printed."""
    rows = [line.split() for line in printed.split("value  ", 1)[-1].splitlines()]
    return {int(row[0]): float(row[1]) for row in rows if len(row) > 1 and row[0].isdigit() and "–" not in row}


def heights(drawing: str) -> list[float | None]:
    """The height of the line in each column of a plot: the label of the topmost row with a dot in it."""
    rows = [row.partition(" | ") for row in drawing.splitlines() if " | " in row]
    rows = [
        (float(label), dots) for label, _, dots in rows if label.strip().replace(".", "").replace("e-", "").isdigit()
    ]
    columns = max(len(dots) for _, dots in rows)
    found: list[float | None] = [None] * columns
    for label, dots in reversed(rows):
        for column, character in enumerate(dots):
            if character in DOTS:
                found[column] = label
    return found


@pytest.mark.parametrize(
    ("typed", "schedule"),
    [
        ("cosine(0.1, steps=1000)", tw.cosine(0.1, steps=1000)),
        ("warmup(500) >> cosine(3e-4, steps=10_000)", tw.warmup(500) >> tw.cosine(3e-4, steps=10_000)),
        ("0.5 * inverse(0.1)", 0.5 * tw.inverse(0.1)),
        ("step(multi_step(0.1, at=(30, 60)))", tw.multi_step(0.1, at=(30, 60))),
        ("step(0.25)", tw.constant(0.25)),
        ("cosine(1.0, steps=50) * inverse(0.1)", tw.cosine(1.0, steps=50) * tw.inverse(0.1)),
    ],
)
def test_the_values_printed_are_the_schedules(typed: str, schedule: schedules.Schedule) -> None:
    printed = explained(typed)
    assert repr(schedule) in printed
    values = table(printed)
    assert len(values) >= 4
    for k, value in values.items():
        assert value == pytest.approx(schedule(k), rel=1e-5)


def test_the_parts_are_told_with_the_steps_that_they_take() -> None:
    lines = explained("warmup(500) >> cosine(3e-4, steps=10_000)", width=200).splitlines()
    (first,) = [line for line in lines if "Rise linearly" in line]
    (second,) = [line for line in lines if "half a cosine" in line]
    assert first.split()[:4] == ["0", "–", "499", "warmup"]
    assert second.split()[:4] == ["500", "–", "10499", "cosine"]


def test_an_endless_part_has_no_last_step() -> None:
    (line,) = [line for line in explained("inverse(0.1)").splitlines() if "As a power of 1/k" in line]
    assert line.split()[:3] == ["0", "–", "inverse"]


def test_marked_steps_are_the_first_the_joints_the_greatest_the_last_and_the_end() -> None:
    marks = marked_steps(tw.warmup(100) >> tw.linear(1.0, 0.0, steps=300), 400)
    assert list(marks) == [0, 99, 100, 200, 300, 399, 400]
    assert marks[99] == "the greatest value"
    assert marks[100] == "the next part begins"
    assert marks[399] == "the last of these steps"
    assert marks[400] == "from here on"
    assert "the greatest value" not in marked_steps(tw.constant(0.1), 100).values()
    assert 400 not in marked_steps(tw.linear(1.0, 0.0, steps=400), 200)
    assert marked_steps(tw.one_cycle(1.0, steps=10), 10)[3] == "the greatest value"


@pytest.mark.parametrize(
    "schedule",
    [
        tw.linear(1.0, 0.0, steps=120),
        tw.cosine(0.3, steps=977, floor=0.1),
        tw.warmup(40) >> tw.constant(0.05, steps=60),
        tw.step_decay(2.0, every=30, factor=0.5),
    ],
    ids=repr,
)
@pytest.mark.parametrize("width", [50, 80, 200])
def test_the_plot_rises_and_falls_with_the_schedule(schedule: schedules.Schedule, width: int) -> None:
    last = 120
    drawing = plot(schedule, last, width=width)
    assert all(len(line) <= width for line in drawing.splitlines())
    found = heights(drawing)
    row = max(schedule(k) for k in range(last + 1)) / 12
    for column, height in enumerate(found):
        if height is not None:
            lowest = min(schedule(k) for k in near(column, len(found), last))
            highest = max(schedule(k) for k in near(column, len(found), last))
            assert lowest - 2 * row <= height <= highest + row
    assert sum(height is not None for height in found) > 0.9 * len(found)


def near(column: int, columns: int, last: int) -> range:
    """The steps that a column stands for, and those of its neighbours."""
    return range(max((column - 1) * last // columns, 0), min((column + 2) * last // columns + 2, last + 1))


def test_the_plot_of_nothing_but_zeros_is_drawn_too() -> None:
    assert " 1 |" in plot(tw.constant(0.0), 10, width=80)


def test_steps_decide_how_far_the_plot_goes() -> None:
    assert table(explained("cosine(0.1, steps=1000)", "--steps", "2000"))[1000] == pytest.approx(0.0)
    assert max(table(explained("inverse(0.1)", "--steps", "20"))) == 19
    answer = CliRunner().invoke(app, ["explain", "cosine(0.1, steps=1000)", "--steps", "1"])
    assert answer.exit_code == 2


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        (tw.cosine(0.1, steps=7), 7),
        (tw.exponential(0.1, factor=0.5), 7),
        (tw.exponential(0.1, factor=2.0), 7),
        (tw.exponential(0.1, factor=1.0), 100),
        (tw.step_decay(0.1, every=30), 120),
        (tw.multi_step(0.1, at=(30, 60)), 81),
        (tw.multi_step(0.1, at=()), 100),
        (tw.sgdr(0.1, first=10), 70),
        (tw.inverse(0.1, timescale=4), 200),
        (tw.warmup(10) >> tw.inverse(0.1), 60),
        (0.5 * tw.sgdr(0.1, first=10), 70),
        (tw.cosine(0.1, steps=20) * tw.inverse(0.1), 50),
        (tw.constant(0.1), 100),
        (tw.constant(0.1, steps=1), 2),
    ],
    ids=repr,
)
def test_an_endless_schedule_is_shown_for_as_long_as_it_does_something(
    schedule: schedules.Schedule, steps: int
) -> None:
    assert natural_length(schedule) == steps


@pytest.mark.parametrize(
    ("typed", "verdict"),
    [
        ("inverse(0.1)", "yes: Σα = ∞ and Σα² < ∞"),
        ("constant(0.1)", "no: as it goes on for ever"),
        ("warmup(500) >> cosine(3e-4, steps=10_000)", "no: "),
        ("sgdr(0.1, first=10) * sgdr(0.1, first=20)", "cannot say: "),
    ],
)
def test_the_condition_of_robbins_and_monro_is_told(typed: str, verdict: str) -> None:
    (line,) = [line for line in explained(typed, width=200).splitlines() if line.startswith("Robbins-Monro")]
    assert line.split(maxsplit=1)[1].startswith(verdict)


@pytest.mark.parametrize("name", contents(Shelf.schedules))
def test_a_kind_of_schedule_is_explained_by_its_docstring_and_how_it_is_called(name: str) -> None:
    printed = explained(name, width=200)
    doc = getattr(schedules, name).__doc__.strip()
    assert doc.split("\n", maxsplit=1)[0] in printed
    assert f"{name}(" in printed


def test_nothing_is_coloured_where_a_program_reads() -> None:
    assert "\x1b" not in explained("cosine(0.1, steps=1000)")
    assert "\x1b" not in explained("adam")
