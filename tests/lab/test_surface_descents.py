"""A descent's runs on a surface: as `minimize` makes them, and as their records tell them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from thalweg import surfaces
from thalweg.descent import Intermediate, minimize
from thalweg.lab.contenders import get
from thalweg.lab.contest import Contest, Task, choice_of, tasks_left
from thalweg.lab.entries import SurfaceReference
from thalweg.lab.scoring import TARGET_GAP
from thalweg.lab.surface_runs import run_on_surface

BEALE = SurfaceReference("beale", (2.0, -2.0), "beale (2, -2)")


def runs_of(name: str, where: SurfaceReference = BEALE, *, rate: float = 1.0, budget: int = 200) -> tuple:
    return run_on_surface(Task(where, name, "final", ((0, rate),), (0, 1), budget))


@pytest.mark.parametrize("name", ["bfgs", "newton_cg", "scaled_cg"])
def test_the_path_is_the_one_that_minimize_takes(name: str) -> None:
    told: list[Intermediate] = []

    def callback(intermediate_result: Intermediate) -> None:
        told.append(intermediate_result)

    found = minimize(surfaces.get("beale"), [2.0, -2.0], name, callback=callback)
    *_, path = runs_of(name)
    assert path.curve["x"].tolist() == [2.0, *(float(here.x[0]) for here in told)]
    assert path.curve["loss"][1:].tolist() == [here.fun for here in told]
    assert path.curve["step"].tolist() == list(range(found.nit + 1))
    assert path.spent[1:].tolist() == [here.nfev / 2 + here.njev / 2 + here.nhvp * 1.5 for here in told]
    assert (path.final["loss"], path.final["nfev"], path.final["njev"]) == (found.fun, found.nfev, found.njev)
    assert path.message == found.message


def test_a_descent_that_ends_early_stays_where_it_has_come_to() -> None:
    for run in runs_of("bfgs")[:2]:
        assert run.cost < 200
        assert (run.spent[-1], run.curve["loss"][-1]) == (200, run.final["loss"])
        held = [run.curve["loss"][np.flatnonzero(run.spent <= k)[-1]] for k in range(1, 201)]
        assert run.final["mean_log_gap"] == pytest.approx(np.mean(np.log10(np.maximum(held, TARGET_GAP))))
        first = run.spent[np.flatnonzero(run.curve["loss"] <= TARGET_GAP)[0]]
        assert run.final["steps_to_target"] == first


def test_newtons_method_reaches_a_quadratics_minimum_for_a_gradient_two_products_and_a_look() -> None:
    *_, path = runs_of("newton", SurfaceReference("quadratic", (10.0, 1.0), "quadratic"))
    assert path.spent.tolist() == [0, 1 + 2 * 1.5 + 1]
    assert path.final["steps_to_target"] == 5


def test_a_method_that_finds_no_way_has_failed_with_its_message() -> None:
    contest = Contest(
        problem=SurfaceReference("saddle", (-1.5, 1e-3), "saddle"),
        contender=get("newton"),
        grid=get("newton").grid(trials=13),
        tuning_seeds=(1000, 1001),
        seeds=(0, 1, 2),
        steps=50,
    )
    (task,) = tasks_left(contest, [])
    tuning = run_on_surface(task)
    failed = next(run for run in tuning if run.outcome == "failed")
    assert "no descent direction" in failed.message
    assert (failed.final["loss"], failed.final["steps_to_target"]) == (math.inf, math.inf)
    (task,) = tasks_left(contest, tuning)  # what is fixed is run on the fresh seeds all the same
    finals = run_on_surface(task)
    assert [run.role for run in finals] == ["final"] * 3 + ["path"]
    choice = choice_of(contest, [*tuning, *finals])
    assert choice is not None
    assert (choice.trial, choice.score, choice.on_edge) == (0, math.inf, False)
    assert choice.why == "nothing to tune: the descent is run as typed"


def test_a_step_size_that_is_too_large_diverges() -> None:
    typed = "descent(direction=steepest(), step_size=lr)"
    run, *_ = runs_of(typed, SurfaceReference("quadratic", (10.0, 1.0), "quadratic"), rate=1.0)
    assert (run.outcome, run.tuned) == ("diverged", {"lr": 1.0})
    assert run.message.endswith("steps a coordinate was beyond ±1e+06")


def test_steepest_descent_with_a_constant_step_is_gradient_descent_but_for_its_first_look() -> None:
    where = SurfaceReference("quadratic", (10.0, 1.0), "quadratic")
    *_, path = runs_of("descent(direction=steepest(), step_size=lr)", where, rate=0.01, budget=30)
    *_, chain = runs_of("gradient_descent", where, rate=0.01, budget=30)
    assert path.curve["x"].tolist() == pytest.approx(chain.curve["x"][: len(path.spent)].tolist(), rel=1e-12)
    assert path.spent.tolist() == [0, *range(2, 31)]


def test_a_search_without_gradients_pays_half_for_a_value_and_draws_by_the_runs_seed() -> None:
    first, second, path = runs_of("random_search", budget=30)
    for run in (first, second, path):
        assert (run.final["njev"], run.final["nhvp"]) == (0, 0)
        assert run.cost == run.final["nfev"] / 2 <= 30
    found = minimize(surfaces.get("beale"), [2.0, -2.0], "random_search", max_eval=60)  # seed 0, as the path's
    assert path.final["loss"] == found.fun


def test_who_searches_between_bounds_is_given_the_window_around_the_start() -> None:
    far = SurfaceReference("beale", (9.0, 0.0), "beale (9, 0)")
    for run in runs_of("differential_evolution", far, budget=100):
        assert run.outcome == "finished", run.message
        assert run.final["loss"] < run.curve["loss"][0]


def test_a_budget_for_less_than_a_step_is_a_failure() -> None:
    run, *_ = runs_of("newton", budget=2)
    assert (run.outcome, run.message) == ("failed", "2 gradient evaluations are not enough for one step")
