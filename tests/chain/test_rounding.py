"""Kahan summation keeps what rounding would take from a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw

if TYPE_CHECKING:
    from thalweg.optimizer.layout import Backend

both_backends = pytest.mark.parametrize("backend", ["numba", "reference"])
halves = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)


@halves
@both_backends
def test_it_is_the_sum_by_hand(backend: Backend, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(0)
    parameter = torch.randn(50, generator=random).to(dtype).requires_grad_()
    optimizer = tw.Optimizer([parameter], tw.chain(tw.gradient_descent(), tw.step(0.01), tw.kahan()), backend=backend)
    p, rest = parameter.detach().clone(), torch.zeros(50, dtype=dtype)
    for _ in range(20):
        parameter.grad = torch.randn(50, generator=random).to(dtype)
        optimizer.step()
        exact = (p.float() - torch.tensor(0.01) * parameter.grad.float()) + rest.float()
        p = exact.to(dtype)
        rest = (exact - p.float()).to(dtype)
        assert torch.equal(parameter, p)
        assert torch.equal(optimizer.state[parameter]["rest"], rest)


@halves
@both_backends
def test_small_steps_are_not_lost(backend: Backend, dtype: torch.dtype) -> None:
    reached: dict[bool, float] = {}
    for with_rest in (False, True):
        parameter = torch.ones(3, dtype=dtype, requires_grad=True)
        behind = [tw.kahan()] if with_rest else []
        optimizer = tw.Optimizer([parameter], tw.chain(tw.gradient_descent(), tw.step(1e-4), *behind), backend=backend)
        for _ in range(1000):
            parameter.grad = torch.ones_like(parameter)
            optimizer.step()
        reached[with_rest] = parameter.detach()[0].item()
    assert reached[False] == 1.0
    assert reached[True] == pytest.approx(0.9, abs=0.005)


@both_backends
def test_in_the_precision_of_the_step_nothing_is_left_over(backend: Backend) -> None:
    plain, kept = (torch.ones(3, requires_grad=True) for _ in range(2))
    optimizers = [
        tw.Optimizer([plain], tw.chain(tw.adam(), tw.step(1e-3)), backend=backend),
        tw.Optimizer([kept], tw.chain(tw.adam(), tw.step(1e-3), tw.kahan()), backend=backend),
    ]
    for step in range(10):
        for parameter, optimizer in zip((plain, kept), optimizers, strict=True):
            parameter.grad = torch.tensor([1.0, -2.0, 0.1]) * (step - 4)
            optimizer.step()
    assert torch.equal(plain, kept)
    assert not optimizers[1].state[kept]["rest"].any()
