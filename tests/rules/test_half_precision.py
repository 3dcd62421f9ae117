"""A step in half precision is the step in single precision, rounded once: parameter and every state."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch

from descents import RULES, give_gradients, optimizer_of, parameters

if TYPE_CHECKING:
    from thalweg.optimizer.layout import Backend


# What reads and writes float16 in a kernel is the same for every rule, so that some of them are enough.
@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize(
    ("rule", "dtype"),
    [*((rule, torch.bfloat16) for rule in RULES), *((rule, torch.float16) for rule in RULES[::3])],
    ids=str,
)
def test_a_half_precision_step_is_the_single_precision_step_rounded_once(
    rule: str, dtype: torch.dtype, backend: Backend
) -> None:
    half = parameters(dtype=dtype)
    optimizer = optimizer_of(rule, half, backend=backend)
    give_gradients(half, 0)
    optimizer.step()  # from here on there are states to start from; the first ones are rounded when they are made
    for step in range(1, 5):
        single = [p.detach().float().requires_grad_() for p in half]
        widened = optimizer_of(rule, single, backend=backend)
        widened.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        give_gradients(half, step)
        for wide, narrow in zip(single, half, strict=True):
            assert narrow.grad is not None
            wide.grad = narrow.grad.float()
        optimizer.step()
        widened.step()
        for wide, narrow in zip(single, half, strict=True):
            assert torch.equal(wide.detach().to(dtype), narrow)
            for name, kept in optimizer.state[narrow].items():
                assert torch.equal(widened.state[wide][name].to(kept.dtype), kept), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_rounds_ties_to_even_and_keeps_subnormals_and_overflows(dtype: torch.dtype) -> None:
    # p - 1·g for g = p - x leaves x, a float32 that half precision must round: every kind of x that there is.
    largest, smallest = torch.finfo(dtype).max, torch.finfo(dtype).smallest_normal
    one, next_one = torch.tensor(1.0), torch.tensor(1.0 + torch.finfo(dtype).eps)
    wanted = torch.tensor([float(one + next_one) / 2, float(3 * next_one - one) / 2, smallest / 4, -smallest / 2, 0.0])
    start = torch.zeros_like(wanted).to(dtype)
    for value, expected in zip(wanted, wanted.to(dtype), strict=True):
        parameter = start[:1].clone().requires_grad_()
        optimizer = optimizer_of("gradient_descent", [parameter])
        optimizer.param_groups[0]["lr"] = float(value.abs()) or 1.0
        parameter.grad = torch.tensor([-float(value.sign())]).to(dtype)
        optimizer.step()
        assert torch.equal(parameter[0].detach(), expected)
    parameter = torch.tensor([largest], dtype=dtype, requires_grad=True)
    parameter.grad = torch.tensor([-largest], dtype=dtype)
    optimizer = optimizer_of("gradient_descent", [parameter])
    optimizer.param_groups[0]["lr"] = 1.0
    optimizer.step()
    assert torch.isposinf(parameter).all()
