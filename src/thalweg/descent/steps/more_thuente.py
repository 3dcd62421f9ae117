"""How Moré and Thuente choose the next place of a line to look at, from all that were."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thalweg.descent.steps.interpolation import cubic, parabola, secant

if TYPE_CHECKING:
    from thalweg.descent.steps.interpolation import Point

_NEAR, _FAR = 1.1, 4.0
"""While there is no bracket, the next step goes between so many times beyond the last."""
_SHRINK = 0.66
"""Two trials must shrink the bracket to this; also how far into it a trial may go."""
_NARROW = 1e-14
"""A bracket so narrow, relative to its end, holds no other place."""


class Bracket:
    """The interval that holds the minimum, from its best end to its other end, and what to try next.

    Until a place with sufficient decrease and a rising slope is found, it is that of ψ(α) = φ(α) − φ(0) − c1·φ′(0)·α,
    whose minima meet the first Wolfe condition. Sections 2 to 4 of the paper.
    """

    def __init__(self, f: float, slope: float, c1: float, farthest: float, rounding: float) -> None:
        self._best: Point = (0.0, f, slope)
        self._other: Point = (0.0, f, slope)
        self._is_bracket = False
        self._tilt = c1 * slope
        self._f = f
        self._is_first_stage = True
        self._widths = (math.inf, math.inf)
        self._farthest, self._rounding = farthest, rounding
        self._barrier = math.inf
        self._is_first = True

    def shorten(self, alpha: float) -> float:
        """What to try instead of an α where the function is not finite; nothing so far is tried again."""
        self._barrier = min(self._barrier, alpha)
        return self._best[0] + 0.1 * (alpha - self._best[0])

    def next(self, alpha: float, f: float, slope: float) -> float | None:
        """What to try after the place (α, f, slope), or `None` when the bracket has shrunk to nothing."""
        sufficient = self._f + alpha * self._tilt
        if self._is_first_stage and f <= sufficient and slope >= 0:
            self._is_first_stage = False
        if self._is_first_stage and sufficient < f <= self._best[1]:
            self._best, self._other = self._tilted(self._best), self._tilted(self._other)
            following = self._take(self._tilted((alpha, f, slope)), alpha)
            self._best, self._other = self._tilted(self._best, -1), self._tilted(self._other, -1)
        else:
            following = self._take((alpha, f, slope), alpha)
        self._is_first = False
        low, high = sorted((self._best[0], self._other[0]))
        if self._is_bracket:
            if high - low >= _SHRINK * self._widths[0]:
                following = low + 0.5 * (high - low)
            self._widths = (self._widths[1], high - low)
            is_flat = abs(self._best[2]) * (high - low) <= self._rounding  # values tell no more
            if is_flat or high - low <= _NARROW * high or not low < following < high:
                return None
        following = min(following, self._farthest)
        return following if following < self._barrier else alpha + _SHRINK * (self._barrier - alpha)

    def _tilted(self, point: Point, sign: int = 1) -> Point:
        alpha, f, slope = point
        return (alpha, f - sign * alpha * self._tilt, slope - sign * self._tilt)

    def _take(self, new: Point, alpha: float) -> float:
        """Update the interval by a new place, and say what to try next: the paper's four cases."""
        best, other = self._best, self._other
        by_cubic, by_secant = cubic(best, new), secant(best, new)
        turns = new[2] * math.copysign(1.0, best[2]) < 0
        ahead = math.copysign(math.inf, alpha - best[0])
        if new[1] > best[1]:
            by_parabola = parabola(best, new)
            is_nearer = abs(by_cubic - best[0]) < abs(by_parabola - best[0])
            following = by_cubic if is_nearer else by_cubic + (by_parabola - by_cubic) / 2
        elif turns:
            following = by_cubic if abs(by_cubic - alpha) > abs(by_secant - alpha) else by_secant
        elif abs(new[2]) < abs(best[2]):
            following = self._beyond(new, by_cubic, by_secant, ahead)
        else:
            following = cubic(new, other) if self._is_bracket else self._limit(alpha, ahead)
        if new[1] > best[1]:
            self._other, self._is_bracket = new, True
        else:
            if turns:
                self._other, self._is_bracket = best, True
            self._best = new
        return following if math.isfinite(following) else (self._best[0] + self._other[0]) / 2

    def _beyond(self, new: Point, by_cubic: float, by_secant: float, ahead: float) -> float:
        """The third case: the slope has become less, and the minimum lies further on."""
        alpha = new[0]
        is_ahead = math.isfinite(by_cubic) and (by_cubic - alpha) * ahead > 0
        by_cubic = by_cubic if is_ahead else self._limit(alpha, ahead)
        cubic_is_nearer = abs(by_cubic - alpha) < abs(by_secant - alpha)
        if self._is_bracket:
            following = by_cubic if cubic_is_nearer else by_secant
            bound = alpha + _SHRINK * (self._other[0] - alpha)
            return min(following, bound) if ahead > 0 else max(following, bound)
        following = by_secant if cubic_is_nearer else by_cubic
        nearest = alpha if self._is_first else alpha + _NEAR * (alpha - self._best[0])
        return min(max(following, nearest), self._limit(alpha, ahead))

    def _limit(self, alpha: float, ahead: float) -> float:
        """How far the next step may go, in the direction in which the new place lies."""
        if self._is_bracket:
            low, high = sorted((self._best[0], self._other[0]))
            return high if ahead > 0 else low
        return min(alpha + _FAR * (alpha - self._best[0]), self._farthest)
