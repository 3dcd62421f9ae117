"""A tensor as learning rate is read at every step, as torch's optimizers read it."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import give_gradients, parameters
from dropins import ours, suited, theirs
from thalweg.errors import HyperparameterError
from tolerances import BACKENDS, TORCH, deviation

if TYPE_CHECKING:
    from torch import Tensor

SHAPES = ((3, 4), (7,))
RATES = [torch.tensor(0.05), torch.tensor([0.05])]


def walk(make: Any, shapes: tuple[tuple[int, ...], ...], rate: Tensor) -> list[Tensor]:
    tensors = parameters(shapes, torch.float32)
    rate = rate.clone()
    optimizer = make(tensors, rate)
    for k in range(6):
        give_gradients(tensors, k)
        optimizer.step()
        if k % 2:
            rate.mul_(0.5)
    assert torch.equal(torch.as_tensor(optimizer.param_groups[0]["lr"]), rate)
    return tensors


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("name", ["Adam", "SGD", "NAdam", "ASGD", "Rprop", "Adadelta", "Adafactor", "Muon"])
def test_a_drop_in_reads_its_rate_as_torchs_does(name: str, rate: Tensor) -> None:
    shapes = suited(name, SHAPES)
    found = walk(lambda tensors, lr: ours(name)(tensors, lr=lr), shapes, rate)
    expected = walk(lambda tensors, lr: theirs(name)(tensors, lr=lr), shapes, rate)
    assert deviation(found, expected) <= 10 * TORCH[torch.float32]


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_a_chains_rate_may_be_a_tensor_in_its_group(backend: Any, rate: Tensor) -> None:
    chain = tw.chain(tw.adam(), tw.decay(0.1), tw.step(0.1))
    found = walk(
        lambda tensors, lr: tw.Optimizer([{"params": tensors, "lr": lr}], chain, backend=backend), SHAPES, rate
    )
    expected = walk(lambda tensors, lr: tw.AdamW(tensors, lr=lr, weight_decay=0.1), SHAPES, rate)
    assert deviation(found, expected) <= BACKENDS[torch.float32]


def test_any_other_number_may_be_one_too() -> None:
    beta = torch.tensor(0.5)
    tensors, others = (parameters(SHAPES, torch.float32) for _ in range(2))
    optimizer = tw.Optimizer([{"params": tensors, "beta1": beta}], tw.chain(tw.adam(), tw.step(0.1)))
    other = tw.Optimizer(others, tw.chain(tw.adam(), tw.step(0.1)))
    for k, value in enumerate((0.5, 0.25, 0.75)):
        beta.fill_(value)
        other.param_groups[0]["beta1"] = value
        for some, each in ((tensors, optimizer), (others, other)):
            give_gradients(some, k)
            each.step()
    assert deviation(tensors, others) == 0


@pytest.mark.parametrize("value", [-0.5, float("nan")])
def test_a_rate_out_of_range_is_refused_when_it_is_read(value: float) -> None:
    rate = torch.tensor(0.1)
    tensors = parameters(SHAPES, torch.float32)
    optimizer = tw.Optimizer([{"params": tensors, "lr": rate}], tw.chain(tw.adam(), tw.step(0.1)))
    give_gradients(tensors, 0)
    optimizer.step()
    rate.fill_(value)
    with pytest.raises(HyperparameterError, match=re.escape(f"`learning_rate` is {value}; it must lie in [0, ∞)")):
        optimizer.step()


def test_a_chain_itself_keeps_no_tensor() -> None:
    with pytest.raises(
        HyperparameterError, match="is a tensor, of which a chain would keep today's value only; give it"
    ):
        tw.step(torch.tensor(0.1))
