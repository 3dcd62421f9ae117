"""Preconditioning, damping, the loss's change, and steps as minima, against what they are defined by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.optimize
import torch

import thalweg as tw
from thalweg import theory
from thalweg.curvature import condition_number, effective_condition_number
from thalweg.descent import descent, iterations, preconditioned
from thalweg.errors import CurvatureError, HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

GENERATOR = torch.Generator().manual_seed(1)


def drawn(n: int = 4) -> Tensor:
    A = torch.randn(n, n, generator=GENERATOR, dtype=torch.float64)
    return A @ A.T + 0.1 * torch.eye(n, dtype=torch.float64)


def test_a_preconditioner_gives_the_rate_of_its_effective_condition_number() -> None:
    Q, D = drawn(), drawn()
    kappa = effective_condition_number(Q, D)
    products = np.linalg.eigvals((D @ Q).numpy()).real  # D^½QD^½ has the eigenvalues of DQ
    assert kappa == pytest.approx(products.max() / products.min())
    assert effective_condition_number(Q, torch.linalg.inv(Q)) == pytest.approx(1.0)
    assert effective_condition_number(Q, torch.ones(4, dtype=torch.float64)) == pytest.approx(condition_number(Q))
    best = theory.best_gradient_descent(products.min(), products.max())
    points: list[Tensor] = []
    method = descent(direction=preconditioned(D), step_size=best.alpha, stop=iterations(4000))
    tw.minimize(lambda x: 0.5 * x @ Q @ x, [1.0, -1.0, 1.0, 0.5], method, callback=points.append)
    norms = [float(x @ torch.linalg.solve(D, x)) ** 0.5 for x in points]  # in the metric D⁻¹, in which it is plain
    reached = next(k for k, norm in enumerate(norms) if norm < 1e-6 * norms[0])
    assert reached > 20
    assert (norms[reached] / norms[reached // 2]) ** (1 / (reached - reached // 2)) == pytest.approx(
        best.rate, rel=0.02
    )


def test_the_damped_newton_step_tends_to_gradient_descent() -> None:
    H, g = drawn() - torch.eye(4, dtype=torch.float64), torch.randn(4, generator=GENERATOR, dtype=torch.float64)
    for damping in (1e2, 1e4, 1e6):
        d = theory.damped_newton_step(g, H, damping)
        torch.testing.assert_close((H + damping * torch.eye(4)) @ d, -g)
        away = float((damping * d + g).norm() / g.norm())
        bound = theory.distance_from_gradient_descent(H, damping)
        assert away <= bound * (1 + 1e-9) + 1e-12
        assert bound <= 2 * float(torch.linalg.matrix_norm(H, 2)) / damping
    torch.testing.assert_close(theory.damped_newton_step(g, H, 0.0), -torch.linalg.solve(H, g))


def test_the_change_of_the_loss_is_exact_on_a_quadratic() -> None:
    H, x = drawn(), torch.randn(4, generator=GENERATOR, dtype=torch.float64)
    g = H @ x
    for alpha in (0.01, 0.3):
        y = x - alpha * g
        assert theory.loss_change(g, H, alpha) == pytest.approx(float(0.5 * y @ H @ y - 0.5 * x @ H @ x))
    exact = float(g @ g / (g @ H @ g))
    changes = [theory.loss_change(g, H, factor * exact) for factor in (0.9, 1.0, 1.1)]
    assert changes[1] == min(changes)


def test_momentum_multiplies_a_gradient_that_stays() -> None:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = tw.Optimizer([x], tw.chain(tw.heavy_ball(beta=0.75), tw.step(0.1)))
    for _ in range(200):
        before = float(x.detach())
        x.grad = torch.ones_like(x)
        optimizer.step()
    assert before - float(x.detach()) == pytest.approx(0.1 * theory.momentum_gain(0.75))


M = drawn()


@pytest.mark.parametrize(
    "geometry", [theory.Euclidean(), theory.Metric(M), theory.Metric([1.0, 2.0, 3.0, 4.0])], ids=["I", "M", "diagonal"]
)
def test_a_step_is_the_minimum_of_what_it_stands_for(geometry: theory.Euclidean | theory.Metric) -> None:
    at, g = [1.0, -1.0, 0.5, 2.0], [0.3, -2.0, 1.0, 0.0]
    step = geometry.step(at, g, 0.3)
    found = scipy.optimize.minimize(lambda theta: geometry.objective(theta, at, g, 0.3), at, tol=1e-12)
    np.testing.assert_allclose(step.numpy(), found.x, atol=1e-5)
    assert geometry.objective(step, at, g, 0.3) <= found.fun + 1e-12
    assert geometry.distance(at, at) == 0 < geometry.distance(step, at)
    expected = {theory.Euclidean: torch.eye(4, dtype=torch.float64)}.get(type(geometry))
    if expected is not None:
        torch.testing.assert_close(step, torch.tensor(at, dtype=torch.float64) - 0.3 * torch.tensor(g).double())


def test_the_step_of_the_entropy_is_the_minimum_among_weights() -> None:
    at, g = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.3, -2.0, 1.0, 0.0])
    entropy = theory.Entropy()
    step = entropy.step(at, g, 0.7)
    np.testing.assert_allclose(step.numpy(), at * np.exp(-0.7 * g) / (at * np.exp(-0.7 * g)).sum())
    found = scipy.optimize.minimize(
        lambda free: entropy.objective(scipy.special.softmax(free), at, g, 0.7), np.log(at), tol=1e-12
    )
    np.testing.assert_allclose(step.numpy(), scipy.special.softmax(found.x), atol=1e-5)
    assert entropy.objective(step, at, g, 0.7) <= found.fun + 1e-12


def test_newtons_step_and_the_natural_one_are_steps_in_their_metrics() -> None:
    g = torch.randn(4, generator=GENERATOR, dtype=torch.float64)
    torch.testing.assert_close(theory.Metric(M).step(torch.zeros(4), g, 1.0), theory.damped_newton_step(g, M, 0.0))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: theory.Metric([[1.0, 2.0]]), CurvatureError, r"M has the shape \(1, 2\); it must be a square"),
        (lambda: theory.Metric([[1.0, 2.0], [0.0, 1.0]]), CurvatureError, "M is not symmetric"),
        (lambda: theory.Metric([[float("nan")]]), CurvatureError, "M has a NaN or an infinity"),
        (lambda: theory.Metric([1.0, -1.0]), CurvatureError, "M is not positive definite"),
        (lambda: theory.damped_newton_step([1.0], [[-1.0]], 1.0), CurvatureError, "H \\+ λI is singular for λ = 1"),
        (
            lambda: theory.distance_from_gradient_descent([[-2.0]], 1.0),
            HyperparameterError,
            "their sum must be above 0",
        ),
        (lambda: theory.Entropy().step([0.5, 0.6], [0.0, 1.0], 1.0), HyperparameterError, "the weights are"),
    ],
)
def test_what_does_not_fit_says_so(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
