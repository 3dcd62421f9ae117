"""What is said of a drop-in's wrong setting: under the name that was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import one_parameter
from dropins import NAMES
from thalweg.errors import HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable


def made(name: str, **settings: Any) -> Callable[[], Any]:
    return lambda: getattr(tw, name)([one_parameter()], **settings)


def muon(**settings: Any) -> Callable[[], Any]:
    return lambda: tw.Muon([one_parameter(1.0, 2, 2)], **settings)


WRONG: list[tuple[Callable[[], Any], str]] = [
    (made("SGD", lr=-0.1), r"SGD: `lr` is -0.1; it must lie in \[0, ∞\)"),
    (made("SGD", lr="0.1"), r"SGD: `lr` is '0.1'; it must be a number in \[0, ∞\)"),
    (made("SGD", lr=None), r"SGD: `lr` is None; it must be a number"),
    (made("SGD", lr=float("nan")), r"SGD: `lr` is nan; it must lie in \[0, ∞\)"),
    (made("SGD", momentum=-1), r"SGD: `momentum` is -1; it must lie in \[0, ∞\)"),
    (made("SGD", weight_decay=-1), r"SGD: `weight_decay` is -1; it must lie in \[0, ∞\)"),
    (made("SGD", nesterov=True), "SGD: `nesterov=True` needs `momentum` above 0 and `dampening` of 0"),
    (made("SGD", nesterov=True, momentum=0.9, dampening=0.1), "SGD: `nesterov=True` needs `momentum` above 0"),
    (made("Adam", betas=(0.9, 1.0)), r"Adam: `betas\[1\]` is 1; it must lie in \[0, 1\)"),
    (made("Adam", betas=(-0.1, 0.9)), r"Adam: `betas\[0\]` is -0.1; it must lie in \[0, 1\)"),
    (made("Adam", betas=0.9), "Adam: `betas` is 0.9; it must be a pair of numbers"),
    (made("Adam", betas=(0.9,)), r"Adam: `betas` is \(0.9,\); it must be a pair of numbers"),
    (made("Adam", betas=("a", 0.9)), r"Adam: `betas\[0\]` is 'a'; it must be a number in \[0, 1\)"),
    (made("Adam", eps=-1), r"Adam: `eps` is -1; it must lie in \[0, ∞\)"),
    (made("Adam", lr=torch.ones(2)), "Adam: `lr` is a tensor of 2 elements; it must have one"),
    (
        made("Adam", lr=torch.tensor(0.1, requires_grad=True)),
        "Adam: `lr` is a tensor that requires grad, and no gradient",
    ),
    (made("AdamW", weight_decay=-1), r"AdamW: `weight_decay` is -1; it must lie in \[0, ∞\)"),
    (made("Adamax", betas=(0.9, 1.5)), r"Adamax: `betas\[1\]` is 1.5; it must lie in \[0, 1\)"),
    (made("RMSprop", alpha=-0.1), r"RMSprop: `alpha` is -0.1; it must lie in \[0, ∞\)"),
    (made("Adagrad", lr_decay=-1), r"Adagrad: `lr_decay` is -1; it must lie in \[0, ∞\)"),
    (made("Adagrad", initial_accumulator_value=-1), "Adagrad: `initial_accumulator_value` is -1; it must lie in"),
    (made("Adadelta", rho=1.5), r"Adadelta: `rho` is 1.5; it must lie in \[0, 1\]"),
    (made("Rprop", etas=(0.5,)), r"Rprop: `etas` is \(0.5,\); it must be a pair of numbers"),
    (made("Rprop", etas=(1.5, 1.2)), r"Rprop: `etas\[0\]` is 1.5; it must lie in \(0, 1\)"),
    (made("NAdam", momentum_decay=-1), r"NAdam: `momentum_decay` is -1; it must lie in \[0, ∞\)"),
    (made("ASGD", weight_decay=-1), r"ASGD: `weight_decay` is -1; it must lie in \[0, ∞\)"),
    (made("Adafactor", d=0.5), r"Adafactor: `d` is 0.5; it must lie in \[1, ∞\)"),
    (made("Adafactor", beta2_decay=0.1), r"Adafactor: `beta2_decay` is 0.1; it must lie in \(-∞, 0\]"),
    (made("Adafactor", eps=(-1, 1e-3)), r"Adafactor: `eps\[0\]` is -1; it must be None or a number in \[0, ∞\)"),
    (made("Adafactor", eps=(None, None)), r"Adafactor: `eps\[1\]` is None; it must be a number in \[0, ∞\)"),
    (made("Adafactor", eps=1e-3), "Adafactor cannot read the settings .*eps=0.001"),
    (muon(momentum=1.5), r"Muon: `momentum` is 1.5; it must lie in \[0, 1\)"),
    (muon(ns_steps=100), r"Muon: `ns_steps` is 100; it must lie in \[0, 100\)"),
    (muon(ns_steps=2.5), "muon: `steps` is 2.5; it must be a whole number"),
    (muon(ns_coefficients=(1.0, 2.0)), r"Muon: `ns_coefficients` is \(1.0, 2.0\); it must be three numbers"),
    (muon(adjust_lr_fn="orig"), "Muon: `adjust_lr_fn` is 'orig'; did you mean `original`"),
    (made("Rprop", etas=(0.5, 0.9)), r"Rprop: `etas\[1\]` is 0.9; it must lie in \(1, ∞\)"),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_wrong_setting_names_itself_and_its_range(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(HyperparameterError, match=message):
        make()


@pytest.mark.parametrize("name", [*NAMES, "NAdam", "ASGD"])
def test_a_differentiable_step_is_refused_with_the_way_to_have_one(name: str) -> None:
    message = f"{name}: `differentiable=True` is not to be had here; use thalweg.functional, or torch.optim.{name}"
    with pytest.raises(HyperparameterError, match=message):
        made(name, differentiable=True)()


def test_a_wrong_setting_of_a_group_names_itself() -> None:
    with pytest.raises(HyperparameterError, match=r"Adam: `lr` is -1; it must lie in"):
        tw.Adam([{"params": [one_parameter()], "lr": -1}])


TAKEN = [
    ("SGD", {"momentum": 1.0}),
    ("SGD", {"momentum": 0.9, "dampening": 1.0}),
    ("SGD", {"momentum": 1.5, "dampening": -0.5}),
    ("Adadelta", {"eps": 0.0}),
    ("RMSprop", {"alpha": 1.0, "eps": 0.1}),
    ("Rprop", {"lr": 0.0}),
    ("Adam", {"lr": 0}),
]


@pytest.mark.parametrize(("name", "settings"), TAKEN, ids=str)
def test_what_torch_takes_is_taken_and_means_the_same(name: str, settings: dict[str, Any]) -> None:
    reached = []
    for module in (tw, torch.optim):
        parameter = one_parameter(dtype=torch.float64)
        optimizer = getattr(module, name)([parameter], **settings)
        for _ in range(3):
            optimizer.step()
        reached.append(parameter.detach())
    torch.testing.assert_close(*reached, rtol=1e-12, atol=0)
