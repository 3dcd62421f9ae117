"""Muon's drop-in is torch's, up to the rounding of the iteration that both make in bfloat16."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import descend, give_gradients, parameters
from dropins import Settings, label
from thalweg.errors import ParameterError
from tolerances import TORCH, deviation

if TYPE_CHECKING:
    from torch import Tensor

SHAPES = ((16, 16), (24, 8), (16, 16), (8, 24), (5, 3), (1, 7), (7, 1), (64, 48))
CASES: tuple[tuple[str, Settings], ...] = (
    ("Muon", {}),
    ("Muon", {"lr": 0.02, "nesterov": False, "weight_decay": 0.0}),
    ("Muon", {"lr": 0.01, "adjust_lr_fn": "match_rms_adamw", "momentum": 0.8}),
    ("Muon", {"lr": 0.02, "ns_coefficients": (2.0, -1.5, 0.5), "ns_steps": 3, "eps": 1e-3}),
    ("Muon", {"lr": 0.02, "momentum": 0.0, "adjust_lr_fn": "original"}),
)
OF_THE_WAY = 1e-3
"""Of a hundred steps' way: torch multiplies one matrix after the other and we a stack, so that a bfloat16 here and
there is rounded to its other neighbour."""
every_case = pytest.mark.parametrize("case", CASES, ids=label)
every_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)


def apart(found: list[Tensor], expected: list[Tensor], starts: list[Tensor]) -> float:
    """The largest difference, as a fraction of the longest way."""
    way = max(float((a - b).detach().abs().max()) for a, b in zip(expected, starts, strict=True))
    return max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True)) / way


@every_dtype
@every_case
def test_a_hundred_steps_are_torchs(case: tuple[str, Settings], dtype: torch.dtype) -> None:
    ours, theirs = tw.Muon(parameters(SHAPES, dtype), **case[1]), torch.optim.Muon(parameters(SHAPES, dtype), **case[1])
    found, expected = descend(ours, 100), descend(theirs, 100)
    assert apart(found, expected, parameters(SHAPES, dtype)) <= OF_THE_WAY
    for mine, other in zip(ours.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True):
        assert ours.state[mine].keys() == theirs.state[other].keys() == {"momentum_buffer"}
        assert torch.equal(ours.state[mine]["momentum_buffer"], theirs.state[other]["momentum_buffer"])


@every_case
def test_one_step_on_one_matrix_is_torchs_to_the_last_bit_but_one(case: tuple[str, Settings]) -> None:
    reached = [descend(make(parameters([(32, 16)]), **case[1]), 1) for make in (tw.Muon, torch.optim.Muon)]
    assert deviation(*reached) <= TORCH[torch.float64]


@every_dtype
@pytest.mark.parametrize("direction", ["from torch to us", "from us to torch"])
@every_case
def test_a_run_goes_on(case: tuple[str, Settings], direction: str, dtype: torch.dtype) -> None:
    before, after = tw.Muon, torch.optim.Muon
    if direction == "from torch to us":
        before, after = after, before
    uninterrupted = descend(torch.optim.Muon(parameters(SHAPES, dtype), **case[1]), 20)
    first = before(parameters(SHAPES, dtype), **case[1])
    reached = descend(first, 10)
    second = after([p.requires_grad_() for p in reached])  # the settings come with the state
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    found = descend(second, 10, start=10)
    assert apart(found, uninterrupted, parameters(SHAPES, dtype)) <= OF_THE_WAY


@every_case
def test_a_chain_takes_over_its_state_and_says_the_same(case: tuple[str, Settings]) -> None:
    first = torch.optim.Muon(parameters(SHAPES), **case[1])
    reached = descend(first, 5)
    adjust = case[1].get("adjust_lr_fn") or "original"
    method = tw.muon(nesterov=bool(case[1].get("nesterov", True)), adjust=str(adjust))
    chain = tw.chain(method, tw.decay(), tw.step(1.0))
    second = tw.Optimizer([p.requires_grad_() for p in reached], chain)
    assert tw.load_torch_state(second, copy.deepcopy(first.state_dict()), "Muon", settings="saved").fits
    third = tw.Muon([p.detach().clone().requires_grad_() for p in reached])
    third.load_state_dict(copy.deepcopy(first.state_dict()))
    assert deviation(descend(second, 5, start=5), descend(third, 5, start=5)) <= TORCH[torch.float64]


def test_settings_changed_midway_count_from_the_next_step() -> None:
    reached: list[list[Tensor]] = []
    for make in (tw.Muon, torch.optim.Muon):
        optimizer = make(parameters(SHAPES), lr=0.01)
        for step, change in enumerate(({"lr": 0.05}, {"momentum": 0.5}, {"nesterov": False}, {"weight_decay": 0.0})):
            descend(optimizer, 2, start=2 * step)
            optimizer.param_groups[0].update(change)
        reached.append(descend(optimizer, 2, start=99))
    assert apart(*reached, parameters(SHAPES)) <= OF_THE_WAY


def test_a_scheduler_that_turns_rate_and_momentum_drives_ours_as_it_drives_torchs() -> None:
    reached: list[list[Tensor]] = []
    for make in (tw.Muon, torch.optim.Muon):
        optimizer = make(parameters(SHAPES), lr=0.01)
        driver = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=20, cycle_momentum=True)
        for step in range(12):
            descend(optimizer, 1, start=step)
            driver.step()
        assert optimizer.param_groups[0]["momentum"] < 0.95
        reached.append(descend(optimizer, 1, start=12))
    assert apart(*reached, parameters(SHAPES)) <= OF_THE_WAY


def test_a_state_survives_a_change_of_the_formula() -> None:
    optimizer = tw.Muon(parameters([(4, 4), (4, 4)]))
    descend(optimizer, 3)
    tensors = optimizer.param_groups[0]["params"]
    before = optimizer.state[tensors[0]]["momentum_buffer"].clone()
    optimizer.param_groups[0]["nesterov"] = False
    give_gradients(tensors, 3)
    optimizer.step()
    assert tensors[0].grad is not None
    expected = before.lerp(tensors[0].grad, 0.05)
    torch.testing.assert_close(optimizer.state[tensors[0]]["momentum_buffer"], expected)


def test_a_vector_is_refused_as_torch_refuses_it_and_a_convolution_is_taken() -> None:
    with pytest.raises(ParameterError, match=r"muon takes tensors of two dimensions or more, .* has shape \(7,\)"):
        tw.Muon(parameters([(4, 4), (7,)]))
    with pytest.raises(ValueError, match="2D"):
        torch.optim.Muon(parameters([(4, 4), (7,)]))
    descend(tw.Muon(parameters([(4, 3, 2, 2)])), 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_keeps_its_average_in_single_precision(dtype: torch.dtype) -> None:
    optimizer = tw.Muon(parameters([(16, 8)], dtype), lr=0.02)
    wide = tw.Muon(parameters([(16, 8)], torch.float32), lr=0.02)
    for step in range(20):
        (narrow,), (parameter,) = optimizer.param_groups[0]["params"], wide.param_groups[0]["params"]
        give_gradients([narrow], step)
        assert narrow.grad is not None
        parameter.grad = narrow.grad.float()
        optimizer.step()
        wide.step()
    assert optimizer.state[narrow]["momentum_buffer"].dtype == torch.float32
    assert torch.equal(optimizer.state[narrow]["momentum_buffer"], wide.state[parameter]["momentum_buffer"])
    assert deviation([narrow], [parameter]) <= 20 * torch.finfo(dtype).eps
