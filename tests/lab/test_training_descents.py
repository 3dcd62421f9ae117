"""Descents, and chains, that train in full batch: against linear algebra, and through a race that is interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from thalweg.errors import RaceError
from thalweg.lab import contenders, problems
from thalweg.lab import workers as workers_module
from thalweg.lab.contest import Task
from thalweg.lab.entries import TrainingReference, problem_of, resolve
from thalweg.lab.findings import findings
from thalweg.lab.fit import check_fit
from thalweg.lab.race import Race, run_race
from thalweg.lab.standings import arrivals, standings, target_of
from thalweg.lab.store import open_store
from thalweg.lab.training_runs import run_training

if TYPE_CHECKING:
    from thalweg.lab.records import RunRecord

FILE = str(Path(__file__).with_name("full_batch_problem.py"))
SQUARES = TrainingReference("squares", FILE)
RACE = Race(
    problems=("booth", FILE), optimizers=("lbfgs", "newton", "adam"), trials=2, tuning_seeds=1, seeds=2, steps=20
)


def run_of(optimizer: str, *, rate: float = 1.0, steps: int = 30, seed: int = 3, role: str = "final") -> RunRecord:
    return run_training(Task(SQUARES, optimizer, role, ((0, rate),), (seed,), steps))


def by_hand() -> tuple[np.ndarray, np.ndarray, float]:
    """The design, the targets and the least mean square."""
    inputs, targets = (array.numpy() for array in problem_of(SQUARES).training_set)
    design = np.column_stack([inputs, np.ones(len(inputs))])
    solution = np.linalg.lstsq(design, targets, rcond=None)[0]
    return design, targets, float(np.mean((design @ solution - targets) ** 2))


@pytest.mark.parametrize("name", ["lbfgs", "bfgs", "newton", "newton_cg", "cg", "steihaug"])
def test_a_descent_trains_to_the_least_squares_solution(name: str) -> None:
    run = run_of(name, steps=60)
    assert run.outcome == "finished"
    assert run.final["train_loss"] == pytest.approx(by_hand()[2], rel=1e-8)
    assert run.cost <= 60


def test_newtons_method_is_there_after_one_step_and_stays() -> None:
    run = run_of("newton", steps=30)
    assert run.final["steps"] == 1
    assert (run.final["nhvp"], run.cost) == (4, 2 + 4 * 1.5)
    there = run.spent >= 8
    assert run.curve["train_loss"][there] == pytest.approx(np.full(there.sum(), by_hand()[2]), rel=1e-12)
    assert (run.curve["train_loss"][~there] == run.curve["train_loss"][0]).all()


def test_steepest_descent_is_measured_where_it_had_come_to_at_each_point() -> None:
    run = run_of("descent(direction=steepest(), step_size=0.1)", steps=30)
    design, targets, _ = by_hand()
    model = problem_of(SQUARES).build_model(3)
    w = np.concatenate([p.detach().numpy().reshape(-1) for p in model.parameters()])[:, None]
    losses = [np.mean((design @ w - targets) ** 2)]
    for _ in range(29):
        w = w - 0.1 * 2 / len(design) * design.T @ (design @ w - targets)
        losses.append(np.mean((design @ w - targets) ** 2))
    steps = [max(int(spent) - 1, 0) for spent in run.spent]  # it looks at where it comes to: one more
    assert run.curve["step"].tolist() == steps
    assert run.curve["train_loss"] == pytest.approx(np.array(losses)[steps], rel=1e-10)
    assert run.curve["loss"] == pytest.approx(run.curve["train_loss"], rel=1e-12)
    assert (run.data_order, run.final["train_loss"]) == ("all at once", run.curve["train_loss"][-1])
    assert (np.diff(run.curve["seconds"]) >= 0).all()


def test_a_chain_takes_the_whole_gradient_too() -> None:
    run = run_of("gradient_descent", rate=0.1)
    other = run_of("descent(direction=steepest(), step_size=0.1)", steps=31)
    assert run.final["train_loss"] == pytest.approx(other.final["train_loss"], rel=1e-10)
    assert "spent" not in run.final


def test_a_run_leaves_torchs_random_numbers_alone_and_repeats_itself() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = run_of("lbfgs")
    assert torch.equal(torch.rand(1), expected)
    again = run_of("lbfgs")
    assert first.final == again.final
    assert all(np.array_equal(first.curve[name], again.curve[name]) for name in first.curve if name != "seconds")


def test_a_run_for_tuning_is_measured_towards_its_end_alone() -> None:
    whole, tuning = run_of("lbfgs"), run_of("lbfgs", role="tuning")
    assert tuning.spent.tolist() == [0, 28, 30]
    assert tuning.final["train_loss"] == whole.final["train_loss"]


@pytest.mark.parametrize(
    ("name", "where", "said"),
    [
        ("powell", "mnist_softmax", "that problem draws minibatches; race it in full batch"),
        (
            "nelder_mead",
            "mnist_softmax_full_batch",
            "it goes by values alone, and 200 of them, its budget, say nothing of",
        ),
        ("dual_annealing", "mnist_softmax_full_batch", "it searches between bounds, and parameters have none"),
        ("bfgs", "mnist_autoencoder_full_batch", "its matrix of 106,464 × 106,464 parameters takes 42.2 GiB; take a"),
    ],
)
def test_what_does_not_fit_is_refused_beforehand(name: str, where: str, said: str) -> None:
    with pytest.raises(RaceError, match=f"`{name}` cannot race on `{where}`: .*{said}"):
        check_fit(contenders.get(name), *resolve([where]))


def test_a_race_in_full_batch_goes_by_the_training_loss_and_comes_to_the_same_records_when_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(path: Path) -> list[tuple[object, ...]]:
        with open_store(path) as store:
            race = store.latest_race()
            runs = store.runs(race)
            columns = [{n: v.tolist() for n, v in run.curve.items() if n != "seconds"} for run in runs]
            return [(r.problem, r.optimizer, r.role, r.seed, r.message, dict(r.final)) for r in runs] + columns

    whole, cut = tmp_path / "whole.db", tmp_path / "cut.db"
    with open_store(whole) as store:
        race = run_race(RACE, store, workers=1)
        problem = store.problems(race)[1]
        assert problem.spec["judged_by"] == "train_loss"
        placed = standings(store, race, problem)
        assert [standing.name for standing in placed][-1] == "adam"
        assert placed[0].score.value == pytest.approx(by_hand()[2], rel=1e-6)
        assert target_of(store, race, problem) is not None
        assert arrivals(store, race, problem)["newton"].steps == (8.0, 8.0)
        said = [finding.text for finding in findings(store, race)]
        assert "tie for the lowest training loss" in said[1]
        assert "gradient evaluations, from 2 of 2 starts" in said[0]

    tasks: list[object] = []
    run_task = workers_module.run_task

    def interrupted(task: Task) -> tuple[RunRecord, ...]:
        tasks.append(task)
        if len(tasks) == 9:
            raise KeyboardInterrupt
        return run_task(task)

    monkeypatch.setattr(workers_module, "run_task", interrupted)
    with open_store(cut) as store, pytest.raises(KeyboardInterrupt):
        run_race(RACE, store, workers=1)
    monkeypatch.undo()
    with open_store(cut) as store:
        before = len(store.runs(store.latest_race()))
        run_race(RACE, store, workers=1)
        assert 0 < before < len(store.runs(store.latest_race()))
    assert told(cut) == told(whole)


@pytest.mark.parametrize(
    ("name", "parameters", "batch"),
    [
        ("mnist_softmax_full_batch", 7_850, None),
        ("mnist_autoencoder", 106_464, 250),
        ("mnist_autoencoder_full_batch", 106_464, None),
    ],
)
def test_the_problems_of_mnist_are_what_they_say(name: str, parameters: int, batch: int | None) -> None:
    problem = problems.get(name, mnist="part")
    spec = problem.spec()
    assert (spec["parameters"], problem.batch_size) == (parameters, batch)
    assert (spec.get("judged_by"), spec["data_order"]) == (
        (None, "reshuffled") if batch else ("train_loss", "all at once")
    )
    model, arrays = problem.build_model(0).requires_grad_(False), tuple(array[:50] for array in problem.training_set)
    value = float(problem.loss(model, arrays))
    if "autoencoder" in name:
        pixels = arrays[0].double()
        assert 0 <= pixels.min() <= pixels.max() <= 1
        shown = model.double()(pixels).sigmoid()
        expected = -(pixels * shown.log() + (1 - pixels) * (1 - shown).log()).sum(dim=1).mean()
        squares = (shown - pixels).square().sum(dim=1).mean()
        assert float(problem.metrics["squared_error"](model, (pixels,))) == pytest.approx(float(squares))
    else:
        logits = model(arrays[0]).double()
        right = logits.softmax(dim=1)[torch.arange(50), arrays[1]].log()
        expected = -right.mean() + 1e-3 / 2 * model[1].weight.double().square().sum()
    assert value == pytest.approx(float(expected), rel=1e-5)
