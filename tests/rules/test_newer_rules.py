"""What only one of the newer rules does: numbers by hand, and the difference that its paper is about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import optimizer_of, usual_chain
from thalweg.errors import HyperparameterError
from tolerances import ORACLE, deviation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thalweg.formula import Stage

RATE = 0.5


def walk(stage: Stage, *gradients: float | Sequence[float], start: float | Sequence[float] = 1.0) -> list[Tensor]:
    """Where the steps by these gradients lead, one after the other, at a rate of a half."""
    parameter = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = tw.Optimizer([parameter], usual_chain(stage, RATE))
    path: list[Tensor] = []
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        path.append(parameter.detach().clone())
    return path


def test_lion_steps_by_the_average_before_it_and_remembers_longer_than_it_looks() -> None:
    # m = 0.01 after the first gradient; c = 0.9·0.01 - 0.1·0.5 < 0 then. With the two weights swapped it would be
    # m = 0.1 and c = 0.99·0.1 - 0.01·0.5 > 0.
    assert [float(p) for p in walk(tw.lion(), 1.0, -0.5)] == [1 - RATE, 1.0]


@pytest.mark.parametrize(
    "stage", [tw.lion(), tw.signum(), tw.qhadam(eps=0), tw.adan(eps=0), tw.ademamix(eps=0)], ids=repr
)
def test_a_rule_without_eps_ignores_the_scale_of_the_gradient(stage: Stage) -> None:
    small, large = (walk(stage, *(scale * g for g in (1.0, -0.3, 0.2, 5.0))) for scale in (1.0, 2.0**20))
    assert all(torch.equal(a, b) for a, b in zip(small, large, strict=True))


def test_adopt_only_looks_at_its_first_gradient() -> None:
    start = [1.0, -2.0]
    first, second = walk(tw.adopt(), [3.0, -4.0], [1.5, 400.0], start=start)
    assert first.tolist() == start
    # the second is scaled by the first, and clipped to 1 where it is more than that
    expected = torch.tensor([1.0 - RATE * 0.1 * 0.5, -2.0 - RATE * 0.1 * 1.0], dtype=torch.float64)
    assert deviation([second], [expected]) <= ORACLE[torch.float64]


def test_adopts_bound_grows_with_the_fourth_root_of_the_step() -> None:
    path = walk(tw.adopt(0, beta2=0), 1.0, *(1e3 ** (k + 1) for k in range(16)), start=0.0)
    lengths = -torch.stack(path).diff() / RATE
    assert deviation([lengths], [torch.arange(1, 17, dtype=torch.float64) ** 0.25]) <= ORACLE[torch.float64]


def test_a_large_gradient_is_forgotten_by_adam_and_not_by_yogi() -> None:
    def second_moment(stage: Stage) -> float:
        parameter = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
        optimizer = optimizer_of(stage, [parameter])
        for gradient in (10.0, *[1e-3] * 1000):
            parameter.grad = torch.tensor(gradient, dtype=torch.float64)
            optimizer.step()
        return float(optimizer.state[parameter]["v"])

    assert second_moment(tw.adam(beta2=0.99)) == pytest.approx(0.01 * 100 * 0.99**1000, rel=0.1)
    assert second_moment(tw.yogi(beta2=0.99)) == pytest.approx(0.01 * 100, rel=1e-4)


def test_adan_decays_in_the_new_parameter_by_a_division() -> None:
    assert float(walk(tw.adan(weight_decay=0.2), 0.0)[-1]) == 1 / (1 + RATE * 0.2)
    # m̂ = n̂ = 1 at the first step, whose difference is zero
    assert float(walk(tw.adan(weight_decay=0.2, eps=0), 1.0)[-1]) == pytest.approx((1 - RATE) / (1 + RATE * 0.2))


def test_adan_without_its_proximal_decay_takes_the_usual_one() -> None:
    decayed = tw.chain(tw.adan(), tw.decay(0.2), tw.step(RATE))
    parameter = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    parameter.grad = torch.zeros_like(parameter)
    tw.Optimizer([parameter], decayed).step()
    assert float(parameter.detach()) == pytest.approx(1 - RATE * 0.2)


def test_adabelief_steps_further_than_adam_where_gradients_are_steady() -> None:
    adabelief, adam = (1 - float(walk(stage, *[1.0] * 20)[-1]) for stage in (tw.adabelief(), tw.adam()))
    assert adabelief > 1.5 * adam


def test_ademamixs_slow_memory_warms_up_to_half_of_its_half_life_half_way() -> None:
    # With v at 1 and only the slow average in the direction, a step is what that average holds of the gradients.
    stage = tw.ademamix(0, beta2=0, beta3=0.99, alpha_slow=1, eps=0, beta3_warmup=8, beta_start=0.9)
    held, m2 = [float(p) for p in walk(stage, *[1.0] * 8, start=0.0)], 0.0
    lengths = [-(b - a) / RATE - 1 for a, b in zip([0.0, *held], held, strict=False)]
    for k, length in enumerate(lengths, start=1):
        lives = [math.log(0.5) / math.log(beta) for beta in (0.9, 0.99)]
        beta = 0.5 ** (1 / (lives[0] + (lives[1] - lives[0]) * k / 8))
        m2 = beta * m2 + 1 - beta
        assert length == pytest.approx(m2, rel=1e-9)


def test_ademamixs_start_of_a_warm_up_has_no_effect_without_one() -> None:
    with pytest.raises(HyperparameterError, match="`beta_start` has no effect in this form of the rule"):
        tw.chain(tw.ademamix(beta_start=0.5), tw.step(RATE)).trace()
