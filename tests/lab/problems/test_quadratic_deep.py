"""`quadratic_deep` is DeepOBS's: its spectrum, its noise, and the results published for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import thalweg
from thalweg.errors import NonFiniteGradientError
from thalweg.lab import problems
from thalweg.lab.evaluation import evaluate
from thalweg.lab.minibatches import batches, take
from thalweg.lab.problem_check import check
from thalweg.lab.problems.quadratic_deep import hessian

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = range(42, 52)  # the ten of the published baselines
PUBLISHED = [(0.0, 0.01584893193, 87.397, 0.169), (0.99, 0.002511886431, 87.045, 0.025)]


def final_test_loss(
    optimizer: Callable[..., torch.optim.Optimizer], seed: int, *, learning_rate: float, momentum: float
) -> float:
    problem = problems.quadratic_deep()
    model = problem.build_model(seed)
    stepping = optimizer(model.parameters(), lr=learning_rate, momentum=momentum)
    for _, indices in zip(range(problem.steps), batches(problem, seed), strict=False):
        stepping.zero_grad()
        problem.loss(model, take(problem.training_set, indices)).backward()
        try:
            stepping.step()
        except NonFiniteGradientError:
            return math.inf
    return evaluate(problem, model)["test_loss"]


def test_it_can_be_raced() -> None:
    check(problems.quadratic_deep())


def test_the_first_test_loss_is_the_published_one() -> None:
    problem = problems.quadratic_deep()
    first = evaluate(problem, problem.build_model(0))["test_loss"]
    assert first == pytest.approx(353.446764, abs=1e-4)  # float32
    away = 1 - problem.test_set[0].double().numpy()
    exact = 0.5 * np.einsum("ni,ij,nj->n", away, hessian(), away).mean()
    assert exact == pytest.approx(353.44677, abs=1e-5)


def test_the_spectrum_is_the_published_one() -> None:
    eigenvalues = np.linalg.eigvalsh(hessian())
    assert eigenvalues[-1] == pytest.approx(53.1290154, abs=5e-8)
    assert eigenvalues[0] == pytest.approx(0.00552212, abs=5e-9)
    assert eigenvalues[-1] / eigenvalues[0] == pytest.approx(9621.1316, abs=5e-4)
    assert np.trace(hessian()) == pytest.approx(477.612280, abs=5e-7)
    assert (eigenvalues < 1).sum() == 90
    assert (eigenvalues > 30).sum() == 10


def test_the_gradient_noise_at_the_start_is_the_exact_one() -> None:
    Q = hessian()
    gradient = Q @ np.ones(100)
    noise = 0.6**2 * np.trace(Q @ Q)  # the gradient is Q(θ − x), so its covariance is 0.36 Q²
    assert gradient @ gradient == pytest.approx(22861.114, abs=5e-4)
    assert noise == pytest.approx(7050.6185, abs=5e-5)
    assert noise / (gradient @ gradient) == pytest.approx(0.308411, abs=5e-7)


def test_its_gradient_is_that_of_the_formula() -> None:
    problem = problems.quadratic_deep()
    model = problem.build_model(0)
    (x,) = take(problem.training_set, next(batches(problem, 0)))
    problem.loss(model, (x,)).backward()
    (theta,) = model.parameters()
    assert theta.grad is not None
    expected = hessian() @ (1 - x.double().mean(0).numpy())
    np.testing.assert_allclose(theta.grad.numpy(), expected, rtol=1e-4, atol=1e-3)


def test_a_run_is_a_hundred_epochs_of_seven_batches() -> None:
    problem = problems.quadratic_deep()
    assert (problem.steps, problem.batch_size, problem.data_order) == (700, 128, "fixed")
    assert len(problem.training_set[0]) == 1000


@pytest.mark.slow
@pytest.mark.parametrize(("momentum", "learning_rate", "mean", "spread"), PUBLISHED)
def test_the_published_results_are_reproduced_within_their_spread(
    momentum: float, learning_rate: float, mean: float, spread: float
) -> None:
    ours = [final_test_loss(thalweg.SGD, seed, learning_rate=learning_rate, momentum=momentum) for seed in SEEDS]
    error_of_difference = math.hypot(spread, float(np.std(ours, ddof=1))) / math.sqrt(len(SEEDS))
    assert abs(np.mean(ours) - mean) < 3 * error_of_difference
    assert 1 / 3 < np.std(ours, ddof=1) / spread < 3
    theirs = final_test_loss(torch.optim.SGD, SEEDS[0], learning_rate=learning_rate, momentum=momentum)
    assert ours[0] == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("optimizer", [thalweg.SGD, torch.optim.SGD], ids=["thalweg", "torch"])
@pytest.mark.parametrize(("momentum", "lives", "dies"), [(0.0, 0.02511886431, 0.03981071706), (0.99, 0.0631, 0.1)])
def test_it_diverges_between_the_published_learning_rates(
    optimizer: Callable[..., torch.optim.Optimizer], momentum: float, lives: float, dies: float
) -> None:
    stable = 2 * (1 + momentum) / np.linalg.eigvalsh(hessian())[-1]
    assert lives < stable < dies
    assert final_test_loss(optimizer, 42, learning_rate=lives, momentum=momentum) < 1000
    assert not final_test_loss(optimizer, 42, learning_rate=dies, momentum=momentum) < 1e10
