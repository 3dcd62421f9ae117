"""A step allocates nothing of a parameter's size."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest
import torch

from descents import RULES, optimizer_of, parameters

if TYPE_CHECKING:
    from thalweg.optimizer.stepper import NonFinite

SIZE = 300_000


def allocated(optimizer: torch.optim.Optimizer) -> int:
    """The most bytes that one operation of torch's has allocated in a step, or all of Python's together."""
    tracemalloc.start()
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        optimizer.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return max([peak, *(event.cpu_memory_usage for event in profile.function_events or ())])


@pytest.mark.parametrize("rule", RULES)
def test_a_step_allocates_nothing_of_a_parameters_size(rule: str) -> None:
    tensors = parameters([(SIZE,), (600, 500)], torch.float32)
    optimizer = optimizer_of(rule, tensors)
    for _ in range(2):
        for tensor in tensors:
            tensor.grad = torch.ones_like(tensor)
        optimizer.step()
    optimizer._optimizer_step_pre_hooks.clear()  # what gives an estimate of the curvature: now it has none that is new
    optimizer.step()
    assert allocated(optimizer) < SIZE  # a quarter of one tensor's bytes


@pytest.mark.parametrize("nonfinite", ["raise", "skip", "propagate"])
@pytest.mark.parametrize("layout", ["transposed gradient", "parameter with gaps", "channels last", "unlike both"])
def test_neither_does_one_whose_tensors_lie_oddly(layout: str, nonfinite: NonFinite) -> None:
    gradient = torch.ones(300, 1000)
    match layout:
        case "transposed gradient":
            parameter, gradient = torch.ones(300, 1000), torch.ones(1000, 300).t()
        case "parameter with gaps":
            parameter = torch.ones(300, 2000)[:, ::2]
        case "channels last":
            parameter = torch.ones(10, 30, 10, 100).to(memory_format=torch.channels_last)
            gradient = torch.ones(10, 30, 10, 100)
        case _:
            parameter, gradient = torch.ones(300, 2000)[:, ::2], torch.ones(1000, 300).t()
    parameter.requires_grad_()
    optimizer = optimizer_of("adam", [parameter], nonfinite=nonfinite)
    parameter.grad = gradient
    optimizer.step()
    optimizer.step()
    assert allocated(optimizer) < SIZE


def test_the_measure_sees_an_allocation() -> None:
    tensors = parameters([(SIZE,)], torch.float32)
    tensors[0].grad = torch.ones(SIZE)
    optimizer = torch.optim.Adam(tensors, foreach=True)
    optimizer.step()
    assert allocated(optimizer) > SIZE
