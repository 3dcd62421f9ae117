"""The search of Moré and Thuente for a step that meets the strong Wolfe conditions."""

# A step size's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar

from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import number
from thalweg.descent.steps.line import TRIALS, FirstTrial, LineSearch
from thalweg.descent.steps.more_thuente import Bracket
from thalweg.descent.steps.step_size import StepSize
from thalweg.errors import HyperparameterError
from thalweg.formula import Range

if TYPE_CHECKING:
    from thalweg.descent.steps.line import Line, Place

_OPEN = Range(0, 1, low_included=False)

_REFUSALS = 3
"""How many places the direction may refuse to go on from before it must start anew from one."""


@dataclass(frozen=True, repr=False)
class strong_wolfe(StepSize):
    """φ(α) ≤ φ(0) + c1·α·φ′(0) and abs φ′(α) ≤ −c2·φ′(0): far enough down, and flat enough there.

    c2 = 0.9 is for quasi-Newton and Newton directions, 0.1 for conjugate gradients. Moré and Thuente 1994, ACM
    Transactions on Mathematical Software 20(3); the conditions in Nocedal and Wright, (3.7). Where rounding or a kink
    lets no place meet the second one, the lowest place that meets the first is taken.
    """

    spends: ClassVar[str] = "function and gradient at each length that is tried, mostly one to three"
    _: KW_ONLY
    c1: float = number(_OPEN, default=1e-4, source="Nocedal and Wright, section 3.1")
    c2: float = number(_OPEN, default=0.9, source="the same: 0.9 for Newton's kind, 0.1 for conjugate gradients")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.c1 < self.c2:
            raise HyperparameterError(f"{self!r}: c1 must be less than c2, else there may be no such step")

    def start(self) -> LineSearch:
        """A search for one descent."""
        return _StrongWolfe(self)


class _StrongWolfe(LineSearch):
    remembers = ("_first",)

    def __init__(self, settings: strong_wolfe) -> None:
        self._settings = settings
        self._first = FirstTrial()

    def along(self, line: Line) -> Place:
        own, begin = self._settings, line.begin
        bracket = Bracket(begin.f, begin.slope, own.c1, line.farthest, line.rounding)
        alpha: float | None = self._first(line)
        lowest: Place | None = None
        trials = refused = 0
        while alpha is not None and trials < TRIALS and not line.is_still(alpha):
            trials += 1
            place = line.at(alpha)
            if not place.is_finite:
                alpha = bracket.shorten(alpha)
                continue
            is_lower = place.f <= begin.f + own.c1 * alpha * begin.slope
            if is_lower or self._is_level(line, place):
                if abs(place.slope) <= -own.c2 * begin.slope:
                    refused += 1
                    if refused > _REFUSALS or line.suits(place):
                        return place
                if alpha >= line.farthest:
                    raise line.unbounded(place)
                lowest = place if is_lower and (lowest is None or place.f < lowest.f) else lowest
            alpha = bracket.next(alpha, place.f, place.slope)
        if lowest is None or lowest.f >= begin.f:
            raise NoStepError(Status.NO_LOWER_POINT, "the line search finds no lower point along a descent direction")
        return lowest

    def _is_level(self, line: Line, place: Place) -> bool:
        """Whether rounding may hide that it is lower, and the slopes say it is: Hager and Zhang 2005, (4.1)."""
        return place.f <= line.begin.f + line.rounding and place.slope <= (2 * self._settings.c1 - 1) * line.begin.slope
