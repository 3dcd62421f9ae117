"""L1 terms: the subgradient of λ‖p‖₁, and its proximal step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import thalweg as tw
from oracles.gradients import START, gradients
from tolerances import ORACLE, deviation


def test_l1_before_a_rule_is_a_term_of_the_loss() -> None:
    weight, rate = 0.3, 0.01
    ours = torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64, requires_grad=True)
    penalised = ours.detach().clone().requires_grad_()
    by_stage = tw.Optimizer([ours], tw.chain(tw.l1(weight), tw.adam(), tw.step(rate)))
    by_loss = torch.optim.Adam([penalised], lr=rate)
    for _ in range(10):
        ours.grad = penalised.grad = None
        ours.pow(4).sum().backward()
        (penalised.pow(4).sum() + weight * penalised.abs().sum()).backward()
        by_stage.step()
        by_loss.step()
    torch.testing.assert_close(ours, penalised, rtol=1e-12, atol=0)


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_a_soft_threshold_is_the_proximal_step(backend: tw.optimizer.layout.Backend) -> None:
    def rate(k: int) -> float:
        return 0.05 / (1 + 0.1 * k)

    chain = tw.chain(tw.heavy_ball(beta=0.8, form="torch"), tw.step(rate), tw.soft_threshold(lambda k: 0.4 * rate(k)))
    parameter = torch.from_numpy(START.copy()).requires_grad_()
    optimizer = tw.Optimizer([parameter], chain, backend=backend)
    x, v, path, expected = START.copy(), np.zeros_like(START), [], []
    for k, g in enumerate(gradients()):
        parameter.grad = torch.from_numpy(g)
        optimizer.step()
        v = 0.8 * v + g
        x = x - rate(k) * v
        x = np.where(x > 0.4 * rate(k), x - 0.4 * rate(k), np.where(x < -0.4 * rate(k), x + 0.4 * rate(k), 0.0))
        path.append(parameter.detach().clone())
        expected.append(torch.from_numpy(x.copy()))
    assert deviation(path, expected) <= ORACLE[torch.float64]


def test_least_squares_with_it_is_the_lasso() -> None:
    """The lasso's optimality: the gradient of the squares is −λ·sign(x) where x is not 0, and within ±λ where it is."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(40, 12, generator=generator, dtype=torch.float64)
    target = matrix[:, :3] @ torch.tensor([2.0, -3.0, 1.0], dtype=torch.float64)
    target += 0.1 * torch.randn(40, generator=generator, dtype=torch.float64)
    x = torch.zeros(12, dtype=torch.float64, requires_grad=True)
    strength, rate = 5.0, 1 / float(torch.linalg.matrix_norm(matrix, 2) ** 2)
    chain = tw.chain(tw.gradient_descent(), tw.step(rate), tw.soft_threshold(rate * strength))
    optimizer = tw.Optimizer([x], chain)
    for _ in range(3000):
        optimizer.zero_grad()
        (0.5 * (matrix @ x - target).square().sum()).backward()
        optimizer.step()
    found, slope = x.detach(), matrix.T @ (matrix @ x.detach() - target)
    kept = found != 0
    assert 3 <= int(kept.sum()) < 12
    torch.testing.assert_close(slope[kept], -strength * found[kept].sign(), rtol=1e-6, atol=1e-6)
    assert (slope[~kept].abs() < strength).all()
