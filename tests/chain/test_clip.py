from __future__ import annotations

import math

import pytest
import torch

import thalweg as tw
from thalweg.errors import HyperparameterError


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_clipping_by_value_before_adam_is_torchs_clipping_before_its_adam(backend: str) -> None:
    ours, theirs = (torch.nn.Parameter(torch.arange(-3.0, 4.0, dtype=torch.float64)) for _ in range(2))
    chain = tw.chain(tw.clip_value(0.5), tw.adam(), tw.step(0.1))
    mine, other = tw.Optimizer([ours], chain, backend=backend), torch.optim.Adam([theirs], lr=0.1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        gradient = 2 * torch.randn(7, dtype=torch.float64, generator=generator)
        ours.grad, theirs.grad = gradient, gradient.clone()
        torch.nn.utils.clip_grad_value_([theirs], 0.5)
        mine.step()
        other.step()
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


def test_clipping_may_stand_after_a_rule_too() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([1.0, -1.0, 0.0])
    tw.Optimizer([parameter], tw.chain(tw.adam(), tw.clip_value(0.25), tw.step(1.0))).step()
    assert parameter.tolist() == [-0.25, 0.25, 0.0]


@pytest.mark.parametrize("limit", [0.0, -1.0, math.inf, math.nan])
def test_a_limit_is_above_zero_and_finite(limit: float) -> None:
    with pytest.raises(HyperparameterError, match=r"clip_value: `limit` is .*; it must lie in \(0, ∞\)"):
        tw.clip_value(limit)
