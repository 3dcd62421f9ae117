"""A made-up landscape stands in for the runs: what is run must depend on the records alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.lab import contenders
from thalweg.lab.contest import Contest, Task, choice_of, tasks_left
from thalweg.lab.entries import SurfaceReference, TrainingReference
from thalweg.lab.grid import Grid
from thalweg.lab.records import RunRecord
from thalweg.lab.tuning import Extension

if TYPE_CHECKING:
    from collections.abc import Sequence

BLANK = RunRecord(
    problem="",
    optimizer="adam",
    chain="",
    tuned={},
    role="tuning",
    trial=0,
    seed=0,
    data_order=None,
    budget=1,
    outcome="finished",
    message="",
    started="",
    seconds=0.0,
    final={},
    curve={"step": np.zeros(1)},
)

DIGITS = Contest(
    problem=TrainingReference("digits"),
    contender=contenders.get("adam"),
    grid=Grid.around(0.001, trials=3),
    tuning_seeds=(1000, 1001),
    seeds=(0, 1, 2),
    steps=10,
    extension=Extension(trials=2, limit=4),
)

BOWL = replace(DIGITS, problem=SurfaceReference("bowl", (1.0, 2.0), "bowl"))


def run_task(task: Task, losses: Sequence[float]) -> list[RunRecord]:
    drawn = [(seed, task.role) for seed in task.seeds] + ([(0, "path")] if task.draws_path else [])
    return [
        replace(
            BLANK,
            problem=task.problem.name,
            role=role,
            trial=trial,
            tuned={"lr": rate},
            seed=seed,
            outcome="finished" if math.isfinite(losses[trial + 10]) else "diverged",
            final={"test_loss": losses[trial + 10] + seed / 1e4},
        )
        for trial, rate in task.trials
        for seed, role in drawn
    ]


def run_all(contest: Contest, losses: Sequence[float], runs: list[RunRecord]) -> list[RunRecord]:
    while left := tasks_left(contest, runs):
        for task in left:
            runs = runs + run_task(task, losses)
    return runs


def bowl_at(best: int) -> list[float]:
    return [abs(trial - 10 - best) + 1.0 for trial in range(24)]


def test_training_runs_are_tasks_of_their_own() -> None:
    left = tasks_left(DIGITS, [])
    assert [(task.trials, task.seeds) for task in left] == [
        (((trial, rate),), (seed,)) for trial, rate in enumerate((0.000316, 0.001, 0.00316)) for seed in (1000, 1001)
    ]
    assert {task.role for task in left} == {"tuning"}


def test_a_surface_tunes_in_one_task() -> None:
    (task,) = tasks_left(BOWL, [])
    assert task.trials == ((0, 0.000316), (1, 0.001), (2, 0.00316))
    assert task.seeds == (1000, 1001)
    assert task.size == 6


def test_the_best_trial_is_run_on_fresh_seeds() -> None:
    runs = run_all(DIGITS, bowl_at(1), [])
    finals = [run for run in runs if run.role == "final"]
    assert [(run.trial, run.seed) for run in finals] == [(1, 0), (1, 1), (1, 2)]
    assert len(runs) == DIGITS.size == 9


def test_a_surfaces_finals_bring_the_named_starts_path() -> None:
    runs = run_all(BOWL, bowl_at(1), [])
    assert [(run.role, run.seed) for run in runs[6:]] == [("final", 0), ("final", 1), ("final", 2), ("path", 0)]
    assert len(runs) == BOWL.size == 10


@pytest.mark.parametrize("contest", [DIGITS, BOWL])
def test_a_search_whose_best_lies_on_the_edge_goes_on_there(contest: Contest) -> None:
    runs = run_all(contest, bowl_at(3), [])
    assert {run.trial for run in runs if run.role == "tuning"} == {0, 1, 2, 3, 4}
    assert {run.trial for run in runs if run.role != "tuning"} == {3}


def test_where_everything_diverges_no_final_is_run() -> None:
    runs = run_all(DIGITS, [math.inf] * 24, [])
    assert {run.trial for run in runs} == set(range(-4, 3))
    assert {run.role for run in runs} == {"tuning"}
    choice = choice_of(DIGITS, runs)
    assert choice is not None
    assert choice.trial is None


def test_there_is_no_choice_while_tuning_goes_on() -> None:
    assert choice_of(DIGITS, []) is None
    assert choice_of(DIGITS, run_all(DIGITS, bowl_at(3), [])[:6]) is None


def test_a_choice_gets_its_final_score_with_the_last_final_run() -> None:
    runs = run_all(DIGITS, bowl_at(1), [])
    almost, whole = choice_of(DIGITS, runs[:-1]), choice_of(DIGITS, runs)
    assert almost is not None
    assert whole is not None
    assert almost.final_score is None
    assert (whole.score, whole.final_score) == pytest.approx((1.10005, 1.0001))


losses = st.lists(st.one_of(st.floats(0, 5), st.just(math.inf)), min_size=24, max_size=24)


@given(losses, st.data())
def test_a_race_cut_off_anywhere_comes_to_the_same_records(losses: list[float], data: st.DataObject) -> None:
    whole = run_all(DIGITS, losses, [])
    cut = data.draw(st.lists(st.sampled_from(whole), unique_by=lambda run: (run.role, run.trial, run.seed)))
    # what could have been written by then: finals only after all tuning
    tuning = [run for run in whole if run.role == "tuning"]
    if len([run for run in cut if run.role == "tuning"]) < len(tuning):
        cut = [run for run in cut if run.role == "tuning"]
    resumed = run_all(DIGITS, losses, cut)

    def key(run: RunRecord) -> tuple[str, int, int]:
        return run.role, run.trial, run.seed

    assert sorted(resumed, key=key) == sorted(whole, key=key)
    assert choice_of(DIGITS, resumed) == choice_of(DIGITS, whole)
