"""The constants of a step: computed in float64, and refused where they are no numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from thalweg.errors import HyperparameterError
from thalweg.formula import Direction, Fraction, Step, Update, rule, sqrt

if TYPE_CHECKING:
    from thalweg.formula import Stage
    from thalweg.optimizer.layout import Backend


@rule(title="Shrinking", source="a test")
def shrinking(g: Direction, t: Step, *, base: float = 1.0) -> Update:
    return g / (base - t)


@rule(title="Rooted", source="a test")
def rooted(g: Direction, *, base: float = -1.0, power: float = 0.5) -> Update:
    return g * base**power


@rule(title="Huge", source="a test")
def huge(g: Direction, t: Step, *, base: float = 1e200) -> Update:
    return g * base ** (2 * t)


@rule(title="Root of a negative number", source="a test")
def root(g: Direction, *, beta: Fraction = 0.5) -> Update:
    return g * sqrt(beta - 1)


@pytest.mark.parametrize(
    ("stage", "given"), [(shrinking(), "t=1"), (rooted(), "power=0.5"), (huge(), "t=1"), (root(), "beta=0.5")], ids=repr
)
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_constants_that_are_no_numbers_are_refused_with_what_they_come_from(
    stage: Stage, given: str, backend: Backend
) -> None:
    parameter = torch.ones(3, requires_grad=True)
    parameter.grad = torch.ones(3)
    optimizer = tw.Optimizer([parameter], tw.chain(stage, tw.step(0.1)), backend=backend)
    with pytest.raises(HyperparameterError, match=rf"the step's constants are no finite numbers at .*{given}"):
        optimizer.step()
    assert torch.equal(parameter, torch.ones(3))


def test_a_step_whose_constants_fail_is_not_counted() -> None:
    parameter = torch.ones(3, dtype=torch.float64, requires_grad=True)
    parameter.grad = torch.ones(3, dtype=torch.float64)
    optimizer = tw.Optimizer([parameter], tw.chain(shrinking(), tw.step(0.1)))
    with pytest.raises(HyperparameterError):
        optimizer.step()
    optimizer.param_groups[0]["base"] = 5.0
    optimizer.step()
    assert optimizer.state[parameter]["step"] == 1
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 1 - 0.1 / 4, dtype=torch.float64))
