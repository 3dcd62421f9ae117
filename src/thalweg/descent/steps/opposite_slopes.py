"""An interval of a line at whose ends the function falls and rises, so that a minimum lies between them.

Hager and Zhang 2005, SIAM Journal on Optimization 16(1), pages 183 to 186: "bracket", "update".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.steps.line import TRIALS

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.descent.steps.line import Line, Place

_GROW = 5.0
"""ρ: how much further the next place is, while the function falls."""


class Ends(NamedTuple):
    """A low place where the function falls, and one further on where it rises."""

    low: Place
    high: Place


class FoundError(Exception):
    """A place that is good enough, found on the way."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


class OppositeSlopes:
    """Looks at places of a line and narrows the interval; a place counts as low up to `allowance` above the begin.

    Whatever it looks at, a place that is `good` ends the search by `FoundError`.
    """

    def __init__(self, line: Line, allowance: float, good: Callable[[Place], bool]) -> None:
        self._line = line
        self._ceiling = line.begin.f + allowance
        self._good = good
        self._left = TRIALS
        self.lowest: Place | None = None

    def look(self, alpha: float) -> Place:
        """The place there. Raises `FoundError` if it is good enough, `NoStepError` after too many."""
        if not self._left:
            raise NoStepError(Status.NO_LOWER_POINT, f"the line search finds no lower point in {TRIALS} trials")
        self._left -= 1
        place = self._line.at(alpha)
        if place.is_finite:
            if place.f < self._line.begin.f and (self.lowest is None or place.f < self.lowest.f):
                self.lowest = place
            if self._good(place):
                raise FoundError(place)
        return place

    def is_still(self, alpha: float) -> bool:
        """Whether that is too short a way to change the point."""
        return self._line.is_still(alpha)

    def bracket(self, alpha: float) -> Ends:
        """The first such interval, from the α to try first. Raises `NoStepError` where the function is unbounded."""
        low = self._line.begin
        while True:
            place = self.look(alpha)
            if self._rises(place):
                return Ends(low, place)
            if self._is_high(place):
                return self._halve(low, place)
            if alpha >= self._line.farthest:
                raise self._line.unbounded(place)
            low = place
            alpha = min(_GROW * alpha, self._line.farthest)

    def update(self, ends: Ends, alpha: float) -> Ends:
        """The interval narrowed by the place at α, if that lies within."""
        if not ends.low.alpha < alpha < ends.high.alpha:
            return ends
        place = self.look(alpha)
        if self._rises(place):
            return Ends(ends.low, place)
        return self._halve(ends.low, place) if self._is_high(place) else Ends(place, ends.high)

    def _halve(self, low: Place, high: Place) -> Ends:
        while True:
            place = self.look((low.alpha + high.alpha) / 2)
            if self._rises(place):
                return Ends(low, place)
            if self._is_high(place):
                high = place
            else:
                low = place

    @staticmethod
    def _rises(place: Place) -> bool:
        return place.is_finite and place.slope >= 0

    def _is_high(self, place: Place) -> bool:
        return not place.is_finite or place.f > self._ceiling
