"""Martens' step: back over the iterates to the lowest, back along it if need be, and a damping by how far that was."""

# A step size's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import number
from thalweg.descent.steps.agreement import agreement
from thalweg.descent.steps.line import TRIALS, Line
from thalweg.descent.steps.step_size import Search, StepSize
from thalweg.formula import Range

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.directions.damped import DampedGuide
    from thalweg.descent.directions.direction import Guide, Region
    from thalweg.descent.objective import Objective
    from thalweg.descent.trial import Trial

_OPEN = Range(0, 1, low_included=False)


@dataclass(frozen=True, repr=False)
class levenberg_marquardt(StepSize):
    """The direction's own length, or less; and a damping λ that grows where the function falls less than foretold.

    With ρ, by how much the function changes at the direction's end, relative to q = gᵀd + ½dᵀGd: λ is multiplied by
    `factor` if ρ is below ¼, divided by it above ¾; a λ of 0 stays 0. Of the iterates that led to d, from the last one
    back, the first is taken before which the function is higher; from there it is Armijo's backtracking by `shrink`.
    For `hessian_free`, `gauss_newton` and `natural_gradient`. Martens 2010, sections 4.1 and 4.6.
    """

    for_damping: ClassVar[bool] = True
    spends: ClassVar[str] = "the function at each iterate and length that is tried, the gradient where it stops"
    _: KW_ONLY
    factor: float = number(Range(1), default=1.5, source="Martens 2010, section 4.1")
    c1: float = number(_OPEN, default=1e-2, source="Martens' code")
    shrink: float = number(_OPEN, default=0.8, source="Martens' code")

    def start(self) -> Search:
        """A search for one descent."""
        return _LevenbergMarquardt(self)


class _LevenbergMarquardt(Search):
    def __init__(self, settings: levenberg_marquardt) -> None:
        self._settings = settings

    def step(self, here: Trial, guide: Guide | Region, objective: Objective) -> Trial:
        own = cast("DampedGuide", guide)  # a descent is composed of what fits
        Line(objective, here, own.toward(here), guide=own)  # sees that it descends
        d, there = self._fall_back(here, own, objective)
        line = Line(objective, here, d, guide=own)
        alpha, settings = 1.0, self._settings
        for _ in range(TRIALS):
            if there.f <= here.f + settings.c1 * alpha * line.begin.slope and there.is_finite:
                return there
            alpha *= settings.shrink
            there = line.at(alpha).trial
        raise NoStepError(Status.NO_LOWER_POINT, f"no lower point was found with steps of 1 to {alpha:.2g}")

    def _fall_back(self, here: Trial, guide: DampedGuide, objective: Objective) -> tuple[Tensor, Trial]:
        """The lowest of the iterates, looked for from the last one back; and the damping for the next step."""
        last = guide.candidates[-1]
        d, there = last.step, objective.at(here.x + last.step)
        self._set_damping(guide, agreement(here, there, -last.predicted, math.inf))
        for earlier in guide.candidates[-2::-1]:
            before = objective.at(here.x + earlier.step)
            if there.f < before.f or (math.isfinite(there.f) and not math.isfinite(before.f)):
                break
            d, there = earlier.step, before
        return d, there

    def _set_damping(self, guide: DampedGuide, ratio: float) -> None:
        if ratio < 0.25:
            guide.damping *= self._settings.factor
        elif ratio > 0.75:
            guide.damping /= self._settings.factor
