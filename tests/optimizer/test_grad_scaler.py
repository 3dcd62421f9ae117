"""Mixed precision on the CPU: `torch.amp.GradScaler` unscales for us, and the steps that it leaves out do not count."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.amp import GradScaler

import thalweg as tw
from tolerances import TORCH_DECOUPLED, deviation

if TYPE_CHECKING:
    from collections.abc import Sequence


def network(dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).to(dtype)


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, *, autocast: torch.dtype | None, overflows: Sequence[int]
) -> GradScaler:
    scaler = GradScaler("cpu", init_scale=2.0**8, growth_interval=3)
    random = torch.Generator().manual_seed(1)
    for k in range(8):
        batch = torch.randn(16, 4, generator=random).to(next(model.parameters()).dtype)
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=autocast, enabled=autocast is not None):
            loss = (model(batch).float() ** 2).mean()
        scaler.scale(loss * (float("inf") if k in overflows else 1)).backward()
        scaler.step(optimizer)
        scaler.update()
    return scaler


@pytest.mark.parametrize(
    ("dtype", "autocast"),
    [(torch.float32, torch.float16), (torch.float32, torch.bfloat16), (torch.bfloat16, None)],
    ids=["autocast to float16", "autocast to bfloat16", "bfloat16"],
)
@pytest.mark.parametrize("overflows", [[], [0, 3, 4]], ids=str)
def test_a_scaled_run_is_that_of_torchs_adamw(dtype: torch.dtype, autocast: Any, overflows: list[int]) -> None:
    ours, theirs = (network(dtype) for _ in range(2))
    optimizer = tw.AdamW(ours.parameters(), lr=0.01, weight_decay=0.1)
    other = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1, fused=True)
    found, expected = (
        train(model, o, autocast=autocast, overflows=overflows) for model, o in ((ours, optimizer), (theirs, other))
    )
    tolerance = TORCH_DECOUPLED if dtype is torch.float32 else torch.finfo(dtype).eps
    assert deviation(ours.parameters(), theirs.parameters()) <= tolerance
    steps = {float(state["step"]) for some in (optimizer, other) for state in some.state_dict()["state"].values()}
    assert steps == {8 - len(overflows)}
    assert found.get_scale() == expected.get_scale()
    assert optimizer.skipped == 0


def test_a_schedule_waits_for_the_steps_that_are_made() -> None:
    model = network(torch.float32)
    optimizer = tw.Optimizer(model, tw.chain(tw.adam(), tw.step(tw.linear(0.1, 0.0, steps=10))))
    train(model, optimizer, autocast=None, overflows=[1, 2])
    assert optimizer.param_groups[0]["steps"] == 6
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


def test_gradients_of_float16_are_torchs_to_refuse() -> None:
    model = network(torch.float16)
    with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
        train(model, tw.AdamW(model.parameters()), autocast=None, overflows=[])
