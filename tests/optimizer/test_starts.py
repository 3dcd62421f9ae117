"""Where states begin: at a number, at a hyper-parameter, at the parameter."""

from __future__ import annotations

import copy

import pytest
import torch

import thalweg as tw
from descents import one_parameter
from thalweg.formula import AtParameter, Direction, Update, rule


@rule(title="Tracking", source="a test", learning_rate=0.1)
def tracking(g: Direction, x: AtParameter) -> Update:
    """Move by the state alone, which never changes."""
    return 0 * g + x, x


def optimizer_of(parameter: torch.Tensor) -> tw.Optimizer:
    return tw.Optimizer([parameter], tw.chain(tracking(), tw.step(0.5)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_a_state_that_starts_at_the_parameter_has_its_value_and_its_own_memory(dtype: torch.dtype) -> None:
    parameter = torch.tensor([1.0, -2.0, 4.0], dtype=dtype, requires_grad=True)
    optimizer = optimizer_of(parameter)
    for _ in range(2):
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    state = optimizer.state[parameter]["x"]
    assert (state.dtype, state.requires_grad) == (dtype, False)
    assert state.tolist() == [1.0, -2.0, 4.0]
    assert parameter.tolist() == [0.0, 0.0, 0.0]


def test_a_state_that_starts_at_the_parameter_takes_it_when_it_is_first_stepped() -> None:
    parameter = one_parameter(1.0)
    optimizer = optimizer_of(parameter)
    with torch.no_grad():
        parameter.fill_(8.0)  # as when a checkpoint is loaded after the optimizer was made
    optimizer.step()
    assert optimizer.state[parameter]["x"].tolist() == [8.0, 8.0, 8.0]


def test_a_state_that_lies_in_another_order_starts_at_the_right_elements() -> None:
    parameter = torch.arange(6.0).reshape(2, 3).t().requires_grad_()
    parameter.grad = torch.ones(3, 2)
    optimizer = optimizer_of(parameter)
    optimizer.step()
    assert optimizer.state[parameter]["x"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert parameter.tolist() == [[0, 1.5], [0.5, 2], [1, 2.5]]


def test_a_loaded_state_does_not_start_again_at_the_parameter() -> None:
    first = one_parameter(1.0)
    before = optimizer_of(first)
    before.step()
    second = one_parameter(6.0)
    after = optimizer_of(second)
    after.load_state_dict(copy.deepcopy(before.state_dict()))
    after.step()
    assert after.state[second]["x"].tolist() == [1.0, 1.0, 1.0]
