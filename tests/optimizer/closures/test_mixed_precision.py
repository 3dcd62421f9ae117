"""With a gradient scaler: unscaled at every evaluation, left out as a whole, and the scale is told."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.amp import GradScaler

import thalweg as tw
from tolerances import FORMULAS, deviation
from wells import EACH, EVALUATIONS, closure_of, loss, starts

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

each = pytest.mark.parametrize("name", EACH)


def scaled(
    optimizer: Any, tensors: list[Tensor], scaler: GradScaler, *, overflows_at: int | None = None
) -> Callable[[], Tensor]:
    """A closure that scales its loss, and gives back the one that is not scaled."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(tensors)
        scaler.scale(value).backward()
        if optimizer.evaluation == overflows_at:
            tensors[0].grad[0, 0] = float("inf")  # pyright: ignore[reportOptionalSubscript]
        return value

    return closure


@each
def test_a_scale_makes_no_difference(name: str) -> None:
    with_scale, without = starts(torch.float32), starts(torch.float32)
    optimizer, plain = EACH[name](with_scale), EACH[name](without)
    scaler = GradScaler("cpu", init_scale=2.0**10, growth_interval=2)
    for _ in range(6):
        given = optimizer.step(scaled(optimizer, with_scale, scaler), scaler=scaler)
        scaler.update()
        assert given.item() == pytest.approx(plain.step(closure_of(plain, without)).item(), rel=1e-5)
    assert deviation(with_scale, without) <= FORMULAS[torch.float32]
    assert scaler.get_scale() == 2.0**13, "it has grown three times"
    assert optimizer.skipped == 0


@each
def test_a_step_that_overflows_at_any_evaluation_is_left_out_and_the_scale_falls(name: str) -> None:
    for at in range(EVALUATIONS[name]):
        tensors = starts(torch.float32)
        optimizer = EACH[name](tensors)
        scaler = GradScaler("cpu", init_scale=8.0)
        optimizer.step(scaled(optimizer, tensors, scaler), scaler=scaler)
        scaler.update()
        before = [tensor.detach().clone() for tensor in tensors]
        optimizer.step(scaled(optimizer, tensors, scaler, overflows_at=at), scaler=scaler)
        scaler.update()
        assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
        assert all(optimizer.state[tensor]["step"] == 1 for tensor in tensors)
        assert optimizer.skipped == 1
        assert scaler.get_scale() == 4.0
        optimizer.step(scaled(optimizer, tensors, scaler), scaler=scaler)
        scaler.update()
        assert not any(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))


def test_a_scale_that_is_too_large_for_half_precision_is_found_by_itself() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = tw.SAM(model, tw.chain(tw.adam(), tw.step(0.05)), rho=0.02)
    scaler = GradScaler("cpu", init_scale=2.0**30)
    x = torch.randn(32, 4)
    y = x.sum(1, keepdim=True).sin()

    def closure() -> Tensor:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            value = (model(x) - y).float().square().mean()
        scaler.scale(value).backward()
        return value

    losses = []
    for _ in range(60):
        losses.append(optimizer.step(closure, scaler=scaler).item())
        scaler.update()
    assert 5 <= optimizer.skipped <= 30
    assert scaler.get_scale() == 2.0 ** (30 - optimizer.skipped)
    assert losses[-1] < losses[0] / 3


def test_a_scaler_that_is_switched_off_makes_no_difference() -> None:
    tensors, plain = starts(), starts()
    optimizer, other = EACH["sam"](tensors), EACH["sam"](plain)
    scaler = GradScaler("cpu", enabled=False)
    optimizer.step(scaled(optimizer, tensors, scaler), scaler=scaler)
    scaler.update()
    other.step(closure_of(other, plain))
    assert all(torch.equal(a, b) for a, b in zip(tensors, plain, strict=True))
    with pytest.raises(tw.errors.NonFiniteGradientError):
        optimizer.step(scaled(optimizer, tensors, scaler, overflows_at=1), scaler=scaler)


def test_two_optimizers_share_a_scaler() -> None:
    first, second = starts(torch.float32), starts(torch.float32)
    sam, adam = EACH["sam"](first), tw.Adam(second)
    scaler = GradScaler("cpu", init_scale=8.0)
    sam.step(scaled(sam, first, scaler, overflows_at=1), scaler=scaler)
    scaler.scale(loss(second)).backward()
    scaler.step(adam)
    scaler.update()
    assert scaler.get_scale() == 4.0
    assert all(torch.equal(a, b) for a, b in zip(first, starts(torch.float32), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(second, starts(torch.float32), strict=True))


def test_a_scale_that_was_not_updated_is_torchs_own_error() -> None:
    tensors = starts(torch.float32)
    optimizer = EACH["sam"](tensors)
    scaler = GradScaler("cpu", init_scale=8.0)
    optimizer.step(scaled(optimizer, tensors, scaler), scaler=scaler)
    before = [tensor.detach().clone() for tensor in tensors]
    with pytest.raises(
        RuntimeError, match=r"unscale_\(\) has already been called on this optimizer since the last upd"
    ):
        optimizer.step(scaled(optimizer, tensors, scaler), scaler=scaler)
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
