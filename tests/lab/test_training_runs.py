from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from thalweg.lab.contest import Task
from thalweg.lab.entries import TrainingReference, problem_of
from thalweg.lab.minibatches import batches
from thalweg.lab.training_runs import evaluation_steps, run_training

FILE = Path(__file__).with_name("tiny_problem.py")


def task(
    rate: float, *, name: str = "line", optimizer: str = "gradient_descent", seed: int = 5, steps: int = 30
) -> Task:
    return Task(TrainingReference(name, str(FILE)), optimizer, "tuning", ((2, rate),), (seed,), steps)


def test_a_run_is_gradient_descent_as_one_would_write_it_by_hand() -> None:
    problem = problem_of(TrainingReference("line", str(FILE)))
    x, y = (array.numpy()[:, 0] for array in problem.training_set)
    torch.manual_seed(5)
    model = problem.model()
    w, b = (parameter.item() for parameter in model.parameters())
    test_loss, minibatch_loss = [np.mean((w * x + b - y) ** 2)], []
    for _, indices in zip(range(30), batches(problem, 5), strict=False):
        i = indices.numpy()
        error = w * x[i] + b - y[i]
        minibatch_loss.append(np.mean(error**2))
        w, b = w - 0.1 * np.mean(2 * error * x[i]), b - 0.1 * np.mean(2 * error)
        test_loss.append(np.mean((w * x + b - y) ** 2))

    run = run_training(dataclasses.replace(task(0.1), role="final"))
    kept = [0, *evaluation_steps(30)]
    assert run.curve["step"].tolist() == kept
    assert run.curve["test_loss"] == pytest.approx(np.array(test_loss)[kept], rel=1e-9)
    means = [np.mean(minibatch_loss[start:end]) for start, end in itertools.pairwise(kept)]
    assert run.curve["loss"] == pytest.approx([minibatch_loss[0], *means], rel=1e-9)


def test_a_record_says_what_was_run() -> None:
    run = run_training(task(0.1))
    assert (run.problem, run.optimizer, run.chain) == (
        "line",
        "gradient_descent",
        "chain(gradient_descent(), step(0.1))",
    )
    assert (run.role, run.trial, run.seed, run.tuned) == ("tuning", 2, 5, {"lr": 0.1})
    assert (run.data_order, run.budget, run.outcome, run.message) == ("reshuffled", 30, "finished", "")
    assert run.final.keys() == {"loss", "test_loss", "worst", "state_bytes"}
    assert run.final["test_loss"] == run.curve["test_loss"][-1]
    assert run.seconds == run.curve["seconds"][-1] > 0
    assert np.all(np.diff(run.curve["seconds"]) > 0)


def test_the_state_an_optimizer_keeps_is_counted() -> None:
    plain, adam = (
        run_training(task(0.1, optimizer=name)).final["state_bytes"] for name in ("gradient_descent", "adam")
    )
    assert adam - plain == 2 * 2 * 8  # two averages of a weight and a bias in float64


def test_the_same_task_gives_the_same_record() -> None:
    torch.manual_seed(1)
    first = run_training(task(0.1, optimizer="adam"))
    torch.manual_seed(2)
    second = run_training(task(0.1, optimizer="adam"))
    assert first.final == second.final
    assert all(np.array_equal(first.curve[name], second.curve[name]) for name in first.curve if name != "seconds")


def test_a_run_leaves_torchs_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    run_training(task(0.1))
    assert torch.equal(torch.rand(1), expected)


IRPROP_PLUS = "chain(rprop(delta0=lr, form='irprop+'))"


def test_every_optimizer_starts_at_the_same_place() -> None:
    names = ("gradient_descent", "adam", "rprop", IRPROP_PLUS, "sophia", "vsgd")
    runs = [run_training(task(0.1, optimizer=name)) for name in names]
    assert {run.outcome for run in runs} == {"finished"}
    assert len({run.curve["test_loss"][0] for run in runs}) == 1


def test_a_loss_beyond_all_bounds_is_a_divergence() -> None:
    run = run_training(task(3.0))
    assert run.outcome == "diverged"
    assert "a minibatch's loss was" in run.message
    assert run.final == {"loss": math.inf, "test_loss": math.inf}
    assert run.curve["step"][-1] < 30
    assert run.seconds > 0


def test_a_step_into_infinity_is_a_divergence() -> None:
    run = run_training(task(1e200, steps=3))
    assert (run.outcome, run.final["test_loss"]) == ("diverged", math.inf)


def test_a_model_that_raises_is_a_failed_run_with_its_reason() -> None:
    run = run_training(task(3.0, name="brittle"))
    assert run.outcome == "failed"
    line = 1 + FILE.read_text().splitlines().index('        raise RuntimeError("the weights broke")')
    assert run.message == f"RuntimeError: the weights broke (line {line})"


@pytest.mark.parametrize(("steps", "expected"), [(1, [1]), (3, [1, 2, 3]), (40, list(range(2, 41, 2)))])
def test_a_run_is_evaluated_at_some_twenty_points(steps: int, expected: list[int]) -> None:
    assert evaluation_steps(steps) == expected


@pytest.mark.parametrize(("steps", "expected"), [(1, [1]), (3, [2, 3]), (40, [38, 40])])
def test_a_run_for_tuning_is_evaluated_only_towards_its_end(steps: int, expected: list[int]) -> None:
    assert evaluation_steps(steps, "tuning") == expected
