"""Weight decay: decoupled after a rule, the gradient of ½λ‖p‖² before it."""

from __future__ import annotations

import pytest
import torch

import thalweg as tw
from thalweg.errors import HyperparameterError


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
