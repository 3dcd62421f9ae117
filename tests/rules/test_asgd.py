"""ASGD: the average that it keeps, and its falling rate."""

from __future__ import annotations

import pytest
import torch

import thalweg as tw
from oracles import ORACLES
from oracles.gradients import START, gradients
from tolerances import ORACLE, TORCH, deviation


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("t0", [0.0, 7.0, 1e6])
def test_the_state_is_the_mean_of_the_points_since_t0(t0: float, dtype: torch.dtype) -> None:
    parameter = torch.from_numpy(START.copy()).to(dtype).requires_grad_()
    optimizer = tw.Optimizer([parameter], tw.chain(tw.asgd(lambd=0.1, t0=t0), tw.step(0.01)))
    oracle = ORACLES["asgd", "torch"](parameter.detach().double().numpy(), 0.01, lambd=0.1, t0=t0)
    found, expected = [], []
    for g in gradients():
        parameter.grad = torch.from_numpy(g).to(dtype)
        optimizer.step()
        oracle.step(parameter.grad.double().numpy())
        found.append(optimizer.state[parameter]["ax"].clone())
        expected.append(torch.from_numpy(oracle.ax))
    assert deviation(found, expected) <= ORACLE[dtype]


def test_on_a_noisy_quadratic_the_average_comes_nearer_than_the_last_point() -> None:
    noise = torch.Generator().manual_seed(0)
    x = torch.full((1000,), 3.0, dtype=torch.float64, requires_grad=True)
    optimizer = tw.Optimizer([x], tw.chain(tw.asgd(lambd=0, t0=100), tw.step(0.3)))
    for _ in range(1000):
        x.grad = x.detach() + torch.randn(1000, generator=noise, dtype=torch.float64)
        optimizer.step()
    assert optimizer.state[x]["ax"].norm() < x.detach().norm() / 5


def test_the_parameter_follows_torchs_asgd() -> None:
    reached = []
    for make in (
        lambda p: tw.Optimizer([p], tw.chain(tw.asgd(lambd=1e-2, t0=5), tw.step(0.01))),
        lambda p: torch.optim.ASGD([p], lr=0.01, lambd=1e-2, t0=5),
    ):
        parameter = torch.from_numpy(START.copy()).requires_grad_()
        optimizer = make(parameter)
        for g in gradients():
            parameter.grad = torch.from_numpy(g)
            optimizer.step()
        reached.append([parameter, optimizer.state[parameter]["ax"]])
    assert deviation(*reached) <= TORCH[torch.float32]  # torch keeps rate and weight in single precision
