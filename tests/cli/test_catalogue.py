"""`thalweg list` names everything there is, one line each."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from thalweg import descent, matrix, rules, schedules, surfaces
from thalweg.cli.app import app
from thalweg.cli.catalogue import Shelf, contents, everything

run = CliRunner().invoke


def test_list_names_every_rule_stage_schedule_surface_and_problem() -> None:
    lines = run(app, ["list"]).stdout.splitlines()
    named = [line.split()[0] for line in lines if line]
    kinds = {name for name in schedules.__all__ if isinstance(getattr(schedules, name), type)} - {"Schedule"}
    expected = {*rules.catalogue(), *matrix.catalogue(), *kinds, *surfaces.catalogue()}
    expected |= {*descent.methods(), "armijo", "gradient_norm", "normalised_steepest"}
    expected |= {*descent.trainers(), "by_minibatch", "clip_value", "decay", "step", "chain", "route"}
    assert expected | {"mnist_softmax", "mnist_mlp", "quadratic_deep"} <= set(named)


def test_list_groups_them_under_titles() -> None:
    lines = run(app, ["list"]).stdout.splitlines()
    begins = ["Update rules", "Methods that see", "Stages", "Schedules"]
    begins += ["Optimizers", "Descents", "Parts of a descent", "Trainers", "Test surfaces", "Training problems"]
    titles = [line for before, line in zip(["", *lines], lines, strict=False) if not before and line]
    assert [title.startswith(begin) for title, begin in zip(titles, begins, strict=True)] == [True] * 10
    place = {begin: lines.index(title) for begin, title in zip(begins, titles, strict=True)}
    decay = next(i for i, line in enumerate(lines) if line.startswith("decay "))
    cosine = next(i for i, line in enumerate(lines) if line.startswith("cosine "))
    assert place["Stages"] < decay < place["Schedules"] < cosine < place["Test surfaces"]


@pytest.mark.parametrize("width", ["80", "200"])
def test_everything_has_one_line_and_where_a_program_reads_it_is_whole(width: str) -> None:
    lines = run(app, ["list"], env={"COLUMNS": width}).stdout.splitlines()
    for name, entry in everything().items():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert line.endswith(entry.line)


def test_on_a_terminal_a_line_ends_at_its_edge() -> None:
    printed = run(app, ["list"], env={"COLUMNS": "60", "FORCE_COLOR": "1"}).stdout
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines() if line]
    assert len(lines) == len(everything()) + len(Shelf)
    cut = [line for line in lines if line.endswith("…")]
    assert cut
    assert max(map(len, cut)) == 60


def test_list_of_one_shelf_leaves_the_others_out() -> None:
    answer = run(app, ["list", "surfaces"])
    assert "beale" in answer.stdout
    assert "adamw" not in answer.stdout
    assert "decay" in run(app, ["list", "stages"]).stdout


@pytest.mark.parametrize("shelf", list(Shelf))
def test_every_line_says_something(shelf: Shelf) -> None:
    assert all(len(entry.line) >= 4 for entry in contents(shelf).values())


def test_no_name_stands_for_two_things() -> None:
    assert len(everything()) == sum(len(contents(shelf)) for shelf in Shelf)
