"""Methods that train minibatch by minibatch, in a race: the same as the optimizer driven by hand, and what it pays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.descent import by_minibatch, descent, hessian_free, lbfgs
from thalweg.errors import RaceError
from thalweg.lab import contenders, problems
from thalweg.lab.contest import Task
from thalweg.lab.entries import TrainingReference, problem_of, resolve
from thalweg.lab.evaluation import measure
from thalweg.lab.fit import check_fit
from thalweg.lab.minibatches import drawn
from thalweg.lab.training_runs import run_training

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.lab.problem import Batch
    from thalweg.lab.records import RunRecord

FILE = str(Path(__file__).with_name("classes_problem.py"))
CLASSES = TrainingReference("classes", FILE)
SEED = 3


def run_of(optimizer: str, *, rate: float = 0.1, budget: int = 24, reference: TrainingReference = CLASSES) -> RunRecord:
    return run_training(Task(reference, optimizer, "final", ((0, rate),), (SEED,), budget))


def by_hand(build: Callable[[torch.nn.Module], Any], steps: int, *, outputs: bool) -> list[float]:
    """The test loss at the start and after each step of an optimizer that is driven as its documentation says."""
    problem = problem_of(CLASSES)
    model = problem.build_model(SEED)
    optimizer = build(model)
    torch.manual_seed(SEED)
    found = [measure(problem, model, problem.test_set)["loss"]]
    for _, batch in zip(range(steps), drawn(problem, SEED), strict=False):

        def closure(batch: Batch = batch) -> object:
            predicted = model(batch[0])
            loss = torch.nn.functional.cross_entropy(predicted, batch[1])
            return (loss, predicted) if outputs else loss

        optimizer.step(closure)
        found.append(measure(problem, model, problem.test_set)["loss"])
    return found


@pytest.mark.parametrize(
    ("name", "build", "outputs", "price"),
    [
        ("kfac", lambda m: tw.KFAC(m, tw.chain(tw.heavy_ball(form="torch"), tw.step(0.1))), True, 1.5),
        ("kfac(fisher='empirical', lr=lr)", lambda m: tw.KFAC(m, fisher="empirical"), False, 1.0),
        ("kfac(fisher='sampled', samples=3, every=2)", lambda m: tw.KFAC(m, samples=3, every=2), True, 1.75),
        ("kfac(rescale='momentum')", lambda m: tw.KFAC(m, rescale="momentum", kl_clip=None), True, None),
        ("prong(every=5)", lambda m: tw.PRONG(m, every=5), False, 1.0),
        ("prong_plus", lambda m: tw.PRONG(m, tw.chain(tw.heavy_ball(), tw.step(0.1)), form="prong+"), False, 1.0),
        ("prong(chain(adam(), step(lr)))", lambda m: tw.PRONG(m, tw.chain(tw.adam(), tw.step(0.1))), False, 1.0),
        (
            "stochastic_lbfgs",
            lambda m: tw.DescentOptimizer(m, descent(direction=lbfgs(damping=0.2), step_size=0.1), max_iter=1),
            False,
            None,
        ),
        ("hessian_free", lambda m: tw.DescentOptimizer(m, "hessian_free", max_iter=1), True, None),
        ("lbfgs", lambda m: tw.DescentOptimizer(m, "lbfgs", max_iter=1), False, None),
    ],
)
def test_a_race_runs_the_optimizer_that_a_program_would(
    name: str, build: Callable[[torch.nn.Module], Any], outputs: bool, price: float | None
) -> None:
    budget = 40 if price else 100
    run = run_of(name, budget=budget)
    assert (run.outcome, run.message) == ("finished", "")
    steps = run.curve["step"].astype(int)
    driven = by_hand(build, steps[-1], outputs=outputs)
    free = run.spent <= (40 if price else 50)  # towards the end, a method of many evaluations makes fewer of them
    assert run.curve["test_loss"][free].tolist() == [driven[step] for step in steps[free]]
    assert steps[free][-1] >= 2
    assert run.final["spent"] <= budget
    if price is not None:
        assert run.final["spent"] == pytest.approx(price * steps[-1], abs=1)
        assert steps[-1] in (int(40 / price), int(40 / price) - 1)


def test_products_over_a_share_of_the_examples_cost_that_share() -> None:
    run = run_of("by_minibatch('hessian_free', batches=2, curvature=0.25)", budget=60)
    model = problem_of(CLASSES).build_model(SEED)
    optimizer = tw.DescentOptimizer(model, "hessian_free", max_iter=1)
    torch.manual_seed(SEED)
    batches = drawn(problem_of(CLASSES), SEED)
    calls = looked = 0

    def closure(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        predicted = model(batch[0])
        return torch.nn.functional.cross_entropy(predicted, batch[1]), predicted

    def of_few() -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal looked
        looked += 1
        some = torch.randperm(32)[:8]
        return closure((batch[0][some], batch[1][some]))

    spent = []
    for _ in range(2):
        batch = tuple(torch.cat(arrays) for arrays in zip(next(batches), next(batches), strict=True))
        optimizer.step(lambda batch=batch: closure(batch), of_few)
        calls = optimizer.nfev - looked
        spent.append(2 * (0.5 * (calls + 0.25 * looked) + 0.5 * optimizer.njev + 1.5 * 0.25 * optimizer.nhvp))
    first = int(np.flatnonzero(run.curve["step"] == 2)[0])
    assert run.spent[first - 1] < spent[1] <= run.spent[first]
    assert run.curve["test_loss"][first] == measure(problem_of(CLASSES), model, problem_of(CLASSES).test_set)["loss"]


def test_few_evaluations_are_no_step_and_said_to_be_none() -> None:
    run = run_of("by_minibatch('hessian_free', batches=40)", budget=24)
    assert run.outcome == "failed"
    assert run.message == "nothing has moved: 24 gradient evaluations are not enough for one step"
    assert run.final["spent"] == 0


def test_a_run_of_random_labels_repeats_itself_and_leaves_torchs_numbers_alone() -> None:
    torch.manual_seed(9)
    expected = torch.rand(1)
    torch.manual_seed(9)
    first = run_of("kfac")
    assert torch.equal(torch.rand(1), expected)
    second = run_of("kfac")
    assert first.final == second.final
    assert all(np.array_equal(first.curve[name], second.curve[name]) for name in first.curve if name != "seconds")


def test_a_rate_that_is_too_large_diverges() -> None:
    run = run_of("prong", rate=1e6)
    assert run.outcome == "diverged"
    assert run.final["test_loss"] == np.inf


def test_what_a_method_keeps_is_counted() -> None:
    kept = {name: run_of(name).final["state_bytes"] for name in ("prong", "kfac", "stochastic_lbfgs")}
    weights = sum(p.numel() for p in problem_of(CLASSES).build_model(0).parameters())
    assert kept["prong"] >= 8 * weights
    assert kept["kfac"] >= 8 * (weights + 2 * (7**2 + 5**2 + 6**2 + 3**2))  # velocity, factors and their inverses
    assert kept["stochastic_lbfgs"] >= 8 * weights


@pytest.mark.parametrize("direction", ["gauss_newton", "natural_gradient", "hessian_free"])
def test_a_method_by_outputs_steps_in_full_batch(direction: str) -> None:
    squares = TrainingReference("squares", str(Path(__file__).with_name("full_batch_problem.py")))
    run = run_of(direction, budget=60, reference=squares)
    assert (run.outcome, run.message) == ("finished", run.message)
    assert run.final["steps"] >= 1
    assert run.final["train_loss"] < 0.5 * run.curve["train_loss"][0]


@pytest.mark.parametrize(
    ("name", "where", "said"),
    [
        ("kfac", "booth", "it trains a model by minibatches, and a surface is neither"),
        ("by_minibatch('newton')", "mnist_mlp", r"its matrix of 101,770 × 101,770 parameters takes 38.6 GiB"),
        ("newton", "mnist_mlp", r"its matrix of 101,770 × 101,770 parameters takes"),
        ("nelder_mead", "mnist_mlp", "that problem draws minibatches; race it in full batch"),
        ("prong", "quadratic_deep", "no Linear or Conv2d"),
        ("kfac", "quadratic_deep", "no Linear or Conv2d"),
    ],
)
def test_what_does_not_fit_is_refused_beforehand(name: str, where: str, said: str) -> None:
    with pytest.raises(RaceError, match=f"cannot race on `{where}`: .*{said}"):
        check_fit(contenders.get(name), *resolve([where]))


@pytest.mark.parametrize("name", ["kfac", "prong", "prong_plus", "stochastic_lbfgs", "hessian_free", "lbfgs", "cg"])
def test_what_fits_is_let_race(name: str) -> None:
    check_fit(contenders.get(name), *resolve(["mnist_mlp"]))


def test_a_trainer_is_tuned_in_its_rate_if_it_has_one() -> None:
    known = {name: contenders.get(name) for name in ("kfac", "prong", "stochastic_lbfgs", "kfac(rescale='momentum')")}
    assert {name: (one.tuned, one.default) for name, one in known.items()} == {
        "kfac": ("lr", 0.1),
        "prong": ("lr", 0.01),
        "stochastic_lbfgs": ("lr", 0.3),
        "kfac(rescale='momentum')": (None, 1.0),
    }
    assert repr(known["kfac"].build(0.5)) == "kfac(lr=0.5)"
    assert isinstance(contenders.as_trained(known["kfac"].build(0.5), problems.get("mnist_mlp")), tw.descent.kfac)
    assert by_minibatch(descent(direction=hessian_free())).rate is None
