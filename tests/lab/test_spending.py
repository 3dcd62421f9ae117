"""What a run has spent: counted, charged, and never more than the budget."""

from __future__ import annotations

import pytest
import torch

from thalweg import rules, surfaces
from thalweg.chain import chain, step
from thalweg.descent import methods
from thalweg.lab import contenders
from thalweg.lab.contest import Task
from thalweg.lab.entries import SurfaceReference
from thalweg.lab.following import Stay, follow
from thalweg.lab.spending import FUNCTION, PRODUCT, Pace, Spent
from thalweg.lab.surface_runs import run_on_surface

ROSENBROCK = SurfaceReference("rosenbrock", (-1.2, 1.0), "rosenbrock")
BUDGET = 60


def test_a_step_of_gradient_descent_costs_one() -> None:
    assert Pace().spent(7).gradients == 7
    assert Pace().steps(1000) == 1000


@pytest.mark.parametrize(("name", "every"), [("adam", None), ("sophia", 10), ("esgd", 20), ("vsgd", 1)])
def test_a_rule_that_goes_by_the_curvature_pays_for_it(name: str, every: int | None) -> None:
    pace = Pace.of(chain(rules.get(name)(), step(0.1)).traces())
    assert pace.every == every
    steps = pace.steps(200)
    due = [k for k in range(steps) if every and k % every == 0]
    assert pace.spent(steps).gradients == steps + PRODUCT * len(due) <= 200
    assert pace.spent(steps + 1).gradients > 200


def test_sophias_run_ends_where_its_budget_does_and_says_what_it_was_spent_on() -> None:
    (run, *_) = run_on_surface(Task(ROSENBROCK, "sophia", "tuning", ((0, 0.01),), (1000,), 100))
    assert run.final["steps"] == 86
    assert (run.final["nfev"], run.final["njev"], run.final["nhvp"]) == (86, 86, 9)
    assert run.cost == run.spent[-1] == 86 + 9 * PRODUCT <= run.budget
    assert run.curve["step"][-1] == 86
    assert run.spent[1] == 1 + PRODUCT


@pytest.mark.parametrize("name", [name for name, method in methods().items() if not method.needs_outputs])
def test_no_descent_spends_more_than_its_budget(name: str) -> None:
    runs = run_on_surface(Task(ROSENBROCK, name, "final", ((0, 1.0),), (0, 1), BUDGET))
    assert [run.role for run in runs] == ["final", "final", "path"]
    for run in runs:
        counts = [run.final[count] for count in ("nfev", "njev", "nhvp")]
        assert run.cost == counts[0] * FUNCTION + counts[1] * (1 - FUNCTION) + counts[2] * PRODUCT
        assert 0 < run.cost <= BUDGET
        assert (run.spent[1:] >= run.spent[:-1]).all()
        assert run.spent[-1] <= BUDGET
        assert run.outcome == "finished", run.message


def test_what_is_counted_is_what_is_called() -> None:
    calls: list[float] = []

    def function(x: torch.Tensor) -> torch.Tensor:
        value = surfaces.get("rosenbrock").function(x)
        calls.append(float(value.detach()))
        return value

    stays: list[Stay] = []
    start = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    end = follow(methods()["bfgs"], function, start, budget=500, seen=stays.append, leaves=lambda _: "")
    assert len(calls) == 1 + end.stay.spent.nfev  # the start is looked at once without being charged
    assert stays[0] == Stay(x=start, value=calls[0], steps=0, spent=Spent())
    assert end.stay.value == min(calls)


def test_what_is_reached_beyond_the_budget_does_not_count() -> None:
    stays: list[Stay] = []
    arguments = (methods()["bfgs"], surfaces.get("rosenbrock").function, torch.tensor([-1.2, 1.0]).double())
    _ = follow(*arguments, budget=500, seen=stays.append, leaves=lambda _: "")
    for budget in (5, 10, 15):
        end = follow(*arguments, budget=budget, seen=lambda _: None, leaves=lambda _: "")
        affordable = [stay.value for stay in stays if stay.spent.gradients <= budget]
        assert end.stay.value <= affordable[-1]
        assert end.stay.spent.gradients <= budget


def test_a_descent_is_a_contender_with_nothing_to_tune_unless_its_step_is() -> None:
    bfgs = contenders.get("bfgs")
    assert (bfgs.title, bfgs.tuned, bfgs.is_descent) == ("BFGS", None, True)
    assert repr(bfgs.build(1.0)) == repr(methods()["bfgs"])
    assert bfgs.grid(trials=9).trials == 1
    typed = contenders.get("descent(direction=steepest(), step_size=lr)")
    assert repr(typed.build(0.5)).startswith("descent(direction=steepest(), step_size=0.5,")
    assert (typed.tuned, typed.is_descent) == ("lr", True)
    assert not contenders.get("adam").is_descent
