"""Parameters and gradients may be exchanged between steps: each step finds what is there now."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import give_gradients, one_parameter, optimizer_of
from thalweg.errors import ParameterError
from tolerances import TORCH, deviation

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thalweg.optimizer.layout import Backend

backends = pytest.mark.parametrize("backend", ["numba", "reference"])
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "a copy elsewhere": lambda p: p.clone(),
    "other numbers": lambda p: p * 3 + 1,
    "transposed in place": lambda p: p.transpose(1, 2),
    "channels last": lambda p: p.to(memory_format=torch.channels_last),
    "with gaps": lambda p: torch.stack([p, p], dim=-1)[..., 0],
}


# where nothing has changed for some steps, a step looks for changes in another way
intervals = pytest.mark.parametrize("after", [1, 6])


@backends
@intervals
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_new_data_between_two_steps_is_stepped_as_torch_does(
    change: Callable[[Tensor], Tensor], after: int, backend: Backend
) -> None:
    ours = torch.randn(2, 4, 4, 3, dtype=torch.float64).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    pair = tw.Adam([ours], lr=0.1, backend=backend), torch.optim.Adam([theirs], lr=0.1)
    for step in range(3 * after):
        if step in (after, 2 * after):
            for parameter in (ours, theirs):
                parameter.grad = None
                parameter.data = change(parameter.data)
        for parameter, optimizer in zip((ours, theirs), pair, strict=True):
            give_gradients([parameter], step)
            optimizer.step()
    assert deviation([ours], [theirs]) <= TORCH[torch.float64]


@backends
@intervals
def test_a_parameter_that_shrinks_in_place_is_stepped_no_further_than_it_reaches(after: int, backend: Backend) -> None:
    parameter = one_parameter(1.0, 10)
    whole = parameter.data
    optimizer = optimizer_of("gradient_descent", [parameter], backend=backend)
    for _ in range(after):
        optimizer.step()
    parameter.grad = None
    parameter.data = whole[:4]
    parameter.grad = torch.ones(4)
    optimizer.step()
    moved = 1 - 0.05 * after
    torch.testing.assert_close(whole, torch.tensor([moved - 0.05] * 4 + [moved] * 6))


@backends
@intervals
def test_a_parameter_that_is_read_in_another_dtype_in_place_is_stepped_in_that_one(
    after: int, backend: Backend
) -> None:
    parameter = one_parameter(dtype=torch.bfloat16)
    optimizer = optimizer_of("gradient_descent", [parameter], backend=backend)
    for _ in range(after):
        optimizer.step()
    parameter.grad = None
    parameter.data = parameter.data.view(torch.float16).fill_(1.0)
    parameter.grad = torch.ones(3, dtype=torch.float16)
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.95, dtype=torch.float16))


@backends
@intervals
def test_a_parameter_that_takes_another_shape_with_a_state_of_the_old_one_is_refused(
    after: int, backend: Backend
) -> None:
    parameter = one_parameter(1.0, 3, 4)
    optimizer = tw.Adam([parameter], backend=backend)
    for _ in range(after):
        optimizer.step()
    parameter.grad = None
    parameter.data = parameter.data.view(4, 3)
    parameter.grad = torch.ones(4, 3)
    with pytest.raises(ParameterError, match=r"has now the shape \(4, 3\), and its state `exp_avg` \(3, 4\)"):
        optimizer.step()


@backends
@intervals
def test_a_parameter_whose_tensor_is_swapped_for_another_is_stepped_where_it_is_now(
    after: int, backend: Backend
) -> None:
    parameter, other = one_parameter(), torch.full((3,), 7.0, requires_grad=True)
    optimizer = optimizer_of("gradient_descent", [parameter], backend=backend)
    for _ in range(after):
        optimizer.step()
    parameter.grad = None
    torch.utils.swap_tensors(parameter, other)  # what `module.to()` may do, by torch.__future__
    before = other.detach().clone()
    parameter.grad, other.grad = torch.ones(3), torch.full((3,), 1000.0)
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 6.95))
    assert torch.equal(other, before)


GROW = """
import torch, thalweg as tw
for backend in ("reference", "numba"):
    parameter = torch.ones(10, requires_grad=True)
    optimizer = tw.Adam([parameter], lr=0.1, backend=backend)
    parameter.grad = torch.ones(10)
    optimizer.step()
    parameter.grad = None
    parameter.data = torch.ones(200_000)
    parameter.grad = torch.ones(200_000)
    try:
        optimizer.step()
    except tw.errors.ParameterError as error:
        print(error)
"""


def test_a_parameter_that_outgrows_its_state_is_refused() -> None:
    # a step past the end of the state would end this process
    done = subprocess.run([sys.executable, "-c", GROW], capture_output=True, text=True, check=True)
    assert done.stdout.count("parameter 0 of group 0") == 2
    assert done.stdout.count("has now the shape (200000,), and its state `exp_avg` (10,)") == 2
    assert done.stdout.count("remove it from `optimizer.state` to begin anew") == 2


@backends
def test_a_model_may_change_its_dtype_and_its_states_follow(backend: Backend) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = tw.Adam(model.parameters(), lr=0.1, backend=backend)
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float32):
        model.to(dtype)
        model.zero_grad()
        model(torch.ones(1, 3, dtype=dtype)).sum().backward()
        optimizer.step()
        state = optimizer.state[model.weight]
        assert {value.dtype for name, value in state.items() if name != "step"} == {dtype}
    assert optimizer.state[model.weight]["step"] == 4


@pytest.mark.parametrize("set_to_none", [True, False])
def test_gradients_may_be_dropped_or_zeroed_between_steps(set_to_none: bool) -> None:
    models = [torch.nn.Linear(3, 2, dtype=torch.float64) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    pair = tw.SGD(models[0].parameters(), 0.1, 0.9), torch.optim.SGD(models[1].parameters(), 0.1, 0.9)
    for step in range(5):
        for model, optimizer in zip(models, pair, strict=True):
            optimizer.zero_grad(set_to_none=set_to_none)
            if step != 2:
                model(torch.full((1, 3), step + 1.0, dtype=torch.float64)).pow(2).sum().backward()
            optimizer.step()
    assert deviation(models[0].parameters(), models[1].parameters()) <= TORCH[torch.float64]


def test_a_parameter_exchanged_in_its_group_takes_over_with_the_state_it_is_given() -> None:
    old, plain = one_parameter(), one_parameter()
    optimizer, uninterrupted = tw.Adam([old], lr=0.1), tw.Adam([plain], lr=0.1)
    for each in (optimizer, uninterrupted):
        each.step()
    new = old.detach().clone().requires_grad_()
    new.grad = torch.ones(3)
    optimizer.state[new] = optimizer.state.pop(old)
    optimizer.param_groups[0]["params"][0] = new
    before = old.detach().clone()
    for each in (optimizer, uninterrupted):
        each.step()
    assert torch.equal(new, plain)
    assert torch.equal(old, before)


def test_a_parameter_or_a_group_that_is_appended_by_hand_is_stepped() -> None:
    optimizer = tw.SGD([one_parameter()], lr=0.1)
    optimizer.step()
    inside, beside = one_parameter(), one_parameter()
    optimizer.param_groups[0]["params"].append(inside)
    optimizer.step()
    optimizer.param_groups.append({**optimizer.param_groups[0], "params": [beside], "lr": 0.5})
    optimizer.step()
    torch.testing.assert_close(inside.detach(), torch.full((3,), 0.8))
    torch.testing.assert_close(beside.detach(), torch.full((3,), 0.5))
