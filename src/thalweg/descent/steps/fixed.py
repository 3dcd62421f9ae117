"""Steps of a length that is known beforehand: a constant, or a schedule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.steps.step_size import Search

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.descent.directions.direction import Guide, Region
    from thalweg.descent.objective import Objective
    from thalweg.descent.trial import Trial


class Fixed(Search):
    """x + αd, where α is a function of the number of steps done; nothing is asked of the direction."""

    remembers = ("_steps",)

    def __init__(self, alpha: Callable[[int], float]) -> None:
        self._alpha = alpha
        self._steps = 0

    def step(self, here: Trial, guide: Guide | Region, objective: Objective) -> Trial:
        """The next point. Raises `NoStepError` where the function is not finite there."""
        d = cast("Guide", guide).toward(here)  # a descent is composed of what fits
        alpha = float(self._alpha(self._steps))
        self._steps += 1
        there = objective.at(here.x + alpha * d)
        if not math.isfinite(there.f):
            reason = (
                f"a step of size {alpha:g} has led to where the function is {there.f}; take smaller ones, or search"
            )
            raise NoStepError(Status.NOT_FINITE, reason)
        return there
