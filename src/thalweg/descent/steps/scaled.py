"""The step of Møller's scaled conjugate gradients: no search, but a curvature that is raised until it fits."""

# A step size's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from torch import dot

from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import number
from thalweg.descent.steps.agreement import agreement
from thalweg.descent.steps.line import Line
from thalweg.descent.steps.step_size import Search, StepSize
from thalweg.formula import Range

if TYPE_CHECKING:
    from thalweg.descent.directions.direction import Guide, Region
    from thalweg.descent.objective import Objective
    from thalweg.descent.trial import Trial

_MUCH = 1000.0
"""By how many times the curvature λ is raised where the function is not finite."""
_LEAST = 1e-100
"""λ is no smaller, so that it can be raised again where the curvature is zero."""


@dataclass(frozen=True, repr=False)
class scaled(StepSize):
    """α = −dᵀg/(dᵀHd + λ‖d‖²), with λ raised until the function falls and lowered where it falls as foretold.

    One Hessian product a step, where Møller takes the difference of two gradients. For `moller()`: Møller 1993, Neural
    Networks 6, steps 2 to 8; λ₁ at most 1e-6, as there.
    """

    spends: ClassVar[str] = (
        "one Hessian product, the function at each length that is tried, the gradient where it stops"
    )
    damping: float = number(
        Range(0, 1e-6, low_included=False, high_included=True),
        default=1e-6,
        source="Møller 1993, step 1: at most that",
        kw_only=True,
    )

    def start(self) -> Search:
        """A search for one descent."""
        return _Scaled(self.damping)


class _Scaled(Search):
    remembers = ("_lambda",)

    def __init__(self, damping: float) -> None:
        self._lambda = damping

    def step(self, here: Trial, guide: Guide | Region, objective: Objective) -> Trial:
        own = cast("Guide", guide)  # a descent is composed of what fits
        d = own.toward(here)
        line = Line(objective, here, d, guide=own)
        mu, square = -line.begin.slope, line.length * line.length
        delta = float(dot(d, here.product(d)))
        if not math.isfinite(delta):
            raise NoStepError(Status.NOT_FINITE, "a Hessian product has a NaN or an infinity in it")
        raised = 0.0
        while True:
            delta += (self._lambda - raised) * square
            if delta <= 0:
                raised = 2 * (self._lambda - delta / square)
                delta = -delta + self._lambda * square
                self._lambda = raised
            if not delta:
                raise NoStepError(Status.NO_LOWER_POINT, "the curvature has become too small to be told from 0")
            there = line.at(mu / delta).trial
            ratio = agreement(here, there, mu / delta * mu / 2, 0.0)
            raised = self._lambda
            if ratio >= 0.75:
                self._lambda = max(self._lambda / 4, _LEAST)
            elif ratio < 0.25:
                self._lambda += delta * (1 - ratio if math.isfinite(ratio) else _MUCH) / square
            if ratio >= 0:
                return there
