"""A state dict is plain, is taken back by the same rule on the same shapes, and refused with one sentence otherwise."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

import thalweg as tw
from descents import descend, one_parameter, parameters

ADAM = tw.chain(tw.adam(), tw.step(0.1))


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return type(value) is dict and all(map(plain, (*value, *value.values())))
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return value is None or type(value) in {int, float, bool, str, torch.Tensor}


@pytest.mark.parametrize(
    "optimizer", [tw.Adam([one_parameter()]), tw.Optimizer([one_parameter()], ADAM)], ids=["Adam", "chain"]
)
def test_a_state_dict_holds_nothing_but_plain_values(optimizer: torch.optim.Optimizer) -> None:
    optimizer.step()
    assert plain(optimizer.state_dict())


def test_saving_changes_nothing_of_the_optimizer() -> None:
    optimizer = tw.Optimizer([one_parameter()], ADAM)
    optimizer.step()
    saved = optimizer.state_dict()
    assert saved["param_groups"][0]["chain"] == "chain(adam(), step())"
    assert optimizer.param_groups[0]["chain"] == ADAM
    optimizer.step()


def test_loading_takes_copies() -> None:
    first, second = tw.Adam([one_parameter()]), tw.Adam([one_parameter()])
    first.step()
    saved = first.state_dict()
    before = copy.deepcopy(saved)
    second.load_state_dict(saved)
    second.step()
    assert torch.equal(saved["state"][0]["exp_avg"], before["state"][0]["exp_avg"])
    assert saved["state"][0]["step"] == 1


def test_numbers_are_loaded_with_the_state() -> None:
    first = tw.Optimizer([one_parameter()], ADAM)
    first.param_groups[0]["beta1"] = 0.5
    first.step()
    second = tw.Optimizer([one_parameter()], ADAM)
    second.load_state_dict(first.state_dict())
    assert second.param_groups[0]["beta1"] == 0.5
    assert second.param_groups[0]["steps"] == 1


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_state_is_laid_out_as_its_parameter_wherever_it_was_saved(memory_format: torch.memory_format) -> None:
    other_format = {torch.contiguous_format: torch.channels_last, torch.channels_last: torch.contiguous_format}[
        memory_format
    ]
    saved_from, loaded_into = (
        torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)).to(memory_format=f).requires_grad_()
        for f in (memory_format, other_format)
    )
    first, second = tw.Adam([saved_from], lr=0.1), tw.Adam([loaded_into], lr=0.1)
    loaded_into.data.copy_(descend(first, 3)[0])
    second.load_state_dict(first.state_dict())
    assert torch.equal(descend(second, 2, start=3)[0], descend(first, 2, start=3)[0])


def test_an_expanded_state_is_loaded_as_what_it_shows() -> None:
    parameter = one_parameter(dtype=torch.float64)
    optimizer = tw.SGD([parameter], lr=0.1, momentum=0.5)
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0]["momentum_buffer"] = torch.ones(1, dtype=torch.float64).expand(3)
    optimizer.load_state_dict(saved)
    parameter.grad = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    optimizer.step()
    torch.testing.assert_close(
        optimizer.state[parameter]["momentum_buffer"], torch.tensor([1.5, 2.5, 3.5], dtype=torch.float64)
    )


def test_a_scheduler_made_before_loading_is_no_obstacle() -> None:
    saved = tw.Adam([one_parameter()], lr=0.2).state_dict()
    optimizer = tw.Adam([one_parameter()], lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    optimizer.load_state_dict(saved)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.02)


def test_parameters_that_were_never_stepped_are_loaded_without_a_state() -> None:
    some, others = parameters([(2,), (2,)]), parameters([(2,), (2,)])
    first, second = tw.Adam(some), tw.Adam(others)
    some[1].grad = torch.ones_like(some[1])
    first.step()
    second.load_state_dict(first.state_dict())
    assert list(second.state_dict()["state"]) == [1]
    descend(second, 1)
    assert [int(second.state[p]["step"]) for p in others] == [1, 2]


def test_a_step_count_saved_as_a_number_is_taken() -> None:
    optimizer = tw.Adam([one_parameter()])
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0]["step"] = 7
    optimizer.load_state_dict(saved)
    assert descend(optimizer, 1)
    assert optimizer.state_dict()["state"][0]["step"] == 8
