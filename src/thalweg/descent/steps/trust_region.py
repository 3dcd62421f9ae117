"""Trust regions: the step is as long as the quadratic model has been found to deserve."""

# A step size's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import dot

from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import number
from thalweg.descent.steps.agreement import agreement
from thalweg.descent.steps.step_size import Search, StepSize
from thalweg.formula import Range

if TYPE_CHECKING:
    from thalweg.descent.directions.direction import Guide, Region
    from thalweg.descent.objective import Objective
    from thalweg.descent.trial import Trial

_POSITIVE = Range(0, low_included=False)


@dataclass(frozen=True, repr=False)
class trust_region(StepSize):
    """The best step of the model within a radius that grows where the model is right, and shrinks where it is not.

    A step is taken if the function falls by `accept` of what the model says. For `dogleg()` and `steihaug()`.
    Nocedal and Wright, Algorithm 4.1; the defaults are SciPy's, but for `max_radius`, which has no bound here.
    """

    for_region: ClassVar[bool] = True
    spends: ClassVar[str] = "the function for each radius that is tried, the gradient where it stops"
    _: KW_ONLY
    radius: float = number(_POSITIVE, default=1.0, source="SciPy's")
    max_radius: float | None = number(_POSITIVE, default=None, source="ours: no bound")
    accept: float = number(Range(0, 0.25), default=0.15, source="SciPy's")

    def start(self) -> Search:
        """A search for one descent."""
        return _TrustRegion(self)


class _TrustRegion(Search):
    remembers = ("_radius",)

    def __init__(self, settings: trust_region) -> None:
        self._accept = settings.accept
        self._most = math.inf if settings.max_radius is None else settings.max_radius
        self._radius = min(settings.radius, self._most)

    def step(self, here: Trial, guide: Guide | Region, objective: Objective) -> Trial:
        region = cast("Region", guide)  # a descent is composed of what fits
        while True:
            step, product = region.within(here, self._radius)
            predicted = -float(dot(here.g, step) + 0.5 * dot(step, product))
            if not predicted > 0:
                raise NoStepError(Status.NO_LOWER_POINT, "the quadratic model has no lower point within the region")
            x = here.x + step
            if bool((x == here.x).all()):
                reason = "the trust region has become smaller than the rounding of the point"
                raise NoStepError(Status.NO_LOWER_POINT, reason)
            there = objective.at(x)
            ratio = agreement(here, there, predicted, self._accept)
            length = float(torch.linalg.vector_norm(step))
            if ratio < 0.25:
                self._radius *= 0.25
                while ratio < self._accept and self._radius > length:
                    self._radius *= 0.25  # the same step would be refused again
            elif ratio > 0.75 and length >= (1 - 1e-6) * self._radius:
                self._radius = min(2 * self._radius, self._most)
            if ratio >= self._accept:
                return there
