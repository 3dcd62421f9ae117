"""A run may go from torch to us and back, in the middle."""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import SHAPES, descend, one_parameter, parameters
from dropins import (
    NAMES,
    OF_TENSORS,
    OF_TENSORS_WITH_STATE,
    WITH_STATE,
    Settings,
    default_dtype,
    label,
    ours,
    suited,
    theirs,
)
from tolerances import TORCH, deviation

if TYPE_CHECKING:
    from collections.abc import Callable


def reloaded(state_dict: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state_dict, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("direction", ["from torch to us", "from us to torch"])
@pytest.mark.parametrize("case", WITH_STATE + OF_TENSORS_WITH_STATE, ids=label)
def test_a_run_goes_on(case: tuple[str, Settings], direction: str) -> None:
    name, settings = case
    shapes = suited(name, SHAPES)
    before, after = (theirs(name), ours(name)) if direction == "from torch to us" else (ours(name), theirs(name))
    with default_dtype(torch.float64):
        uninterrupted = descend(theirs(name)(parameters(shapes), **settings), 20)
        first = before(parameters(shapes), **settings)
        reached = descend(first, 10)
        second = after([p.requires_grad_() for p in reached])  # the settings come with the state
        second.load_state_dict(reloaded(first.state_dict()))
        assert deviation(descend(second, 10, start=10), uninterrupted) <= TORCH[torch.float64]


@pytest.mark.parametrize("name", NAMES + OF_TENSORS)
def test_a_state_that_was_never_stepped_goes_both_ways(name: str) -> None:
    shapes = suited(name, SHAPES)
    for before, after in ((ours(name), theirs(name)), (theirs(name), ours(name))):
        with default_dtype(torch.float64):
            optimizer = after(parameters(shapes))
            optimizer.load_state_dict(before(parameters(shapes)).state_dict())
            expected = descend(theirs(name)(parameters(shapes)), 3)
            assert deviation(descend(optimizer, 3), expected) <= TORCH[torch.float64]


def test_adamw_from_an_older_torch_that_did_not_say_how_it_decays_still_decays_decoupled() -> None:
    reached = []
    for optimizer_class in (tw.AdamW, torch.optim.AdamW):
        first = torch.optim.AdamW(parameters(), lr=0.1, weight_decay=0.5)
        starts = descend(first, 3)
        saved = copy.deepcopy(first.state_dict())
        del saved["param_groups"][0]["decoupled_weight_decay"]
        second = optimizer_class([p.requires_grad_() for p in starts])
        second.load_state_dict(saved)
        reached.append(descend(second, 3, start=3))
    assert deviation(*reached) <= TORCH[torch.float64]


def test_adamw_that_takes_over_adams_state_still_decays_decoupled() -> None:
    reached = []
    for optimizer_class in (tw.AdamW, torch.optim.AdamW):
        first = torch.optim.Adam(parameters(), lr=0.1, weight_decay=0.5)
        starts = descend(first, 3)
        second = optimizer_class([p.requires_grad_() for p in starts])
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        reached.append(descend(second, 3, start=3))
    assert deviation(*reached) <= TORCH[torch.float64]


@pytest.mark.parametrize("missing", ["maximize", "foreach", "fused", "capturable", "differentiable"])
def test_a_state_of_an_older_torch_that_lacks_a_switch_is_taken(missing: str) -> None:
    first = torch.optim.Adam(parameters())
    starts = descend(first, 3)
    saved = copy.deepcopy(first.state_dict())
    del saved["param_groups"][0][missing]
    second = tw.Adam([p.requires_grad_() for p in starts])
    second.load_state_dict(saved)
    assert deviation(descend(second, 3, start=3), descend(first, 3, start=3)) <= TORCH[torch.float64]


def test_the_state_of_torchs_fused_optimizer_is_taken() -> None:
    first = torch.optim.Adam(parameters(), fused=True)
    starts = descend(first, 3)
    second = tw.Adam([p.requires_grad_() for p in starts])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert deviation(descend(second, 3, start=3), descend(first, 3, start=3)) <= TORCH[torch.float64]


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize("name", OF_TENSORS)
def test_groups_in_single_precision_go_both_ways_whichever_way_torch_computes(name: str, foreach: bool) -> None:
    def made(make: Callable[..., torch.optim.Optimizer], tensors: list[torch.Tensor]) -> torch.optim.Optimizer:
        own = {"weight_decay": 0.1, "lr": 0.05}
        return make([{"params": tensors[:2]}, {"params": tensors[2:], **own}], lr=0.02, foreach=foreach)

    shapes = suited(name, SHAPES)
    uninterrupted = descend(made(theirs(name), parameters(shapes, torch.float32)), 20)
    for before, after in ((theirs(name), ours(name)), (ours(name), theirs(name))):
        first = made(before, parameters(shapes, torch.float32))
        reached = descend(first, 10)
        second = made(after, [p.requires_grad_() for p in reached])
        second.load_state_dict(reloaded(first.state_dict()))
        assert [group["foreach"] for group in second.param_groups] == [foreach, foreach]
        assert deviation(descend(second, 10, start=10), uninterrupted) <= TORCH[torch.float32]


def test_a_state_in_single_precision_serves_a_model_in_half() -> None:
    first = torch.optim.Adam([one_parameter()])
    first.step()
    second = tw.Adam([one_parameter(dtype=torch.bfloat16)])
    second.load_state_dict(first.state_dict())
    second.step()
    state = second.state[second.param_groups[0]["params"][0]]
    assert (state["exp_avg"].dtype, state["step"].dtype, float(state["step"])) == (torch.bfloat16, torch.float32, 2.0)


@pytest.mark.parametrize("kind", ["ours", "torch's"])
@pytest.mark.parametrize(
    ("name", "first", "then"),
    [("SGD", {"momentum": 0.9}, {"momentum": 0.0}), ("Adam", {"amsgrad": True}, {"amsgrad": False})],
    ids=["SGD", "Adam"],
)
def test_a_state_saved_after_a_setting_has_made_part_of_it_idle_is_taken(
    name: str, first: Settings, then: Settings, kind: str
) -> None:
    reached = []
    for make in (ours(name), theirs(name)):
        before = (ours if kind == "ours" else theirs)(name)(parameters(), **first)
        descend(before, 2)
        before.param_groups[0].update(then)
        starts = descend(before, 2, start=2)
        after = make([p.requires_grad_() for p in starts])
        after.load_state_dict(copy.deepcopy(before.state_dict()))
        descend(after, 1, start=4)
        after.param_groups[0].update(first)
        reached.append(descend(after, 2, start=5))
    assert deviation(*reached) <= TORCH[torch.float64]
