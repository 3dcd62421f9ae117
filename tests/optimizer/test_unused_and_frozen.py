"""Parameters without a gradient stay as they are: unused, frozen, frozen midway, tied, or added later."""

from __future__ import annotations

import warnings

import pytest
import torch

import thalweg as tw
from descents import descend, give_gradients, one_parameter, optimizer_of, parameters
from thalweg.errors import ParameterError
from tolerances import TORCH, deviation


def test_a_frozen_and_an_unused_parameter_stay_and_get_no_state() -> None:
    frozen, unused, used = torch.ones(3), torch.ones(3, requires_grad=True), one_parameter()
    optimizer = optimizer_of("adam", [frozen, unused, used])
    optimizer.step()
    assert torch.equal(frozen, torch.ones(3))
    assert torch.equal(unused, torch.ones(3))
    assert list(optimizer.state_dict()["state"]) == [2]


def test_without_any_gradient_a_step_does_nothing() -> None:
    parameter = torch.ones(3, requires_grad=True)
    optimizer = optimizer_of("adam", [parameter])
    optimizer.step()
    assert torch.equal(parameter, torch.ones(3))
    assert not optimizer.state_dict()["state"]
    parameter.grad = torch.ones(3)
    optimizer.step()
    assert optimizer.state[parameter]["step"] == 1


@pytest.mark.parametrize("name", ["SGD", "Adam", "Rprop", "Adadelta"])
def test_parameters_that_come_and_go_step_as_torchs_do(name: str) -> None:
    settings = {"lr": 0.1, "momentum": 0.9, "dampening": 0.5} if name == "SGD" else {"lr": 0.1}
    ours, theirs = parameters(), parameters()
    pair = getattr(tw, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
    for step in range(24):
        for all_of_them, optimizer in zip((ours, theirs), pair, strict=True):
            give_gradients(all_of_them, step)
            for place, parameter in enumerate(all_of_them):
                if (step * 7 + place * 5) % 4 == 0:
                    parameter.grad = None
            optimizer.step()
    assert deviation(ours, theirs) <= TORCH[torch.float64]
    for some, others in zip(ours, theirs, strict=True):
        assert pair[0].state[some].keys() == pair[1].state[others].keys()


def test_a_parameter_frozen_midway_stays_and_goes_on_when_it_is_thawed() -> None:
    model = torch.nn.Linear(3, 2, dtype=torch.float64)
    optimizer = tw.Adam(model.parameters(), lr=0.1)
    kept = model.weight.detach().clone()
    for step in range(6):
        model.weight.requires_grad_(step not in (2, 3))
        optimizer.zero_grad()
        model(torch.ones(1, 3, dtype=torch.float64)).sum().backward()
        optimizer.step()
        if step == 1:
            kept = model.weight.detach().clone()
        if step in (2, 3):
            assert torch.equal(model.weight, kept)
    assert not torch.equal(model.weight, kept)
    assert [int(optimizer.state[p]["step"]) for p in model.parameters()] == [4, 6]


def test_tied_parameters_are_stepped_once() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    optimizer = tw.Optimizer(model, tw.chain(tw.gradient_descent(), tw.step(1.0)))
    assert len(optimizer.param_groups[0]["params"]) == 3
    before = model[0].weight.detach().clone()
    model(torch.ones(1, 3)).sum().backward()
    assert model[0].weight.grad is not None
    optimizer.step()
    torch.testing.assert_close(model[0].weight, before - model[0].weight.grad)


def test_the_same_parameter_twice_is_refused() -> None:
    parameter = one_parameter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ParameterError, ValueError), match=r"twice|duplicate|more than one"):
            tw.SGD([parameter, parameter])
    with pytest.raises((ParameterError, ValueError), match=r"twice|more than one parameter group"):
        tw.SGD([{"params": [parameter]}, {"params": [parameter]}])


def test_a_group_added_midway_begins_at_its_own_first_step() -> None:
    ours, theirs = parameters(), parameters()
    pair = tw.Adam(ours[:2], lr=0.1), torch.optim.Adam(theirs[:2], lr=0.1)
    for tensors, optimizer in zip((ours, theirs), pair, strict=True):
        descend(optimizer, 3)
        optimizer.add_param_group({"params": tensors[2:], "lr": 0.3, "betas": (0.5, 0.9)})
        descend(optimizer, 3, start=3)
    assert deviation(ours, theirs) <= TORCH[torch.float64]
    assert [int(pair[0].state[p]["step"]) for p in ours if p.numel()] == [6, 6, 3, 3, 3]


def test_a_choice_of_gradients_that_never_comes_again_is_not_remembered_for_ever() -> None:
    tensors = parameters([(2,)] * 8)
    optimizer = optimizer_of("gradient_descent", tensors)
    for choice in range(1, 256):
        for place, parameter in enumerate(tensors):
            parameter.grad = torch.ones_like(parameter) if choice >> place & 1 else None
        optimizer.step()
    assert optimizer._stepper is not None
    assert len(optimizer._stepper._layouts) < 20
    torch.testing.assert_close(tensors[0].detach(), parameters([(2,)] * 8)[0].detach() - 128 * 0.05)
