"""Laws that hold for every rule of the catalogue."""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import RULES, descend, give_gradients, optimizer_of, parameters, usual_chain, with_curvature
from thalweg.formula import Level
from thalweg.kernels import plan
from tolerances import BACKENDS, deviation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

every_rule = pytest.mark.parametrize("rule", RULES)


def levels(rule: str) -> frozenset[Level]:
    """What a rule has values for that are coarser than an element."""
    return frozenset(level for traced in usual_chain(rule).traces() for level in plan(traced).levels)


ELEMENT_WISE = [rule for rule in RULES if levels(rule) <= {Level.MODEL}]
"""Rules that do not see how elements are put together in tensors."""
APART = [rule for rule in RULES if Level.MODEL not in levels(rule)]
"""Rules that step a tensor without a look at others."""


@every_rule
def test_the_order_of_parameters_makes_no_difference(rule: str) -> None:
    there, back = parameters(dtype=torch.float32), parameters(dtype=torch.float32)
    gradients = [torch.randn(7, 3, 4)[:, : max(1, p.numel() // 4)] for p in there]
    optimizers = optimizer_of(rule, there), optimizer_of(rule, back[::-1])
    for step in range(7):
        for a, b, drawn in zip(there, back, gradients, strict=True):
            a.grad = torch.full_like(a, float(drawn[step, 0, 0]))
            b.grad = a.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert equal(there, back)


@pytest.mark.parametrize("rule", ELEMENT_WISE)
def test_one_tensor_steps_as_its_pieces_do(rule: str) -> None:
    whole = parameters([(9, 5)], torch.float32)
    rows = [row.clone().requires_grad_() for row in whole[0].detach()]
    together, apart = optimizer_of(rule, whole), optimizer_of(rule, rows)
    for step in range(7):
        give_gradients(whole, step)
        for row, gradient in zip(rows, gradient_of(whole[0]), strict=True):
            row.grad = gradient.clone()
        together.step()
        apart.step()
    assert equal(whole[0].unbind(), rows)


@every_rule
def test_a_state_dict_comes_back_as_it_was(rule: str) -> None:
    optimizer = optimizer_of(rule, parameters(dtype=torch.float32))
    descend(optimizer, 3)
    saved = copy.deepcopy(optimizer.state_dict())
    other = optimizer_of(rule, parameters(dtype=torch.float32))
    other.load_state_dict(saved)
    found = other.state_dict()
    for group, saved_group in zip(found["param_groups"], saved["param_groups"], strict=True):
        assert group | saved_group == group  # torch adds an entry of its own when it loads
    assert found["state"].keys() == saved["state"].keys()
    for place, state in saved["state"].items():
        assert found["state"][place].keys() == state.keys()
        assert all(torch.equal(found["state"][place][name], value) for name, value in state.items())


@every_rule
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(rule: str) -> None:
    chain = usual_chain(rule, lambda k: 0.1 / (1 + k))
    uninterrupted = descend(with_curvature(tw.Optimizer(parameters(dtype=torch.float32), chain)), 12)
    first = with_curvature(tw.Optimizer(parameters(dtype=torch.float32), chain))
    reached = descend(first, 5)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = with_curvature(tw.Optimizer([p.requires_grad_() for p in reached], chain))
    second.load_state_dict(torch.load(file, weights_only=True))
    assert equal(descend(second, 7, start=5), uninterrupted)


@pytest.fixture
def one_thread_again() -> Iterator[None]:
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("one_thread_again")
@every_rule
def test_the_number_of_threads_changes_no_bit(rule: str) -> None:
    shapes = [(50_000,), (3,), (300, 40), (70_001,)]
    reached: list[list[Tensor]] = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        reached.append(descend(optimizer_of(rule, parameters(shapes, torch.float32)), 3))
    assert equal(reached[0], reached[1])
    assert equal(reached[0], reached[2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@every_rule
def test_the_backends_agree(rule: str, dtype: torch.dtype) -> None:
    numba, reference = (
        descend(optimizer_of(rule, parameters(dtype=dtype), backend=backend), 100) for backend in ("numba", "reference")
    )
    assert deviation(numba, reference) <= BACKENDS[dtype]


@pytest.mark.parametrize("rule", APART)
def test_a_tensor_unused_for_a_while_keeps_its_own_step_count(rule: str) -> None:
    busy, seldom = parameters([(4,), (4,)])
    both = optimizer_of(rule, [busy, seldom])
    alone = seldom.detach().clone().requires_grad_()
    lone = optimizer_of(rule, [alone])
    for step in range(9):
        give_gradients([busy, seldom], step)
        if step in (0, 1, 4, 8):
            alone.grad = gradient_of(seldom).clone()
            lone.step()
        else:
            seldom.grad = None
        both.step()
    assert torch.equal(seldom, alone)


@every_rule
def test_ascending_is_descending_on_the_negative_gradient(rule: str) -> None:
    up, down = parameters(dtype=torch.float32), parameters(dtype=torch.float32)
    ascending, descending = optimizer_of(rule, up, maximize=True), optimizer_of(rule, down)
    for step in range(7):
        give_gradients(up, step)
        give_gradients(down, step, scale=-1.0)
        ascending.step()
        descending.step()
    assert equal(up, down)


@every_rule
def test_the_same_steps_are_taken_again_bit_for_bit(rule: str) -> None:
    once, again = (descend(optimizer_of(rule, parameters(dtype=torch.float32))) for _ in range(2))
    assert equal(once, again)


@every_rule
def test_a_zero_gradient_at_the_start_moves_nothing(rule: str) -> None:
    decays = {
        "adamw": tw.adamw(weight_decay=0),
        "asgd": tw.asgd(lambd=0),
        "lars": tw.lars(weight_decay=0),
        "lamb": tw.lamb(weight_decay=0),
    }
    chain = usual_chain(decays.get(rule, rule))
    starts, reached = parameters(), parameters()
    optimizer = with_curvature(tw.Optimizer(reached, chain))
    for parameter in reached:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert equal(starts, reached)


def equal(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


def gradient_of(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
