"""Numbers that follow a schedule: of the chain, of a group, and of torch's schedulers."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import one_parameter
from thalweg.errors import ChainError, HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.optimizer.layout import Backend


def descent(rate: Any, **settings: Any) -> tuple[torch.Tensor, tw.Optimizer]:
    parameter = one_parameter(0.0, dtype=torch.float64)
    return parameter, tw.Optimizer([parameter], tw.chain(tw.gradient_descent(), tw.step(rate)), **settings)


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_the_rate_of_a_step_is_the_schedules_value_at_the_steps_done(backend: Backend) -> None:
    schedule = tw.warmup(3) >> tw.cosine(0.5, steps=5)
    parameter, optimizer = descent(schedule, backend=backend)
    for k in range(10):
        before = parameter.detach().clone()
        optimizer.step()
        torch.testing.assert_close(before - parameter.detach(), torch.full_like(before, schedule(k)))
        assert optimizer.param_groups[0]["lr"] == schedule(k)


def test_any_number_may_follow_a_schedule() -> None:
    ours, theirs = (one_parameter(dtype=torch.float64) for _ in range(2))
    betas = tw.linear(0.9, 0.5, steps=5)
    chain = tw.chain(tw.adam(betas, eps=lambda k: 1e-8 * (k + 1)), tw.decay(lambda k: 0.1 * k), tw.step(0.1))
    optimizer = tw.Optimizer([ours], chain)
    other = torch.optim.AdamW([theirs], lr=0.1)
    for k in range(8):
        other.param_groups[0].update(betas=(betas(k), 0.999), eps=1e-8 * (k + 1), weight_decay=0.1 * k)
        for parameter, each in ((ours, optimizer), (theirs, other)):
            parameter.grad = torch.tensor([1.0, -0.5, 0.1 * k], dtype=torch.float64)
            each.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "stage", [tw.rprop(tw.constant(0.2)), tw.rprop(lambda k: 0.2 / (k + 1))], ids=["a schedule", "a function"]
)
def test_a_state_may_start_at_a_schedules_first_value(stage: Any) -> None:
    parameter = one_parameter()
    tw.Optimizer([parameter], tw.chain(stage)).step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.8))


BAD: dict[str, tuple[Callable[[int], float], str]] = {
    "NaN": (lambda k: 0.1 if k < 2 else float("nan"), "nan; it must lie in"),
    "negative": (lambda k: 0.1 - k / 10 * 0.6, r"-0.0[0-9]+; it must lie in \[0, ∞\)"),
    "infinite": (lambda k: 0.1 if k < 2 else float("inf"), "inf; it must lie in"),
}


@pytest.mark.parametrize(("schedule", "message"), BAD.values(), ids=BAD)
def test_a_schedule_that_leaves_the_range_is_refused_at_that_step_before_anything_moves(
    schedule: Callable[[int], float], message: str
) -> None:
    parameter, optimizer = descent(schedule)
    optimizer.step()
    optimizer.step()
    before = parameter.detach().clone()
    with pytest.raises(HyperparameterError, match=message):
        optimizer.step()
    assert torch.equal(parameter, before)


def test_a_schedule_given_to_a_group_later_is_followed() -> None:
    parameter, optimizer = descent(0.1)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = lambda k: 0.5 * k
    optimizer.step()
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), -0.1 - 0.5 - 1.0, dtype=torch.float64))


def test_a_number_set_by_hand_where_a_schedule_drives_is_an_error_and_not_ignored() -> None:
    _, optimizer = descent(tw.cosine(0.1, steps=10))
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.5
    with pytest.raises(
        ChainError,
        match=r"`lr` follows cosine\(0.1, steps=10\), and something else has set it to 0.5; "
        "use either a schedule in the chain or a scheduler of torch's",
    ):
        optimizer.step()


def test_torchs_scheduler_on_a_scheduled_chain_is_an_error_and_not_ignored() -> None:
    _, optimizer = descent(tw.cosine(0.1, steps=10))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)
    optimizer.step()
    scheduler.step()
    with pytest.raises(ChainError, match="use either a schedule in the chain or a scheduler of torch's"):
        optimizer.step()


def test_torchs_scheduler_drives_a_chain_with_a_plain_rate() -> None:
    parameter, optimizer = descent(0.4)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), -0.7, dtype=torch.float64))


def test_a_resumed_schedule_goes_on_where_it_was() -> None:
    _, first = descent(tw.linear(1.0, 0.0, steps=10))
    for _ in range(4):
        first.step()
    parameter, second = descent(tw.linear(1.0, 0.0, steps=10))
    second.load_state_dict(first.state_dict())
    second.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), -0.6, dtype=torch.float64))
