"""States may be reset, replaced or set by hand between steps, and the next step takes them as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import one_parameter
from thalweg.errors import ParameterError
from tolerances import TORCH, deviation

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


RESETS: dict[str, Callable[[Any, Tensor], None]] = {
    "the state emptied": lambda state, p: state.__setitem__(p, {}),
    "the state cleared": lambda state, p: state[p].clear(),
    "the state taken out": lambda state, p: state.pop(p),
    "the state deleted": lambda state, p: state.__delitem__(p),
    "all states cleared": lambda state, _: state.clear(),
}


@pytest.mark.parametrize("reset", RESETS.values(), ids=RESETS)
def test_a_state_that_is_reset_by_hand_begins_anew(reset: Callable[[Any, Tensor], None]) -> None:
    parameter, fresh = one_parameter(), one_parameter()
    optimizer = tw.Adam([parameter], lr=0.1)
    for _ in range(5):
        optimizer.step()
    reset(optimizer.state, parameter)
    fresh.data.copy_(parameter.data)
    tw.Adam([fresh], lr=0.1).step()
    optimizer.step()
    assert torch.equal(parameter, fresh)
    assert optimizer.state[parameter]["step"] == 1


def test_a_step_count_set_by_hand_counts() -> None:
    ours, theirs = one_parameter(dtype=torch.float64), one_parameter(dtype=torch.float64)
    pair = tw.Adam([ours], lr=0.1), torch.optim.Adam([theirs], lr=0.1)
    for step in range(6):
        for parameter, optimizer in zip((ours, theirs), pair, strict=True):
            if step == 3:
                optimizer.state[parameter]["step"].zero_()
                optimizer.state[parameter]["exp_avg"].mul_(0.5)
            if step == 4:
                optimizer.state[parameter]["step"] = torch.tensor(100.0)
                optimizer.state[parameter]["exp_avg_sq"] = torch.full_like(parameter, 3.0)
            optimizer.step()
    assert deviation([ours], [theirs]) <= TORCH[torch.float64]


def test_a_state_of_another_shape_set_by_hand_is_refused() -> None:
    parameter = one_parameter()
    optimizer = tw.Adam([parameter])
    optimizer.step()
    optimizer.state[parameter]["exp_avg"] = torch.zeros(4)
    with pytest.raises(ParameterError, match=r"has now the shape \(3,\), and its state `exp_avg` \(4,\)"):
        optimizer.step()
