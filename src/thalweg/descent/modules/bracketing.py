"""The line search of torch's L-BFGS, which is that of minFunc: a bracket by longer steps, then a cubic inside it.

For the strong Wolfe conditions; M. Schmidt, minFunc, 2005; Nocedal and Wright, Algorithms 3.5 and 3.6. Where torch's
numbers are not wanted there is `strong_wolfe`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_C1, _C2 = 1e-4, 0.9
_EDGE = 0.1
"""How near to an end, relative to the bracket, a trial may be only once."""


class Place(NamedTuple):
    """A step t, the loss and the gradient there, and the slope along the line."""

    t: float
    f: float
    g: Tensor
    slope: float

    @property
    def is_finite(self) -> bool:
        """Whether loss and slope are."""
        return math.isfinite(self.f) and math.isfinite(self.slope)


@dataclass
class Bracketing:
    """Searches the line from `begin`; `look` evaluates a place of it, at most `left` times.

    `tolerance` is the width, relative to the step that has a largest element of 1, at which a bracket is small enough.
    A place that is not finite is too far, unless it `is_trusting`: torch goes on from it.
    """

    begin: Place
    look: Callable[[float], Place]
    left: int
    tolerance: float
    is_trusting: bool = False

    def from_step(self, t: float) -> Place:
        """Where to stop, if t is tried first; the begin itself, if nothing was found or there is nothing to spend."""
        if not self.left:
            return self.begin
        before, here = self.begin, self._at(t)
        count = 0
        while not self._is_too_far(here, before if count > 1 else None):
            if self._is_flat(here):
                return here
            if here.slope >= 0:
                break
            if not self.left:
                return min(self.begin, here, key=lambda place: place.f)
            bounds = here.t + 0.01 * (here.t - before.t), 10 * here.t
            before, here = here, self._at(cubic(before, here, bounds))
            count += 1
        return self._narrow([before, here])

    def _narrow(self, ends: list[Place]) -> Place:
        """The place to stop at inside of a bracket, or the lower of its ends when there is no more to spend."""
        low = 0 if ends[0].f <= ends[1].f else 1
        was_near = False
        while self.left and abs(ends[1].t - ends[0].t) >= self.tolerance and ends[0].t != ends[1].t:
            t, was_near = _inside(ends, was_near=was_near)
            place = self._at(t)
            if self._is_too_far(place, ends[low]):
                ends[1 - low] = place
                low = 0 if ends[0].f <= ends[1].f else 1
                continue
            if self._is_flat(place):
                return place
            if place.slope * (ends[1 - low].t - ends[low].t) >= 0:
                ends[1 - low] = ends[low]
            ends[low] = place
        return ends[low]

    def _at(self, t: float) -> Place:
        self.left -= 1
        place = self.look(t)
        return place if place.is_finite or self.is_trusting else place._replace(f=math.inf, slope=math.nan)

    def _is_too_far(self, place: Place, low: Place | None) -> bool:
        begin = self.begin
        return place.f > begin.f + _C1 * place.t * begin.slope or (low is not None and place.f >= low.f)

    def _is_flat(self, place: Place) -> bool:
        return abs(place.slope) <= -_C2 * self.begin.slope


def cubic(a: Place, b: Place, bounds: tuple[float, float]) -> float:
    """Where the cubic through both places is lowest, within the bounds; halfway between them, where it has no minimum.

    Nocedal and Wright, equation (3.59), from the farther of the two.
    """
    near, far = (a, b) if a.t <= b.t else (b, a)
    mean = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = mean * mean - a.slope * b.slope
    low, high = bounds
    root = math.sqrt(square) if square >= 0 else math.nan  # it may be no number itself
    below = far.slope - near.slope + 2 * root
    if not abs(below) > 0:
        return (low + high) / 2
    t = far.t - (far.t - near.t) * (far.slope + root - mean) / below
    return min(max(t, low), high)


def _inside(ends: list[Place], *, was_near: bool) -> tuple[float, bool]:
    """The next place inside a bracket, and whether it is near to an end: a second one in a row is moved away."""
    low, high = sorted((ends[0].t, ends[1].t))
    t = cubic(ends[0], ends[1], (low, high))
    edge = _EDGE * (high - low)
    if min(high - t, t - low) >= edge:
        return t, False
    if was_near or t >= high or t <= low:
        return (high - edge if abs(t - high) < abs(t - low) else low + edge), False
    return t, True
