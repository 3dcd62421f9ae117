"""The exact search: to the nearest place where the slope vanishes, by the method of Brent and Dekker."""

# A step size's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from scipy.optimize import brentq

from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import number
from thalweg.descent.steps.line import FirstTrial, LineSearch
from thalweg.descent.steps.opposite_slopes import FoundError, OppositeSlopes
from thalweg.descent.steps.step_size import StepSize
from thalweg.formula import Range

if TYPE_CHECKING:
    from thalweg.descent.steps.line import Line, Place


@dataclass(frozen=True, repr=False)
class brent(StepSize):
    """The exact step: α with φ′(α) = 0, known to the relative `tolerance`, in the first interval that holds one.

    The slope's zero is found by bisection, secants and inverse quadratic interpolation (Dekker 1969, Brent 1973), as
    values alone would leave half of the digits open. It spends more evaluations than a step is mostly worth; it is
    there for theory, where successive directions are to be orthogonal or conjugate.
    """

    spends: ClassVar[str] = "function and gradient at each length that is tried, and many are"
    tolerance: float = number(
        Range(0, 1, low_included=False), default=1e-12, source="ours: nearly all digits", kw_only=True
    )

    def start(self) -> LineSearch:
        """A search for one descent."""
        return _Brent(self.tolerance)


class _Brent(LineSearch):
    remembers = ("_first",)

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._first = FirstTrial()

    def along(self, line: Line) -> Place:
        slopes = OppositeSlopes(line, 0.0, lambda place: place.slope == 0 and place.f <= line.begin.f)
        try:
            return self._zero(line, slopes)
        except FoundError as found:
            return found.place
        except NoStepError as failure:
            if slopes.lowest is None or failure.status is not Status.NO_LOWER_POINT:
                raise
            return slopes.lowest

    def _zero(self, line: Line, slopes: OppositeSlopes) -> Place:
        low, high = slopes.bracket(self._first(line))
        seen = {low.alpha: low, high.alpha: high}

        def slope(alpha: float) -> float:
            if alpha not in seen:
                seen[alpha] = slopes.look(alpha)
            place = seen[alpha]
            return place.slope if place.is_finite else -line.begin.slope  # where it is not finite, it must rise

        if high.slope == 0:
            return high
        zero = brentq(slope, low.alpha, high.alpha, xtol=self._tolerance * high.alpha, maxiter=1000)
        found = seen[cast("float", zero)]
        if found.is_finite and found.f <= line.begin.f:
            return found
        raise NoStepError(Status.NO_LOWER_POINT, "the line search finds no lower point along a descent direction")
