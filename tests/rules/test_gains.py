"""Delta-bar-delta's gains follow the agreement of gradients, weight by weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import descend, parameters, usual_chain
from tolerances import FORMULAS, deviation

if TYPE_CHECKING:
    from thalweg.formula import Stage


def gains(stage: Stage) -> list[float]:
    """The gain of one weight after each of the gradients 1, 1, -1, 0, -1."""
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = tw.Optimizer([weight], usual_chain(stage))
    seen: list[float] = []
    for g in (1.0, 1.0, -1.0, 0.0, -1.0):
        weight.grad = torch.tensor([g], dtype=torch.float64)
        optimizer.step()
        seen.append(float(optimizer.state[weight]["gain"]))
    return seen


def test_agreement_adds_and_disagreement_takes_a_share() -> None:
    # The average of those before: 0, .5, .75, -.125, -.0625.
    assert gains(tw.delta_bar_delta(kappa=0.5, phi=0.5, theta=0.5)) == [1.0, 1.5, 0.75, 0.75, 1.25]


def test_without_memory_the_average_is_the_gradient_before() -> None:
    assert gains(tw.delta_bar_delta(kappa=0.5, phi=0.5, theta=0)) == [1.0, 1.5, 0.75, 0.75, 0.75]


def test_the_velocity_remembers_what_a_single_gradient_has_turned() -> None:
    # With the rate .05 the velocity is -.05, -.12, -.0275 (still downhill for gradients of 1), -.02475, ….
    assert gains(tw.delta_bar_delta(kappa=0.5, phi=0.5, agreement="velocity")) == [1.0, 1.5, 0.75, 0.75, 0.375]


def test_the_bounds_hold_for_the_velocity_form() -> None:
    settings = {"kappa": 0.5, "phi": 0.5, "gain_min": 0.8, "gain_max": 1.25}
    assert gains(tw.delta_bar_delta(**settings, agreement="velocity")) == [1.0, 1.25, 0.8, 0.8, 0.8]


@pytest.mark.parametrize(
    ("fixed", "plain"),
    [
        (tw.delta_bar_delta(kappa=0, phi=0), tw.gradient_descent()),
        (tw.delta_bar_delta(kappa=0, phi=0, agreement="velocity"), tw.heavy_ball()),
    ],
    ids=repr,
)
def test_with_fixed_gains_nothing_is_left_of_it(fixed: Stage, plain: Stage) -> None:
    found, expected = (descend(tw.Optimizer(parameters(), usual_chain(stage))) for stage in (fixed, plain))
    assert deviation(found, expected) <= FORMULAS[torch.float64]
