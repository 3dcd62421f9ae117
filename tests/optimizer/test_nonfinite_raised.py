"""By default a gradient that is not finite is an error that names its parameter, and nothing else is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import RULES, one_parameter, optimizer_of, parameters, usual_chain
from thalweg.errors import GradientError, NonFiniteGradientError
from thalweg.kernels import plan

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.optimizer.layout import Backend

backends = pytest.mark.parametrize("backend", ["numba", "reference"])
BAD = [float("nan"), float("inf"), -float("inf")]
ONE_PASS = [rule for rule in RULES if all(len(plan(traced).passes) == 1 for traced in usual_chain(rule).traces())]
"""Where a sum over the gradients comes first, nothing moves at all: see tests/kernels/test_reductions.py."""
DESCENT = tw.chain(tw.gradient_descent(), tw.step(0.1))


def gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


@backends
@pytest.mark.parametrize("rule", ONE_PASS)
def test_raising_leaves_exactly_those_elements_as_they_were(rule: str, backend: Backend) -> None:
    ours, clean = ([p.requires_grad_() for p in parameters([(7, 5), (3,)], torch.float32)] for _ in range(2))
    optimizer, other = (optimizer_of(rule, p, backend=backend) for p in (ours, clean))
    for step in range(3):
        for parameter, copied in zip(ours, clean, strict=True):
            parameter.grad = torch.randn(parameter.shape)
            copied.grad = parameter.grad.clone()
        if step == 1:
            before = ours[0].detach().clone()
            states = {name: value.clone() for name, value in optimizer.state[ours[0]].items()}
            bad = torch.zeros(7, 5, dtype=torch.bool)
            for (row, column), value in zip([(0, 0), (3, 4), (6, 4)], BAD, strict=True):
                bad[row, column] = True
                gradient(ours[0])[row, column] = value
            with pytest.raises(NonFiniteGradientError):
                optimizer.step()
            other.step()
            assert torch.equal(ours[0][bad], before[bad])
            assert torch.equal(ours[0][~bad], clean[0][~bad])
            assert torch.equal(ours[1], clean[1])
            for name, value in optimizer.state[ours[0]].items():
                if value.shape == bad.shape:
                    assert torch.equal(value[bad], states[name][bad])
                    assert torch.equal(value[~bad], other.state[clean[0]][name][~bad])
        else:
            optimizer.step()
            other.step()
    assert all(torch.isfinite(p).all() for p in ours)


@backends
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_raising_works_in_every_dtype(dtype: torch.dtype, backend: Backend) -> None:
    parameter = one_parameter(dtype=dtype)
    gradient(parameter)[1] = float("nan")
    with pytest.raises(NonFiniteGradientError):
        tw.Optimizer([parameter], tw.chain(tw.gradient_descent(), tw.step(0.5)), backend=backend).step()
    assert parameter.tolist() == [0.5, 1.0, 0.5]


def test_the_largest_finite_gradient_is_not_taken_for_an_infinite_one() -> None:
    parameter = one_parameter(0.0)
    parameter.grad = torch.tensor([torch.finfo(torch.float32).max, -torch.finfo(torch.float32).max, 1e-45])
    tw.Optimizer([parameter], DESCENT).step()
    assert torch.isfinite(parameter).all()


def test_the_error_names_the_first_parameter_concerned_by_its_name() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 4))
    optimizer = tw.Optimizer(model, DESCENT)
    model(torch.ones(1, 2)).sum().backward()
    gradient(model[1].weight)[2, 1] = float("nan")
    gradient(model[1].bias)[0] = float("nan")
    with pytest.raises(
        NonFiniteGradientError,
        match=r"the gradient of `1.weight` \(4×3\) has a NaN or an infinity; those elements were left as they were "
        r"and all others have moved \(pass nonfinite='skip' to leave out such steps, or 'propagate' to do as torch",
    ) as caught:
        optimizer.step()
    assert isinstance(caught.value, GradientError)
    assert isinstance(caught.value, ArithmeticError)


def test_the_error_names_an_unnamed_parameter_by_its_place() -> None:
    groups = [{"params": [one_parameter()]}, {"params": [one_parameter(), one_parameter(1.0, 2, 2)]}]
    optimizer = tw.Optimizer(groups, DESCENT)
    gradient(groups[1]["params"][1]).fill_(float("inf"))
    with pytest.raises(NonFiniteGradientError, match=r"the gradient of parameter 1 of group 1 \(2×2\) has"):
        optimizer.step()


def test_the_first_of_several_is_the_first_in_the_users_order_whatever_their_dtypes() -> None:
    tensors = [one_parameter(), one_parameter(dtype=torch.float64), one_parameter()]
    for tensor in tensors[1:]:
        gradient(tensor)[0] = float("nan")
    with pytest.raises(NonFiniteGradientError, match="parameter 1 of group 0"):
        tw.Optimizer(tensors, DESCENT).step()


@pytest.mark.parametrize("threads", [1, 2])
def test_the_first_tensor_is_named_whichever_thread_finds_another(threads: int) -> None:
    tensors = parameters([(20_000,)] * 8, torch.float32)
    for tensor in tensors:
        tensor.grad = torch.ones_like(tensor)
    for place in (3, 5, 7):
        gradient(tensors[place])[11] = float("nan")
    torch.set_num_threads(threads)
    try:
        for _ in range(20):
            with pytest.raises(NonFiniteGradientError, match="parameter 3 of group 0"):
                tw.Optimizer(tensors, DESCENT).step()
    finally:
        torch.set_num_threads(1)
