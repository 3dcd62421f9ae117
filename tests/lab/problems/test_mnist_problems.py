"""The two MNIST problems: what they start from, and that training them teaches something."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from thalweg.lab import problems
from thalweg.lab.evaluation import evaluate, measure
from thalweg.lab.minibatches import batches, take
from thalweg.lab.problem_check import check

if TYPE_CHECKING:
    from thalweg.lab.problem import Problem

NAMES = ("mnist_softmax", "mnist_mlp")


def _train(problem: Problem, *, seed: int, learning_rate: float) -> nn.Module:
    model = problem.build_model(seed)
    optimizer = torch.optim.SGD(model.parameters(), learning_rate)
    for _, indices in zip(range(problem.steps), batches(problem, seed), strict=False):
        optimizer.zero_grad()
        problem.loss(model, take(problem.training_set, indices)).backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_raced(name: str) -> None:
    check(problems.get(name, mnist="part"))


def test_softmax_regression_starts_at_the_logarithm_of_ten() -> None:
    problem = problems.get("mnist_softmax", mnist="part")
    scores = evaluate(problem, problem.build_model(0))
    assert scores["test_loss"] == pytest.approx(math.log(10), rel=1e-6)
    zeros = (problem.test_set[1] == 0).float().mean().item()  # of equal logits the first is taken
    assert scores["accuracy"] == pytest.approx(zeros, abs=1e-6)


def test_the_gradient_of_softmax_regression_is_its_closed_form() -> None:
    problem = problems.get("mnist_softmax", mnist="part")
    model = problem.build_model(0)
    images, labels = take(problem.training_set, next(batches(problem, 0)))
    problem.loss(model, (images, labels)).backward()
    errors = torch.full((len(labels), 10), 0.1, dtype=torch.float64) - F.one_hot(labels, 10)
    expected = errors.T @ images.flatten(1).double() / len(labels)
    weight = next(model.parameters())
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad.double(), expected, rtol=0, atol=1e-6)


def test_the_network_has_two_layers_drawn_from_the_seed_within_their_bounds() -> None:
    problem = problems.get("mnist_mlp", mnist="part")
    weights = list(problem.build_model(3).parameters())
    assert [tuple(weight.shape) for weight in weights] == [(128, 784), (128,), (10, 128), (10,)]
    for weight, inputs in zip(weights, (784, 784, 128, 128), strict=True):
        assert weight.abs().max().item() <= 1 / math.sqrt(inputs)
        assert weight.abs().max().item() >= 0.7 / math.sqrt(inputs)
    assert torch.equal(weights[0], next(problem.build_model(3).parameters()))
    assert not torch.equal(weights[0], next(problem.build_model(4).parameters()))


@pytest.mark.parametrize(
    ("name", "rates", "accuracy"), [("mnist_softmax", (0.03, 0.001), 0.86), ("mnist_mlp", (0.2, 0.005), 0.91)]
)
def test_it_can_be_learned_and_tells_learning_rates_apart(
    name: str, rates: tuple[float, float], accuracy: float
) -> None:
    problem = problems.get(name, mnist="part")
    good, slow = (evaluate(problem, _train(problem, seed=0, learning_rate=rate)) for rate in rates)
    assert good["accuracy"] > accuracy
    assert good["test_loss"] < 0.8 * slow["test_loss"]


def test_the_records_learn_which_part_of_mnist_it_was() -> None:
    spec = problems.get("mnist_mlp", mnist="part").spec()
    assert spec["provenance"] == (
        "MNIST, the part that ships: every eleventh training image to 5,000, every ninth test image to 1,000"
    )
    assert (spec["n_train"], spec["n_test"], spec["parameters"]) == (5000, 1000, 101_770)


def test_evaluation_in_chunks_is_the_mean_over_the_whole() -> None:
    problem = problems.get("mnist_mlp", mnist="part")
    model = problem.build_model(0)
    images, labels = (array[:2345] for array in problem.training_set)
    with torch.no_grad():
        logits = model(images)
    scores = measure(problem, model, (images, labels))
    assert scores["loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)
    assert scores["accuracy"] == pytest.approx((logits.argmax(1) == labels).float().mean().item(), rel=1e-6)
