"""Complex parameters are stepped as their real and imaginary parts, as torch steps them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import BY_GRADIENT, usual_chain
from dropins import CASES, OF_TENSORS_CASES, Settings, default_dtype, label, ours, theirs
from thalweg.errors import CheckpointError, GradientError, NonFiniteGradientError, ParameterError
from tolerances import TORCH, deviation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from thalweg.optimizer.layout import Backend

backends = pytest.mark.parametrize("backend", ["numba", "reference"])
EACH = [case for case in (*CASES, *OF_TENSORS_CASES) if case[0] != "Adafactor"]
"""Those of torch's that take complex parameters."""


def complex_parameters(dtype: torch.dtype = torch.complex128) -> list[Tensor]:
    """A matrix, a scalar, one whose dimensions lie the other way round, one with gaps, an empty one and a real one."""
    random = torch.Generator().manual_seed(0)
    drawn = [torch.randn(shape, dtype=dtype, generator=random) for shape in ((3, 4), (), (4, 3, 2), (5, 6), (0,), (7,))]
    drawn[2] = drawn[2].transpose(0, 2)
    drawn[3] = drawn[3][:, ::2]
    return [tensor.requires_grad_() for tensor in (*drawn[:5], drawn[5].real.clone())]


def descend(optimizer: torch.optim.Optimizer, steps: int, start: int = 0) -> list[Tensor]:
    to = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for step in range(start, start + steps):
        random = torch.Generator().manual_seed(step)
        for parameter in to:
            drawn = torch.randn(parameter.shape, dtype=torch.complex128, generator=random) + (0.2 - 0.1j)
            parameter.grad = (drawn if parameter.is_complex() else drawn.real).to(parameter.dtype)
        optimizer.step()
    return [parameter.detach().clone() for parameter in to]


def in_parts(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [torch.view_as_real(tensor) if tensor.is_complex() else tensor for tensor in tensors]


@backends
@pytest.mark.parametrize("case", EACH, ids=label)
def test_the_drop_ins_arrive_where_torch_arrives_and_keep_its_states(
    case: tuple[str, Settings], backend: Backend
) -> None:
    name, settings = case
    with default_dtype(torch.float64):
        optimizer, other = ours(name)(complex_parameters(), backend=backend, **settings), theirs(name)
        expected = other(complex_parameters(), **settings)
        assert deviation(in_parts(descend(optimizer, 20)), in_parts(descend(expected, 20))) <= TORCH[torch.float64]
        own, states = optimizer.state_dict()["state"], expected.state_dict()["state"]
        for place, state in ((place, states[place]) for place in states if place != 4):  # the empty one
            for entry, value in state.items():
                if value is not None:
                    torch.testing.assert_close(own[place][entry], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Rprop", "Adagrad"])
def test_in_single_precision(name: str) -> None:
    settings = {"lr": 0.02}
    found = descend(ours(name)(complex_parameters(torch.complex64), **settings), 50)
    expected = descend(theirs(name)(complex_parameters(torch.complex64), **settings), 50)
    assert deviation(in_parts(found), in_parts(expected)) <= 4 * TORCH[torch.float32]


@pytest.mark.parametrize("rule", [rule for rule in BY_GRADIENT if rule != "adafactor"])
def test_every_rule_steps_the_parts(rule: str) -> None:
    whole = complex_parameters()[:3]
    parts = [torch.view_as_real(p.detach()).clone().requires_grad_() for p in whole]
    optimizers = [tw.Optimizer(some, usual_chain(rule), backend="reference") for some in (whole, parts)]
    for _ in range(4):
        for one, two in zip(whole, parts, strict=True):
            one.grad = torch.randn(one.shape, dtype=one.dtype)
            two.grad = torch.view_as_real(one.grad)
        for optimizer in optimizers:
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(in_parts(whole), parts, strict=True))


@backends
def test_the_length_of_a_gradient_is_that_of_its_complex_numbers(backend: Backend) -> None:
    found, expected = complex_parameters(), complex_parameters()
    optimizer = tw.Optimizer(found, tw.chain(tw.clip(0.5), tw.adam(), tw.step(0.1)), backend=backend)
    descend(optimizer, 1)
    adam = torch.optim.Adam(expected, lr=0.1)

    def clip(*_: object) -> None:
        torch.nn.utils.clip_grad_norm_(expected, 0.5)

    adam.register_step_pre_hook(clip)
    descend(adam, 1)
    assert deviation(in_parts(found), in_parts(expected)) <= TORCH[torch.float64]


@pytest.mark.parametrize(
    "case", [("Adam", {"amsgrad": True}), ("RMSprop", {"momentum": 0.9}), ("Rprop", {})], ids=label
)
def test_a_run_goes_on_from_torch_to_us_and_back(case: tuple[str, Settings]) -> None:
    name, settings = case
    uninterrupted = in_parts(descend(theirs(name)(complex_parameters(), **settings), 20))
    for before, after in ((theirs(name), ours(name)), (ours(name), theirs(name))):
        first = before(complex_parameters(), **settings)
        reached = [p.requires_grad_() for p in descend(first, 10)]
        second = after(reached, **settings)
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        assert deviation(in_parts(descend(second, 10, start=10)), uninterrupted) <= TORCH[torch.float32] / 100


def test_a_complex_state_does_not_fit_a_real_parameter_nor_the_other_way_round() -> None:
    real, imaginary = (tw.Adam([torch.ones(3, dtype=d, requires_grad=True)]) for d in (torch.float64, torch.complex128))
    for optimizer in (real, imaginary):
        descend(optimizer, 1)
    with pytest.raises(CheckpointError, match=r"`exp_avg` .*complex128, and no dense tensor of real numbers"):
        real.load_state_dict(imaginary.state_dict())
    with pytest.raises(CheckpointError, match=r"`exp_avg` .*float64, and no dense tensor of complex numbers"):
        imaginary.load_state_dict(real.state_dict())


def test_saved_by_name_it_goes_on(tmp_path: Path) -> None:
    chain = tw.chain(tw.accumulate(2), tw.adam(), tw.step(0.1))
    first = tw.Optimizer([("z", torch.ones(3, dtype=torch.complex64, requires_grad=True))], chain)
    descend(first, 3)
    tw.save(first, tmp_path / "o.safetensors")
    reached = first.param_groups[0]["params"][0].detach().clone().requires_grad_()
    second = tw.Optimizer([("z", reached)], chain)
    tw.load(second, tmp_path / "o.safetensors")
    ends = [descend(optimizer, 3, start=3) for optimizer in (first, second)]
    assert torch.equal(ends[0][0], ends[1][0])


@backends
def test_gradients_that_are_conjugates_and_parameters_that_move_are_found(backend: Backend) -> None:
    parameter = torch.zeros(3, dtype=torch.complex64, requires_grad=True)
    optimizer = tw.Optimizer([parameter], tw.chain(tw.step(1.0)), backend=backend)
    for _ in range(6):
        parameter.grad = torch.full((3,), 1 + 2j).conj()
        version = parameter._version
        optimizer.step()
        assert parameter._version > version
    parameter.data = torch.ones(3, dtype=torch.complex64)
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0 + 2j))
    parameter.grad = None
    optimizer.step()
    parameter.grad = torch.ones(3, dtype=torch.complex64).to_sparse()
    with pytest.raises(GradientError, match="is sparse"):
        optimizer.step()


@backends
def test_a_bad_imaginary_part_is_noticed(backend: Backend) -> None:
    parameter = torch.zeros(2, dtype=torch.complex64, requires_grad=True)
    optimizer = tw.Optimizer([("z", parameter)], tw.chain(tw.step(1.0)), backend=backend)
    parameter.grad = torch.tensor([complex(1, float("nan")), 1 + 1j])
    with pytest.raises(NonFiniteGradientError, match="gradient of `z`"):
        optimizer.step()
    assert parameter.tolist() == [-1, -1 - 1j]


def test_evaluation_sees_the_average() -> None:
    parameter = torch.zeros(2, dtype=torch.complex64, requires_grad=True)
    optimizer = tw.Optimizer([parameter], tw.chain(tw.step(1.0), tw.polyak()))
    for value in (1 + 1j, 1 + 3j):
        parameter.grad = torch.full((2,), value)
        optimizer.step()
    with optimizer.evaluating():
        torch.testing.assert_close(parameter.detach(), torch.full((2,), -1.5 - 2.5j))
    torch.testing.assert_close(parameter.detach(), torch.full((2,), -2 - 4j))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (tw.Adafactor, "it keeps values of rows and columns"),
        (tw.Muon, "muon is for real matrices"),
        (tw.SparseAdam, "it takes sparse gradients"),
        (
            lambda p: tw.Optimizer(p, tw.chain(tw.step(0.1)), capturable=True, backend="triton"),
            "its steps are counted here",
        ),
        (lambda p: tw.Optimizer(p, tw.chain(tw.shampoo(), tw.step(0.1))), "shampoo is for real matrices"),
    ],
)
def test_what_must_know_which_two_numbers_are_one_refuses(make: Any, why: str) -> None:  # noqa: ANN401  # makes an optimizer
    with pytest.raises(ParameterError, match=rf"cannot step a complex parameter of shape \(3, 3\): {why}"):
        make([torch.ones(3, 3, dtype=torch.complex64, requires_grad=True)])
    with pytest.raises(ParameterError, match=r"is the conjugate of what lies in memory; make it of"):
        make([torch.ones(3, 3, dtype=torch.complex64).conj().requires_grad_()])
