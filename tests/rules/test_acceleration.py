"""Nesterov's acceleration keeps the bounds that were proved of it, where gradient descent does not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

import thalweg as tw

if TYPE_CHECKING:
    from thalweg.formula import Stage

HIGHEST = 100.0


def losses(stage: Stage, curvatures: torch.Tensor, steps: int) -> list[float]:
    """½Σλx² after each step from ones, at the rate 1/L; of an acceleration at its gradient steps, the state x."""
    point = torch.ones_like(curvatures).requires_grad_()
    optimizer = tw.Optimizer([point], tw.chain(stage, tw.step(1 / HIGHEST)))
    seen: list[float] = []
    for _ in range(steps):
        point.grad = curvatures * point.detach()
        optimizer.step()
        seen.append(float((curvatures * optimizer.state[point].get("x", point.detach()) ** 2).sum() / 2))
    return seen


def test_the_loss_of_a_convex_function_falls_with_the_square_of_the_steps() -> None:
    # f(x_k) - f* ≤ 2L‖x₀ - x*‖²/(k + 1)²: Su, Boyd and Candès, arXiv:1503.01243, section 3.1.
    curvatures = torch.logspace(-6, 2, 400, dtype=torch.float64)

    def kept(found: list[float]) -> bool:
        return all(loss <= 2 * HIGHEST * len(curvatures) / (k + 1) ** 2 for k, loss in enumerate(found, start=1))

    steps = 3000
    accelerated, plain = (losses(s, curvatures, steps)[-1] for s in (tw.nesterov_acceleration(), tw.gradient_descent()))
    assert kept(losses(tw.nesterov_acceleration(), curvatures, steps))
    assert accelerated < plain / 50


def test_the_loss_of_a_strongly_convex_function_falls_by_the_root_of_the_condition() -> None:
    # f(x_k) - f* ≤ (1 - 1/√κ)ᵏ(f(x₀) - f* + μ‖x₀ - x*‖²/2): Nesterov 2004, theorem 2.2.3.
    condition = 400.0
    curvatures = torch.logspace(math.log10(HIGHEST / condition), math.log10(HIGHEST), 30, dtype=torch.float64)
    first = float(curvatures.sum()) / 2 + HIGHEST / condition * len(curvatures) / 2

    def kept(found: list[float]) -> bool:
        return all(loss <= first * (1 - 1 / math.sqrt(condition)) ** k for k, loss in enumerate(found, start=1))

    assert kept(losses(tw.nesterov_acceleration(kappa=condition), curvatures, 500))
    assert not kept(losses(tw.gradient_descent(), curvatures, 500))


def test_with_a_condition_of_one_it_is_gradient_descent() -> None:
    curvatures = torch.tensor([1.0, 30.0], dtype=torch.float64)
    assert losses(tw.nesterov_acceleration(kappa=1), curvatures, 20) == losses(tw.gradient_descent(), curvatures, 20)


def test_the_first_step_has_no_momentum() -> None:
    curvatures = torch.tensor([1.0, 30.0], dtype=torch.float64)
    assert losses(tw.nesterov_acceleration(), curvatures, 1) == losses(tw.gradient_descent(), curvatures, 1)
