"""A gradient that is not finite may be skipped and counted, or passed on as torch does."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import RULES, one_parameter, optimizer_of, parameters, usual_chain
from thalweg.errors import HyperparameterError, NonFiniteGradientError

if TYPE_CHECKING:
    from thalweg.optimizer.layout import Backend
    from thalweg.optimizer.stepper import NonFinite

backends = pytest.mark.parametrize("backend", ["numba", "reference"])
BAD = [float("nan"), float("inf"), -float("inf")]
DESCENT = tw.chain(tw.gradient_descent(), tw.step(0.1))


@backends
def test_skipping_changes_nothing_and_counts(backend: Backend) -> None:
    tensors = [*parameters([(4,), (2, 3)], torch.float32), *parameters([(5,)], torch.float64)]
    optimizer = tw.Optimizer(tensors, usual_chain("adam", lambda k: 0.1 / (k + 1)), nonfinite="skip", backend=backend)
    for tensor in tensors:
        tensor.grad = torch.ones_like(tensor)
    optimizer.step()
    before = [tensor.detach().clone() for tensor in tensors]
    states = [{n: v.clone() for n, v in optimizer.state[t].items()} for t in tensors]
    versions = [tensor._version for tensor in tensors]
    for place, value in enumerate(BAD):
        tensors[place].grad = torch.full_like(tensors[place], value)
        optimizer.step()
        tensors[place].grad = torch.ones_like(tensors[place])
    assert optimizer.skipped == 3
    assert optimizer.param_groups[0]["steps"] == 1
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
    assert [tensor._version for tensor in tensors] == versions
    for tensor, state in zip(tensors, states, strict=True):
        assert all(torch.equal(optimizer.state[tensor][name], value) for name, value in state.items())
    optimizer.step()
    assert optimizer.skipped == 3
    assert optimizer.param_groups[0]["lr"] == 0.05
    assert optimizer.state[tensors[0]]["step"] == 2


def test_a_rate_set_before_a_skipped_step_counts_at_the_next() -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], DESCENT, nonfinite="skip")
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.5
    parameter.grad = torch.full((3,), float("nan"))
    optimizer.step()
    parameter.grad = torch.ones(3)
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.4))


@pytest.mark.parametrize("nonfinite", ["raise", "skip", "propagate"])
@pytest.mark.parametrize("value", [1.0, float("nan")])
def test_no_gradient_is_held_after_a_step(nonfinite: NonFinite, value: float) -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], DESCENT, nonfinite=nonfinite)
    for _ in range(2):
        parameter.grad = torch.full((3,), value)
        held = weakref.ref(parameter.grad)
        if nonfinite == "raise" and math.isnan(value):
            with pytest.raises(NonFiniteGradientError):
                optimizer.step()
        else:
            optimizer.step()
        optimizer.zero_grad()
        assert held() is None


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Rprop"])
def test_propagating_does_as_torch_does(name: str) -> None:
    ours, theirs = ([one_parameter(1.0, 4, dtype=torch.float64)] for _ in range(2))
    optimizers = getattr(tw, name)(ours, nonfinite="propagate"), getattr(torch.optim, name)(theirs)
    for bad in (1.0, float("nan"), float("inf"), -1.0):
        for (parameter,), optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = torch.tensor([1.0, bad, -2.0, bad], dtype=torch.float64)
            optimizer.step()
        assert torch.equal(ours[0].isnan(), theirs[0].isnan())
        torch.testing.assert_close(ours[0].detach(), theirs[0].detach(), equal_nan=True)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("value", BAD)
def test_the_backends_propagate_alike(rule: str, value: float) -> None:
    reached = []
    for backend in ("numba", "reference"):
        parameter = one_parameter()
        optimizer = optimizer_of(rule, [parameter], nonfinite="propagate", backend=backend)
        optimizer.step()
        parameter.grad = torch.tensor([value, 1.0, -1.0])
        optimizer.step()
        reached.append(parameter.detach().clone())
    torch.testing.assert_close(*reached, equal_nan=True)


def test_an_unknown_choice_is_refused_with_the_nearest() -> None:
    with pytest.raises(HyperparameterError, match="`nonfinite` is 'rise'; did you mean `raise`"):
        tw.Optimizer([one_parameter()], DESCENT, nonfinite="rise")  # pyright: ignore[reportArgumentType]
