"""The oracles that speak torch's dialect, against `torch.optim`: 100 steps in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from oracles import ORACLES
from oracles.gradients import START, gradients

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CASES: list[tuple[str, str, dict[str, float], Callable[..., torch.optim.Optimizer], dict[str, Any]]] = [
    ("gradient_descent", "plain", {}, torch.optim.SGD, {}),
    ("heavy_ball", "rate_outside", {"beta": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
    (
        "heavy_ball",
        "rate_outside",
        {"beta": 0.7, "dampening": 0.4},
        torch.optim.SGD,
        {"momentum": 0.7, "dampening": 0.4},
    ),
    ("nesterov", "rate_outside", {"beta": 0.95}, torch.optim.SGD, {"momentum": 0.95, "nesterov": True}),
    ("rprop", "improved_minus", {}, torch.optim.Rprop, {}),
    (
        "rprop",
        "improved_minus",
        {"eta_plus": 1.5, "eta_minus": 0.3, "delta_min": 1e-3, "delta_max": 0.05},
        torch.optim.Rprop,
        {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.05)},
    ),
    ("adagrad", "torch", {}, torch.optim.Adagrad, {}),
    (
        "adagrad",
        "torch",
        {"eps": 1e-3, "initial": 0.3, "lr_decay": 0.05},
        torch.optim.Adagrad,
        {"eps": 1e-3, "initial_accumulator_value": 0.3, "lr_decay": 0.05},
    ),
    ("adagrad", "eps_outside", {"eps": 1e-10}, torch.optim.Adagrad, {}),
    ("rmsprop", "eps_outside", {}, torch.optim.RMSprop, {}),
    (
        "rmsprop",
        "eps_outside",
        {"rho": 0.9, "eps": 1e-2},
        torch.optim.RMSprop,
        {"alpha": 0.9, "eps": 1e-2},
    ),
    ("rmsprop", "centred", {"eps": 1e-6}, torch.optim.RMSprop, {"centered": True, "eps": 1e-6}),
    ("rmsprop_momentum", "rate_outside", {}, torch.optim.RMSprop, {"momentum": 0.9}),
    (
        "rmsprop_momentum",
        "rate_outside_centred",
        {"momentum": 0.5, "eps": 1e-6},
        torch.optim.RMSprop,
        {"momentum": 0.5, "eps": 1e-6, "centered": True},
    ),
    ("adadelta", "rate_outside", {}, torch.optim.Adadelta, {}),
    (
        "adadelta",
        "rate_outside",
        {"rho": 0.95, "eps": 1e-3},
        torch.optim.Adadelta,
        {"rho": 0.95, "eps": 1e-3},
    ),
    ("adam", "eps_outside", {}, torch.optim.Adam, {}),
    (
        "adam",
        "eps_outside",
        {"beta1": 0.5, "beta2": 0.9, "eps": 1e-2},
        torch.optim.Adam,
        {"betas": (0.5, 0.9), "eps": 1e-2},
    ),
    ("adam", "amsgrad_torch", {"beta2": 0.9}, torch.optim.Adam, {"betas": (0.9, 0.9), "amsgrad": True}),
    ("adam", "l2", {"weight_decay": 0.1}, torch.optim.Adam, {"weight_decay": 0.1}),
    ("adamax", "eps", {}, torch.optim.Adamax, {}),
    (
        "adamax",
        "eps",
        {"beta1": 0.5, "beta2": 0.9, "eps": 1e-2},
        torch.optim.Adamax,
        {"betas": (0.5, 0.9), "eps": 1e-2},
    ),
    ("adamw", "coupled_to_rate", {}, torch.optim.AdamW, {}),
    ("adamw", "coupled_to_rate", {"weight_decay": 0.3}, torch.optim.AdamW, {"weight_decay": 0.3}),
    ("nadam", "torch", {}, torch.optim.NAdam, {}),
    (
        "nadam",
        "torch",
        {"beta1": 0.5, "beta2": 0.9, "eps": 1e-2, "momentum_decay": 0.1},
        torch.optim.NAdam,
        {"betas": (0.5, 0.9), "eps": 1e-2, "momentum_decay": 0.1},
    ),
    ("radam", "torch", {}, torch.optim.RAdam, {}),
    ("radam", "torch", {"beta2": 0.5}, torch.optim.RAdam, {"betas": (0.9, 0.5)}),
    (
        "radam",
        "torch",
        {"beta1": 0.5, "beta2": 0.9, "eps": 1e-2},
        torch.optim.RAdam,
        {"betas": (0.5, 0.9), "eps": 1e-2},
    ),
    ("asgd", "torch", {}, torch.optim.ASGD, {}),
    (
        "asgd",
        "torch",
        {"lambd": 0.3, "power": 0.6, "t0": 5.0},
        torch.optim.ASGD,
        {"lambd": 0.3, "alpha": 0.6, "t0": 5.0},
    ),
]


@pytest.fixture
def numbers_kept_in_double_precision() -> Iterator[None]:
    """For NAdam and ASGD, which keep a tensor's own numbers in the default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("numbers_kept_in_double_precision")
@pytest.mark.parametrize(
    ("rule", "dialect", "hyper", "torch_class", "torch_hyper"),
    CASES,
    ids=[f"{rule}-{dialect}-{i}" for i, (rule, dialect, *_) in enumerate(CASES)],
)
def test_the_oracle_takes_torchs_steps(
    rule: str,
    dialect: str,
    hyper: dict[str, float],
    torch_class: Callable[..., torch.optim.Optimizer],
    torch_hyper: dict[str, Any],
):
    lr = 0.01
    oracle = ORACLES[rule, dialect](START, lr, **hyper)
    parameter = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = torch_class([parameter], lr=lr, foreach=False, **torch_hyper)
    for g in gradients():
        parameter.grad = torch.from_numpy(g.copy())
        optimizer.step()
        np.testing.assert_allclose(oracle.step(g), parameter.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("rule", "dialect", "torch_class", "torch_hyper"),
    [
        ("heavy_ball", "rate_outside", torch.optim.SGD, {"momentum": 0.9}),
        ("rmsprop_momentum", "rate_outside", torch.optim.RMSprop, {"momentum": 0.9}),
        ("adamw", "coupled_to_rate", torch.optim.AdamW, {}),
    ],
)
def test_the_oracle_takes_torchs_steps_while_the_rate_changes(
    rule: str, dialect: str, torch_class: Callable[..., torch.optim.Optimizer], torch_hyper: dict[str, Any]
):
    oracle = ORACLES[rule, dialect](START, lambda k: 0.01 / (k + 1))
    parameter = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = torch_class([parameter], lr=0.01, foreach=False, **torch_hyper)
    for k, g in enumerate(gradients()):
        optimizer.param_groups[0]["lr"] = 0.01 / (k + 1)
        parameter.grad = torch.from_numpy(g.copy())
        optimizer.step()
        np.testing.assert_allclose(oracle.step(g), parameter.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_rate_inside_is_not_torchs_momentum_while_the_rate_changes():
    inside = ORACLES["heavy_ball", "rate_inside"](START, lambda k: 0.01 / (k + 1))
    outside = ORACLES["heavy_ball", "rate_outside"](START, lambda k: 0.01 / (k + 1))
    p, q = [[oracle.step(g) for g in gradients(10)][-1] for oracle in (inside, outside)]
    assert not np.allclose(p, q, rtol=1e-3)


@pytest.mark.usefixtures("numbers_kept_in_double_precision")
@pytest.mark.parametrize("t0", [0.0, 7.0, 1e6])
def test_the_oracle_averages_as_torchs_asgd_does(t0: float):
    oracle = ORACLES["asgd", "torch"](START, 0.01, t0=t0)
    parameter = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.ASGD([parameter], lr=0.01, t0=t0, foreach=False)
    for g in gradients():
        parameter.grad = torch.from_numpy(g.copy())
        optimizer.step()
        oracle.step(g)
        np.testing.assert_allclose(oracle.ax, optimizer.state[parameter]["ax"].numpy(), rtol=1e-12, atol=1e-12)
