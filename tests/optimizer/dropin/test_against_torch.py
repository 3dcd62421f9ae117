"""The drop-ins arrive where `torch.optim` arrives after 100 steps."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import descend, give_gradients, parameters
from dropins import CASES, NAMES, OF_TENSORS, OF_TENSORS_CASES, Settings, default_dtype, label, ours, suited, theirs
from tolerances import TORCH, TORCH_DECOUPLED, deviation

if TYPE_CHECKING:
    from torch import Tensor

SHAPES = ((3, 4), (), (7,), (2, 1, 3), (0,), (5, 300))
every_case = pytest.mark.parametrize("case", CASES + OF_TENSORS_CASES, ids=label)


@every_case
def test_in_double_precision(case: tuple[str, Settings]) -> None:
    name, settings = case
    shapes = suited(name, SHAPES)
    with default_dtype(torch.float64):
        found = descend(ours(name)(parameters(shapes), **settings), 100)
        expected = descend(theirs(name)(parameters(shapes), **settings), 100)
    assert deviation(found, expected) <= TORCH[torch.float64]


@pytest.mark.parametrize("case", OF_TENSORS_CASES, ids=label)
def test_in_double_precision_where_torch_has_a_tensors_numbers_in_single_precision(case: tuple[str, Settings]) -> None:
    name, settings = case
    shapes = suited(name, SHAPES)
    found = descend(ours(name)(parameters(shapes), **settings), 100)
    expected = descend(theirs(name)(parameters(shapes), **settings), 100)
    assert deviation(found, expected) <= TORCH[torch.float32] / 100


@every_case
def test_in_single_precision(case: tuple[str, Settings]) -> None:
    name, settings = case
    shapes = suited(name, SHAPES)
    found = descend(ours(name)(parameters(shapes, torch.float32), **settings), 100)
    expected = descend(theirs(name)(parameters(shapes, torch.float32), **settings), 100)
    # torch rounds ASGD's decay, too, and adds NAdam's two terms one after the other
    rounds_more = name in {"ASGD", "NAdam"} or decays_decoupled(case)
    assert deviation(found, expected) <= (TORCH_DECOUPLED if rounds_more else TORCH[torch.float32])


def beside_double_precision(
    name: str, dtype: torch.dtype, settings: Settings, exact: Settings, steps: int
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Where ours and torch's arrive in a dtype, and torch's in double precision, by the same rounded gradients."""
    found, plain = (parameters(suited(name, SHAPES), dtype) for _ in range(2))
    truth = [parameter.detach().double().requires_grad_() for parameter in found]
    optimizers = ours(name)(found, **settings), theirs(name)(plain, **settings), theirs(name)(truth, **settings | exact)
    for step in range(steps):
        give_gradients(found, step)
        for mine, other, wide in zip(found, plain, truth, strict=True):
            assert mine.grad is not None
            other.grad, wide.grad = mine.grad.clone(), mine.grad.double()
        for optimizer in optimizers:
            optimizer.step()
    return found, plain, truth


@every_case
def test_single_precision_is_no_further_from_double_precision_than_torch(case: tuple[str, Settings]) -> None:
    found, plain, truth = beside_double_precision(case[0], torch.float32, case[1], {}, 100)
    distance = deviation(found, truth)
    assert distance <= TORCH[torch.float32]
    assert distance <= 1.5 * deviation(plain, truth) + 1e-7  # a last bit this way or that is luck


def test_adamw_in_single_precision_stays_nearer_to_double_precision_than_torchs_loop_and_fused_kernel() -> None:
    settings = {"lr": 0.01, "weight_decay": 0.01}
    distances = []
    for make in (ours("AdamW"), theirs("AdamW"), partial(theirs("AdamW"), fused=True)):
        single, truth = torch.ones(1000, requires_grad=True), torch.ones(1000, dtype=torch.float64, requires_grad=True)
        pair = make([single], **settings), theirs("AdamW")([truth], **settings)
        for step in range(300):
            give_gradients([single], step)
            assert single.grad is not None
            truth.grad = single.grad.double()
            for optimizer in pair:
                optimizer.step()
        distances.append(float((single.detach().double() - truth.detach()).mean().abs()))
    mine, loop, fused = distances
    assert mine < loop / 3
    assert mine < fused / 3


def decays_decoupled(case: tuple[str, Settings]) -> bool:
    name, settings = case
    return bool(name == "AdamW" and settings.get("weight_decay", 1)) or bool(settings.get("decoupled_weight_decay"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("name", "settings"), [("Adam", {}), ("AdamW", {"lr": 0.02}), ("Adagrad", {"lr": 0.1})])
def test_half_precision_stays_within_a_rounding_of_torchs_fused_kernel(
    name: str, settings: Settings, dtype: torch.dtype
) -> None:
    found = descend(ours(name)(parameters(SHAPES, dtype), **settings), 10)
    expected = descend(theirs(name)(parameters(SHAPES, dtype), **settings, fused=True), 10)
    assert deviation(found, expected) <= torch.finfo(dtype).eps


@pytest.mark.parametrize("name", [*NAMES, *OF_TENSORS])
def test_options_of_torchs_implementation_are_taken_and_make_no_difference(name: str) -> None:
    shapes = suited(name, SHAPES)
    plain = descend(ours(name)(parameters(shapes)), 3)
    known = inspect.signature(theirs(name)).parameters.keys() & {"foreach", "fused", "capturable"}
    assert "foreach" in known
    for option in known:
        for value in (True, False):
            optimizer = ours(name)(parameters(shapes), **{option: value})
            assert optimizer.param_groups[0][option] is value
            assert all(torch.equal(a, b) for a, b in zip(descend(optimizer, 3), plain, strict=True))


def test_the_rate_and_the_betas_may_be_tensors_that_change() -> None:
    reached = []
    for optimizer_class in (tw.Adam, torch.optim.Adam):
        rate = torch.tensor(0.1, dtype=torch.float64)
        betas = (torch.tensor(0.9, dtype=torch.float64), torch.tensor(0.999, dtype=torch.float64))
        extra = {"betas": betas} if optimizer_class is tw.Adam else {}
        optimizer = optimizer_class(parameters(), lr=rate, **extra)
        descend(optimizer, 3)
        rate.mul_(0.5)
        reached.append(descend(optimizer, 3, start=3))
    assert deviation(*reached) <= TORCH[torch.float64]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", OF_TENSORS)
def test_half_precision_is_no_further_from_double_precision_than_torch(name: str, dtype: torch.dtype) -> None:
    eps = {"eps": (torch.finfo(dtype).eps, 1e-3)} if name == "Adafactor" else {}
    found, plain, truth = beside_double_precision(name, dtype, {}, eps, 10)
    distance, rounding = deviation(found, truth), torch.finfo(dtype).eps
    assert 0 < distance <= 4 * rounding
    if (name, dtype) != ("NAdam", torch.float16):  # there torch's eps rounds to nothing, and it divides by it
        assert distance <= 1.5 * deviation(plain, truth) + rounding / 2


@pytest.mark.parametrize("name", ["ASGD", "NAdam", "Adafactor"])
def test_a_rate_that_changes_midway_counts_when_torchs_does(name: str) -> None:
    reached = []
    with default_dtype(torch.float64):
        for make in (ours(name), theirs(name)):
            optimizer = make(parameters(suited(name, SHAPES)), lr=0.05)
            for step, rate in enumerate((0.05, 0.01, 0.2, 0.0, 0.1)):
                optimizer.param_groups[0]["lr"] = rate
                descend(optimizer, 2, start=2 * step)
            reached.append(descend(optimizer, 2, start=99))
    assert deviation(*reached) <= TORCH[torch.float64]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_adafactors_first_epsilon_is_the_rounding_of_the_parameters(dtype: torch.dtype) -> None:
    reached = []
    for settings in ({}, {"eps": (torch.finfo(dtype).eps, 1e-3)}):
        optimizer = tw.Adafactor(parameters(suited("Adafactor", SHAPES), dtype), **settings)
        reached.append(descend(optimizer, 5, scale=1e-4 if dtype == torch.bfloat16 else 1e-9))
    assert all(torch.equal(a, b) for a, b in zip(*reached, strict=True))
    other = tw.Adafactor(parameters(suited("Adafactor", SHAPES), dtype), eps=(1e-30, 1e-3))
    assert deviation(descend(other, 5, scale=1e-4 if dtype == torch.bfloat16 else 1e-9), reached[0]) > 0


def test_settings_changed_midway_count_from_the_next_step() -> None:
    changes: list[Settings] = [
        {"lr": 0.05},
        {"betas": (0.5, 0.99)},
        {"weight_decay": 0.2},
        {"eps": 1e-2},
        {"maximize": True},
        {"weight_decay": 0},
    ]
    pair = tw.Adam(parameters()), torch.optim.Adam(parameters())
    reached = []
    for optimizer in pair:
        for step, change in enumerate(changes):
            descend(optimizer, 3, start=3 * step)
            optimizer.param_groups[0].update(change)
        reached.append(descend(optimizer, 3, start=99))
    assert deviation(*reached) <= TORCH[torch.float64]


def test_a_list_of_betas_changed_in_place_counts_from_the_next_step() -> None:
    reached = []
    for optimizer in (tw.Adam(parameters()), torch.optim.Adam(parameters())):
        optimizer.param_groups[0]["betas"] = [0.9, 0.99]
        descend(optimizer, 3)
        optimizer.param_groups[0]["betas"][0] = 0.2
        reached.append(descend(optimizer, 3, start=3))
    assert deviation(*reached) <= TORCH[torch.float64]


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_switched_on_midway_begins_with_the_undamped_gradient(nesterov: bool) -> None:
    reached = []
    for optimizer_class in (tw.SGD, torch.optim.SGD):
        optimizer = optimizer_class(parameters(), lr=0.05, dampening=0.0 if nesterov else 0.5)
        descend(optimizer, 3)
        optimizer.param_groups[0].update(momentum=0.9, nesterov=nesterov)
        descend(optimizer, 3, start=3)
        optimizer.param_groups[0].update(momentum=0.0, nesterov=False)
        descend(optimizer, 2, start=6)
        optimizer.param_groups[0].update(momentum=0.5, nesterov=nesterov)
        reached.append(descend(optimizer, 3, start=8))
    assert deviation(*reached) <= TORCH[torch.float64]
