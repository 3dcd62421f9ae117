"""The function along a line: φ(α) = f(x + αd), for all that search along one."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, cast

import torch
from torch import dot

from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.remembering import Remembering
from thalweg.descent.steps.step_size import Search

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.directions.direction import Guide, Region
    from thalweg.descent.objective import Objective
    from thalweg.descent.trial import Trial

_ROUNDINGS = 2
"""How many roundings of the value may hide that a place is lower."""
TRIALS = 100
"""How many points of one line are looked at before it is given up."""


def farthest(dtype: torch.dtype) -> float:
    """A point so many times farther off than its start (or 1) says that the function is not bounded below."""
    return min(1e20, torch.finfo(dtype).max ** 0.4)  # in float32, 1e20 could not be squared


class Place:
    """A point of a line: α, the value φ there and, when it is asked for, the slope φ′."""

    def __init__(self, alpha: float, trial: Trial, d: Tensor) -> None:
        self.alpha = alpha
        self.trial = trial
        self.f = trial.f
        self._d = d
        self._slope: float | None = None

    @property
    def slope(self) -> float:
        """φ′(α) = dᵀ∇f; computes the gradient."""
        if self._slope is None:
            self._slope = float(dot(self._d, self.trial.g))
        return self._slope

    @property
    def is_finite(self) -> bool:
        """Whether value and slope are finite; the slope is computed only where the value is."""
        return math.isfinite(self.f) and math.isfinite(self.slope) and self.trial.is_finite


class Line:
    """The line from a point in a direction that descends from it, and the places that were looked at.

    Raises `NoStepError` if the direction is not finite, or does not descend.
    """

    def __init__(self, objective: Objective, here: Trial, d: Tensor, *, guide: Guide) -> None:
        self._objective = objective
        self._d = d
        self._guide = guide
        self._reached: tuple[float, Tensor] | None = None
        self.begin = Place(0.0, here, d)
        if not bool(d.isfinite().all()):
            raise NoStepError(Status.NOT_FINITE, "the direction has a NaN or an infinity in it")
        if math.isinf(self.begin.slope):
            raise NoStepError(Status.NOT_FINITE, "the slope overflows; scale the function down")
        self.length = float(torch.linalg.vector_norm(d))
        least = self.length * float(torch.linalg.vector_norm(here.g))
        if not self.length * self.length or (self.begin.slope == 0 and least < torch.finfo(d.dtype).tiny):
            raise NoStepError(Status.NO_LOWER_POINT, "the direction or the slope has become too small to be squared")
        if not self.begin.slope < 0:
            because = f"; {guide.advice}" if guide.advice else ""
            reason = f"the direction is no descent direction, its slope is {self.begin.slope:.3g}{because}"
            raise NoStepError(Status.NO_DIRECTION, reason)
        size = float(torch.linalg.vector_norm(here.x))
        self.farthest = farthest(d.dtype) * max(1.0, size) / self.length
        self.rounding = _ROUNDINGS * torch.finfo(d.dtype).eps * abs(here.f)
        self.is_scaled = guide.is_scaled

    def is_still(self, alpha: float) -> bool:
        """Whether the step is too short to change the point."""
        return torch.equal(self._reach(alpha), self.begin.trial.x)

    def at(self, alpha: float) -> Place:
        """The function there. Raises `NoStepError` if the step is too short to change the point."""
        if self.is_still(alpha):
            raise NoStepError(Status.NO_LOWER_POINT, "the steps have become shorter than the rounding of the point")
        return Place(alpha, self._objective.at(self._reach(alpha)), self._d)

    def _reach(self, alpha: float) -> Tensor:
        """The point there; the last one is kept, as it is asked for twice."""
        if self._reached is None or self._reached[0] != alpha:
            self._reached = (alpha, self.begin.trial.x + alpha * self._d)
        return self._reached[1]

    def suits(self, place: Place) -> bool:
        """Whether the guide could go on from there."""
        return self._guide.could_go_on(self.begin.trial, place.trial)

    def unbounded(self, place: Place) -> NoStepError:
        """What is raised where the function still falls so far away."""
        reason = (
            f"the function is not bounded below along the direction: after a step of length "
            f"{place.alpha * self.length:.2g} it is {place.f:.3g} and still falls"
        )
        return NoStepError(Status.UNBOUNDED, reason)


class LineSearch(Search):
    """Takes steps along the guide's directions, by looking at the function along the line."""

    def step(self, here: Trial, guide: Guide | Region, objective: Objective) -> Trial:
        """The next point. Raises `NoStepError` where there is none."""
        own = cast("Guide", guide)  # a descent is composed of what fits
        line = Line(objective, here, own.toward(here), guide=own)
        return self.along(line).trial

    @abstractmethod
    def along(self, line: Line) -> Place:
        """Where to stop on the line. Raises `NoStepError` if there is no lower point."""


class FirstTrial(Remembering):
    """The α to try first: where the last step's decrease would be had again, at most 1; at first, a step of length 1.

    1 where that is the direction's own step. Nocedal and Wright, equation (3.60) and what follows it.
    """

    remembers = ("_last",)

    def __init__(self) -> None:
        self._last: float | None = None

    def __call__(self, line: Line) -> float:
        """The first α for this line."""
        begin = line.begin
        last, self._last = self._last, begin.f
        if line.is_scaled:
            return 1.0
        if last is None:
            alpha = 1.01 * float(torch.linalg.vector_norm(begin.trial.g)) / -begin.slope
        else:
            alpha = 2.02 * (begin.f - last) / begin.slope
        return min(1.0, alpha) if alpha > 0 else 1.0
