"""A chain that goes by the loss is given it by the closure or by name, and says what to do where it is not."""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import give_gradients, one_parameter, parameters
from thalweg.errors import BackendError, ChainError, LossError

if TYPE_CHECKING:
    from torch import Tensor

CHAIN = tw.chain(tw.rprop(delta0=0.1, form="irprop+"))
LOSSES = [3.0, 2.0, 2.5, 1.0, 4.0, 4.0, 3.0, 5.0]


def descend(optimizer: tw.Optimizer, steps: range = range(8), *, sign: float = 1.0) -> list[Tensor]:
    all_of_them = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for step in steps:
        give_gradients(all_of_them, step, sign)
        optimizer.step(loss=sign * LOSSES[step])
    return [parameter.detach().clone() for parameter in all_of_them]


def equal(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


def valley(parameter: Tensor) -> Tensor:
    return (parameter**2 * torch.tensor([1.0, 30.0])).sum()


def test_a_step_is_taken_back_where_the_loss_has_risen_and_else_not() -> None:
    reached: dict[float, float] = {}
    for second in (1.0, 3.0):
        parameter = one_parameter(0.0, 1)
        optimizer = tw.Optimizer([parameter], CHAIN)
        optimizer.step(loss=2.0)
        parameter.grad = -torch.ones(1)
        optimizer.step(loss=second)
        reached[second] = parameter.item()
    assert reached == {1.0: pytest.approx(-0.1), 3.0: 0.0}


def test_the_loss_of_a_closure_and_one_given_by_name_are_the_same() -> None:
    by_closure, by_name = (torch.tensor([1.0, -2.0], requires_grad=True) for _ in range(2))
    one, other = tw.Optimizer([by_closure], CHAIN), tw.Optimizer([by_name], CHAIN)

    def closure() -> Tensor:
        one.zero_grad()
        loss = valley(by_closure)
        loss.backward()
        return loss

    for _ in range(12):
        one.step(closure)
        other.zero_grad()
        loss = valley(by_name)
        loss.backward()
        other.step(loss=loss)
    assert torch.equal(by_closure, by_name)


@pytest.mark.parametrize("watched", [True, False])
def test_without_a_loss_nothing_moves_and_the_error_says_what_to_do(watched: bool) -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], CHAIN)
    if watched:
        optimizer.register_step_pre_hook(lambda *_: None)
    with pytest.raises(LossError, match=r"needs the loss; call `step\(closure\)` .* or `step\(loss=loss\)`"):
        optimizer.step()
    with pytest.raises(LossError, match=r"one number, and was given a tensor of shape \(3,\)"):
        optimizer.step(loss=torch.ones(3))
    with pytest.raises(LossError, match=r"one number, and was given \(1.0, 2.0\) of type tuple"):
        optimizer.step(lambda: (1.0, 2.0))
    with pytest.raises(LossError, match="a closure and a `loss`"):
        optimizer.step(lambda: 1.0, loss=1.0)
    assert torch.equal(parameter, torch.ones(3))
    optimizer.step(loss=1.0)
    assert not torch.equal(parameter, torch.ones(3))


def test_a_chain_that_does_not_ask_for_the_loss_takes_no_notice_of_it() -> None:
    parameter, other = one_parameter(), one_parameter()
    tw.Optimizer([parameter], tw.chain(tw.adam(), tw.step(0.1))).step(loss=float("nan"))
    tw.Optimizer([other], tw.chain(tw.adam(), tw.step(0.1))).step()
    assert torch.equal(parameter, other)


def test_a_loss_that_is_not_finite_is_an_error_a_counted_skip_or_taken_as_it_is() -> None:
    parameter = one_parameter()
    with pytest.raises(LossError, match=r"the loss is nan, .* nothing has moved"):
        tw.Optimizer([parameter], CHAIN).step(loss=float("nan"))
    skipping = tw.Optimizer([parameter], CHAIN, nonfinite="skip")
    skipping.step(loss=float("inf"))
    assert skipping.skipped == 1
    assert torch.equal(parameter, torch.ones(3))
    tw.Optimizer([parameter], CHAIN, nonfinite="propagate").step(loss=float("inf"))
    assert torch.equal(parameter, torch.full((3,), 0.9))


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit() -> None:
    uninterrupted = descend(tw.Optimizer(parameters(dtype=torch.float32), CHAIN))
    first = tw.Optimizer(parameters(dtype=torch.float32), CHAIN)
    reached = descend(first, range(4))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = tw.Optimizer([p.requires_grad_() for p in reached], CHAIN)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert second.param_groups[0]["loss_prev"] == LOSSES[3]
    assert equal(descend(second, range(4, 8)), uninterrupted)
    assert not equal(descend(tw.Optimizer(reached, CHAIN), range(4, 8)), uninterrupted)


def test_ascending_is_descending_on_the_negative_of_loss_and_gradient() -> None:
    ascending = tw.Optimizer(parameters(), CHAIN, maximize=True)
    descending = tw.Optimizer(parameters(), CHAIN)
    assert equal(descend(ascending), descend(descending, sign=-1.0))


def test_groups_with_sizes_of_their_own_see_the_same_loss() -> None:
    together = tw.Optimizer(
        [{"params": [p], "delta0": size} for p, size in zip(parameters(), (0.1, 0.2, 0.3, 0.1, 0.2, 0.3), strict=True)],
        CHAIN,
    )
    reached = descend(together)
    for place in (0, 3):
        alone = [copy.deepcopy(p) for p in parameters()]
        optimizer = tw.Optimizer([alone[place]], CHAIN)
        for step in range(8):
            give_gradients(alone, step)
            optimizer.step(loss=LOSSES[step])
        assert torch.equal(alone[place], reached[place])


def test_sam_hands_on_the_loss_at_the_parameters() -> None:
    parameter = torch.tensor([1.0, -2.0], requires_grad=True)
    optimizer = tw.SAM([parameter], CHAIN)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = valley(parameter)
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    assert optimizer.param_groups[0]["loss_prev"] == loss.item() == valley(torch.tensor([1.0, -2.0])).item()


def test_losses_are_not_added_up_with_gradients() -> None:
    with pytest.raises(
        ChainError, match=r"gradients are added up over .* call backward several times before a step instead"
    ):
        tw.Optimizer([one_parameter()], tw.chain(tw.accumulate(2), *CHAIN.stages))


def test_a_stage_may_limit_how_many_losses_are_left_out_in_a_row() -> None:
    optimizer = tw.Optimizer([one_parameter()], tw.chain(tw.skip_nonfinite(at_most=1), *CHAIN.stages))
    optimizer.step(loss=float("nan"))
    assert optimizer.skipped == 1
    with pytest.raises(LossError, match="the loss is nan, and too many steps in a row"):
        optimizer.step(loss=float("nan"))


def test_what_cannot_be_given_a_loss_says_so() -> None:
    parameter = one_parameter()
    with pytest.raises(ChainError, match="needs the loss, and where it leads"):
        tw.LookAheadNesterov([parameter], CHAIN).step(lambda: 1.0)
    with pytest.raises(BackendError, match="steps by the loss, which the host hands over, and cannot be `capturable`"):
        tw.Optimizer([parameter], CHAIN, backend="triton", capturable=True)
    with pytest.raises(ChainError, match=r"functional\(\) is given no loss"):
        tw.functional(CHAIN).init({"x": parameter})
