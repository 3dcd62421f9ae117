"""What holds for every chain with a matrix method: order, copies, resuming, unused tensors, memory."""

from __future__ import annotations

import copy
import io
import pickle
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import descend, give_gradients, parameters
from tolerances import deviation
from whole_stages import APART, CHAINS, ONE_BY_ONE, SHAPES, gradient_of, optimizer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


def pickled(optimizer: tw.Optimizer) -> tw.Optimizer:
    return pickle.loads(pickle.dumps(optimizer))  # noqa: S301


every_chain = pytest.mark.parametrize("name", CHAINS)


@every_chain
def test_the_order_of_parameters_makes_no_difference(name: str) -> None:
    there, back = parameters(SHAPES), parameters(SHAPES)
    optimizers = optimizer_of(name, there), optimizer_of(name, back[::-1])
    for step in range(6):
        give_gradients(there, step)
        for a, b in zip(there, back, strict=True):
            b.grad = gradient_of(a).clone()
        for optimizer in optimizers:
            optimizer.step()
    assert deviation(there, back) <= ONE_BY_ONE.get(name, 1e-11)


@every_chain
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(name: str, dtype: torch.dtype) -> None:
    uninterrupted = descend(optimizer_of(name, parameters(SHAPES, dtype)), 11)
    first = optimizer_of(name, parameters(SHAPES, dtype))
    reached = descend(first, 5)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = optimizer_of(name, [p.requires_grad_() for p in reached])
    second.load_state_dict(torch.load(file, weights_only=True))
    assert equal(descend(second, 6, start=5), uninterrupted)


@every_chain
def test_a_state_dict_comes_back_as_it_was(name: str) -> None:
    optimizer = optimizer_of(name, parameters(SHAPES, torch.bfloat16))
    descend(optimizer, 4)
    saved = copy.deepcopy(optimizer.state_dict())
    other = optimizer_of(name, parameters(SHAPES, torch.bfloat16))
    other.load_state_dict(saved)
    found = other.state_dict()
    assert found["state"].keys() == saved["state"].keys()
    for place, state in saved["state"].items():
        assert found["state"][place].keys() == state.keys()
        assert all(torch.equal(found["state"][place][own], value) for own, value in state.items())
        assert all(found["state"][place][own].dtype == value.dtype for own, value in state.items())


@every_chain
def test_the_state_of_a_method_is_kept_in_single_precision_and_the_direction_not_at_all(name: str) -> None:
    optimizer = optimizer_of(name, parameters(SHAPES, torch.bfloat16))
    descend(optimizer, 1)
    (stage,) = (CHAINS[name]().stages[place] for place in CHAINS[name]().wholes)
    for parameter in optimizer.param_groups[0]["params"]:
        state = optimizer.state[parameter]
        assert not any("direction" in own for own in state)
        own = [
            value for key, value in state.items() if key.split(".")[-1] in stage.states and key.split(".")[0] != "mars"
        ]
        assert own
        assert all(value.dtype == torch.float32 for value in own)


@every_chain
@pytest.mark.parametrize("by", [copy.deepcopy, pickled])
def test_a_copy_goes_on_by_itself(name: str, by: Callable[[tw.Optimizer], tw.Optimizer]) -> None:
    first = optimizer_of(name, parameters(SHAPES, torch.float32))
    descend(first, 3)
    second = by(first)
    before = [p.detach().clone() for p in first.param_groups[0]["params"]]
    reached = descend(second, 4, start=3)
    assert equal(before, first.param_groups[0]["params"])
    assert equal(descend(first, 4, start=3), reached)


@every_chain
def test_a_state_goes_by_name_into_an_optimizer_with_another_order(name: str) -> None:
    names = [f"layer{at}.weight" for at in range(len(SHAPES))]
    first = optimizer_of(name, list(zip(names, parameters(SHAPES), strict=True)))
    reached = descend(first, 4)
    saved = copy.deepcopy(tw.named_state(first))
    turned = list(zip(names, [p.requires_grad_() for p in reached], strict=True))[::-1]
    second = optimizer_of(name, turned)
    assert tw.load_named_state(second, saved).fits
    for key, parameter in turned:
        assert second.state[parameter].keys() == saved["state"][key].keys()
        assert all(torch.equal(second.state[parameter][own], value) for own, value in saved["state"][key].items())
    give_gradients([p for _, p in turned[::-1]], 4)
    for a, (_, b) in zip(first.param_groups[0]["params"], turned[::-1], strict=True):
        a.grad = gradient_of(b).clone()
    first.step()
    second.step()
    found = [p for _, p in turned[::-1]]
    assert deviation(found, first.param_groups[0]["params"]) <= ONE_BY_ONE.get(name, 1e-11)


@pytest.mark.parametrize("name", APART)
def test_a_tensor_unused_for_a_while_keeps_its_own_states_and_count(name: str) -> None:
    busy, seldom, idle = parameters([(6, 4)] * 3)
    both = optimizer_of(name, [busy, seldom, idle])
    alone = seldom.detach().clone().requires_grad_()
    lone = optimizer_of(name, [alone])
    for step in range(9):
        give_gradients([busy, seldom], step)
        if step in {0, 1, 4, 8}:
            alone.grad = gradient_of(seldom).clone()
            lone.step()
        else:
            seldom.grad = None
        both.step()
    assert deviation([seldom], [alone]) <= ONE_BY_ONE.get(name, 1e-11)
    assert float(both.state[seldom]["step"]) == 4
    assert idle not in both.state


@pytest.mark.parametrize("name", APART)
def test_a_tensor_that_joins_late_changes_nothing_for_the_others(name: str) -> None:
    early, late = parameters([(6, 4)] * 2)
    both = optimizer_of(name, [late, early])
    alone = [p.detach().clone().requires_grad_() for p in (late, early)]
    apart = [optimizer_of(name, [p]) for p in alone]
    for step in range(8):
        give_gradients([late, early], step)
        if step < 4:
            late.grad = None
        for p, q in zip((late, early), alone, strict=True):
            q.grad = None if p.grad is None else p.grad.clone()
        both.step()
        for optimizer in apart:
            optimizer.step()
    assert deviation([late, early], alone) <= ONE_BY_ONE.get(name, 1e-11)
    assert [float(both.state[p]["step"]) for p in (late, early)] == [4, 8]


@every_chain
def test_ascending_is_descending_on_the_negative_gradient(name: str) -> None:
    up, down = parameters(SHAPES, torch.float32), parameters(SHAPES, torch.float32)
    ascending, descending = optimizer_of(name, up, maximize=True), optimizer_of(name, down)
    for step in range(5):
        give_gradients(up, step)
        give_gradients(down, step, scale=-1.0)
        ascending.step()
        descending.step()
    assert equal(up, down)


@every_chain
def test_the_same_steps_are_taken_again_bit_for_bit(name: str) -> None:
    once, again = (descend(optimizer_of(name, parameters(SHAPES, torch.float32)), 6) for _ in range(2))
    assert equal(once, again)


@every_chain
def test_gradients_of_zeros_move_nothing(name: str) -> None:
    starts, reached = parameters(SHAPES), parameters(SHAPES)
    optimizer = optimizer_of(name, reached)
    optimizer.param_groups[0].update({key: 0.0 for key in ("weight",) if key in optimizer.param_groups[0]})
    for _ in range(3):
        for parameter in reached:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    assert equal(starts, reached)


@every_chain
def test_a_closure_is_asked_for_the_loss_before_the_step(name: str) -> None:
    by_closure, plain = parameters(SHAPES), parameters(SHAPES)
    optimizers = optimizer_of(name, by_closure), optimizer_of(name, plain)
    for step in range(3):

        def closure(step: int = step) -> float:
            give_gradients(by_closure, step)
            return 7.0

        assert optimizers[0].step(closure) == 7.0
        descend(optimizers[1], 1, start=step)
    assert equal(by_closure, plain)


def equal(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))
