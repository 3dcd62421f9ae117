"""On a quadratic, gradient descent and the heavy ball contract at the rates that theory gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw

if TYPE_CHECKING:
    from thalweg.formula import Stage

CURVATURES = torch.tensor([1.0, 7.0, 30.0, 100.0], dtype=torch.float64)
LOWEST, HIGHEST, CONDITION = 1.0, 100.0, 100.0


def distance_after(stage: Stage, rate: float, steps: int) -> float:
    """How far from the minimum of ½Σλx² one has come, starting at ones."""
    x = torch.ones(4, dtype=torch.float64, requires_grad=True)
    optimizer = tw.Optimizer([x], tw.chain(stage, tw.step(rate)))
    for _ in range(steps):
        x.grad = CURVATURES * x.detach()
        optimizer.step()
    return float(x.detach().norm())


def contraction(stage: Stage, rate: float, *, first: int = 200, last: int = 400) -> float:
    """The factor by which a step brings the minimum nearer, on average and in the long run."""
    return (distance_after(stage, rate, last) / distance_after(stage, rate, first)) ** (1 / (last - first))


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.015, 2 / (LOWEST + HIGHEST), 0.0199])
def test_gradient_descent_contracts_by_its_slowest_direction(rate: float) -> None:
    expected = max(abs(1 - rate * LOWEST), abs(1 - rate * HIGHEST))
    assert contraction(tw.gradient_descent(), rate, first=2000, last=3000) == pytest.approx(expected, rel=1e-6)


def test_gradient_descents_best_rate_contracts_by_the_condition_number() -> None:
    best = contraction(tw.gradient_descent(), 2 / (LOWEST + HIGHEST))
    assert best == pytest.approx((CONDITION - 1) / (CONDITION + 1), rel=1e-6)


def test_gradient_descent_is_stable_just_below_two_over_the_highest_curvature_and_not_above() -> None:
    assert distance_after(tw.gradient_descent(), 0.999 * 2 / HIGHEST, 5000) < 1
    assert distance_after(tw.gradient_descent(), 1.001 * 2 / HIGHEST, 5000) > 10


@pytest.mark.parametrize("form", ["classical", "torch"])
def test_a_heavy_ball_that_swings_contracts_by_the_root_of_beta_in_every_direction(form: str) -> None:
    beta = 0.9  # at this rate (1 - √(αλ))² < β in each direction: all of them swing
    assert contraction(tw.heavy_ball(beta, form=form), 0.005) == pytest.approx(math.sqrt(beta), rel=2e-3)


def test_the_heavy_balls_best_settings_contract_by_the_root_of_the_condition_number() -> None:
    root = math.sqrt(CONDITION)
    rate = (2 / (math.sqrt(LOWEST) + math.sqrt(HIGHEST))) ** 2
    beta = ((root - 1) / (root + 1)) ** 2
    # both ends are critically damped there: k·ρᵏ, of which the k is taken out
    found = contraction(tw.heavy_ball(beta), rate) / 2 ** (1 / 200)
    assert found == pytest.approx((root - 1) / (root + 1), rel=2e-3)


def test_a_heavy_ball_is_stable_just_below_its_bound_and_not_above() -> None:
    bound = 2 * (1 + 0.5) / HIGHEST
    assert distance_after(tw.heavy_ball(0.5), 0.999 * bound, 20_000) < 1
    assert distance_after(tw.heavy_ball(0.5), 1.001 * bound, 20_000) > 10


def test_adams_first_step_is_the_rate_in_the_direction_of_the_sign() -> None:
    x = torch.tensor([3.0, -1e-3, 1e5], dtype=torch.float64, requires_grad=True)
    x.grad = torch.tensor([1e-3, -7.0, 1e9], dtype=torch.float64)
    before = x.detach().clone()
    tw.Optimizer([x], tw.chain(tw.adam(), tw.step(0.01))).step()
    torch.testing.assert_close(
        x.detach() - before, torch.tensor([-0.01, 0.01, -0.01], dtype=torch.float64), rtol=2e-5, atol=0
    )


def test_adadeltas_first_step_does_not_depend_on_the_size_of_the_gradient() -> None:
    # √ε/√((1 - ρ)g² + ε)·g = √(ε/(1 - ρ)) for a gradient that is large against ε
    x = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    x.grad = torch.tensor([10.0, -1e6], dtype=torch.float64)
    tw.Optimizer([x], tw.chain(tw.adadelta(0.95, eps=1e-6), tw.step(1.0))).step()
    length = math.sqrt(1e-6 / 0.05)
    torch.testing.assert_close(x.detach(), torch.tensor([-length, length], dtype=torch.float64), rtol=1e-6, atol=0)
