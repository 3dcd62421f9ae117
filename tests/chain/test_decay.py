"""Weight decay: decoupled after a rule, the gradient of ½λ‖p‖² before it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import thalweg as tw
from oracles import MODEL_ORACLES, ORACLES
from oracles.gradients import START, gradients
from thalweg.errors import HyperparameterError
from tolerances import ORACLE, deviation


def test_decay_alone_shrinks_every_weight_by_the_same_share() -> None:
    parameter = torch.tensor([1.0, -2.0, 4.0], dtype=torch.float64, requires_grad=True)
    optimizer = tw.Optimizer([parameter], tw.chain(tw.gradient_descent(), tw.decay(0.5), tw.step(0.1)))
    for _ in range(3):
        parameter.grad = torch.zeros(3, dtype=torch.float64)
        optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.tensor([1.0, -2.0, 4.0], dtype=torch.float64) * 0.95**3)


def test_decay_before_a_rule_is_the_gradient_of_half_the_squared_norm() -> None:
    weight, rate = 0.3, 0.1
    ours = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    penalised = ours.detach().clone().requires_grad_()
    by_stage = tw.Optimizer([ours], tw.chain(tw.decay(weight), tw.adam(), tw.step(rate)))
    by_loss = tw.Optimizer([penalised], tw.chain(tw.adam(), tw.step(rate)))
    for _ in range(10):
        ours.grad = None
        (ours**4).sum().backward()
        by_stage.step()
        penalised.grad = None
        ((penalised**4).sum() + weight / 2 * (penalised**2).sum()).backward()
        by_loss.step()
    torch.testing.assert_close(ours, penalised, rtol=1e-12, atol=0)


def test_a_negative_decay_is_refused() -> None:
    with pytest.raises(HyperparameterError, match=r"decay: `weight` is -0.1; it must lie in \[0, ∞\)"):
        tw.decay(-0.1)


class OfOneTensor:
    """A model's oracle, of a model of one tensor."""

    def __init__(self, oracle: Any) -> None:  # noqa: ANN401  # any of them
        self._oracle = oracle

    def step(self, g: Any) -> Any:  # noqa: ANN401  # an array
        return self._oracle.step([g])[0]


def eta(k: int) -> float:
    """A schedule's multiplier."""
    return 1 / (1 + 0.1 * k)


_BETAS = {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4}
DECOUPLED = {
    "AdamW with a schedule's multiplier": (
        tw.chain(tw.adam(**_BETAS), tw.step(lambda k: 0.05 * eta(k)), tw.decoupled_decay(lambda k: 0.02 * eta(k))),
        lambda p: ORACLES["adamw", "paper"](p, 0.05, **_BETAS, weight_decay=0.02, eta=eta),
    ),
    "AdamW with a constant decay": (
        tw.chain(tw.adam(**_BETAS), tw.step(lambda k: 0.05 * eta(k)), tw.decoupled_decay(0.02)),
        lambda p: ORACLES["adamw", "fully_decoupled"](p, lambda k: 0.05 * eta(k), **_BETAS, weight_decay=0.02),
    ),
    "SGDW": (
        tw.chain(
            tw.heavy_ball(beta=0.8), tw.step(lambda k: 0.05 * eta(k)), tw.decoupled_decay(lambda k: 0.02 * eta(k))
        ),
        lambda p: OfOneTensor(MODEL_ORACLES["sgdw", "decoupled"]([p], 0.05, beta1=0.8, weight_decay=0.02, eta=eta)),
    ),
    "momentum with L2": (
        tw.chain(tw.decay(0.02), tw.heavy_ball(beta=0.8), tw.step(lambda k: 0.05 * eta(k))),
        lambda p: OfOneTensor(MODEL_ORACLES["sgdw", "l2"]([p], 0.05, beta1=0.8, weight_decay=0.02, eta=eta)),
    ),
}


@pytest.mark.parametrize(("chain", "oracle"), DECOUPLED.values(), ids=DECOUPLED)
def test_every_coupling_of_decay_and_rate_is_its_oracle(chain: Any, oracle: Any) -> None:  # noqa: ANN401
    parameter = torch.from_numpy(START.copy()).requires_grad_()
    optimizer, by_hand = tw.Optimizer([parameter], chain), oracle(START)
    path, expected = [], []
    for g in gradients():
        parameter.grad = torch.from_numpy(g)
        optimizer.step()
        path.append(parameter.detach().clone())
        expected.append(torch.from_numpy(by_hand.step(g)))
    assert deviation(path, expected) <= ORACLE[torch.float64]
