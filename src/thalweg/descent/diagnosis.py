"""Why no lower point was found along a direction that descends: what the function itself says, asked a few times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import dot

from thalweg.descent.failures import BudgetSpentError, NoStepError, Status
from thalweg.descent.steps.line import farthest

if TYPE_CHECKING:
    from thalweg.descent.objective import Objective
    from thalweg.descent.trial import Trial

_ROUNDINGS = 1000
_FINER = 16


def diagnose(objective: Objective, here: Trial, failure: NoStepError) -> NoStepError:
    """The failure, or a better reason for it: that the function is not deterministic, or not smooth here.

    It costs five evaluations at most, and none that the budget does not allow.
    """
    eps = torch.finfo(here.x.dtype).eps
    rounding = _ROUNDINGS * eps * abs(here.f)
    norm = float(torch.linalg.vector_norm(here.g))
    h = eps ** (1 / 3) * max(1.0, float(torch.linalg.vector_norm(here.x)))
    try:
        again = objective.peek(here.x)
        if not abs(again - here.f) <= rounding:
            return NoStepError(
                Status.UNFIT_FUNCTION,
                f"the function is not deterministic: at the same point it was {here.f!r}, and then {again!r}",
            )
        if not 0 < norm < math.inf:
            return failure
        coarse, fine = _mismatch(objective, here, h), _mismatch(objective, here, h / _FINER)
    except (BudgetSpentError, NoStepError):
        return failure
    if math.isnan(coarse) or math.isinf(coarse):
        return NoStepError(Status.NOT_FINITE, f"{failure.reason}: close by, the function is not finite")
    # a curvature's share shrinks as the way does; a kink's, and that of a wrong gradient, does not
    if fine > 0.1 * norm + rounding / h * _FINER and fine > 4 * coarse / _FINER:
        return NoStepError(
            Status.UNFIT_FUNCTION,
            "the function is not smooth here, or its gradient is wrong: along -g the slope should be "
            f"{-norm:.3g}, and over a way of {h / _FINER:.1g} ahead or behind it is another by {fine:.3g}",
        )
    return failure


def falls_for_ever(objective: Objective, here: Trial) -> bool:
    """Whether it falls along −g by half of what the slope says, as far as any minimum could be: one evaluation."""
    norm = float(torch.linalg.vector_norm(here.g))
    way = farthest(here.x.dtype) * max(1.0, float(torch.linalg.vector_norm(here.x)))
    try:
        return norm > 0 and objective.peek(here.x - way / norm * here.g) < here.f - 0.5 * way * norm
    except NoStepError:
        return True  # it is −∞ there


def _mismatch(objective: Objective, here: Trial, h: float) -> float:
    """By how much the slope over a little way ahead, or behind, differs from the gradient's."""
    d = -here.g / torch.linalg.vector_norm(here.g)
    slope = float(dot(d, here.g))
    ahead = (objective.peek(here.x + h * d) - here.f) / h
    behind = (here.f - objective.peek(here.x - h * d)) / h
    return max(abs(ahead - slope), abs(behind - slope))
