"""The search of Hager and Zhang, which goes by slopes where values no longer tell one place from another."""

# A step size's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import number
from thalweg.descent.steps.line import LineSearch
from thalweg.descent.steps.opposite_slopes import Ends, FoundError, OppositeSlopes
from thalweg.descent.steps.step_size import StepSize
from thalweg.errors import HyperparameterError
from thalweg.formula import Range

if TYPE_CHECKING:
    from thalweg.descent.steps.line import Line, Place

_OPEN = Range(0, 1, low_included=False)
_NARROW = 0.66
"""γ: an interval that shrinks by less than this is halved."""
_FIRST, _LONGER = 0.01, 2.0
"""ψ₀ and ψ₂: how far to go first, relative to the point, and how much further than the last time."""


@dataclass(frozen=True, repr=False)
class approximate_wolfe(StepSize):
    """The Wolfe conditions, or where rounding hides a decrease: (2δ − 1)φ′(0) ≥ φ′(α) ≥ σφ′(0), φ(α) ≤ φ(0) + ε|φ(0)|.

    It gets nearer to a minimum than searches that compare values, where rounding leaves half of the digits. Made for
    `hager_zhang()`, good for all. Hager and Zhang 2005, SIAM Journal on Optimization 16(1), with the defaults of their
    2006 paper, ACM Transactions on Mathematical Software 32(1).
    """

    spends: ClassVar[str] = "function and gradient at each length that is tried, mostly one or two"
    _: KW_ONLY
    delta: float = number(Range(0, 0.5, low_included=False), default=0.1, source="Hager and Zhang 2006")
    sigma: float = number(_OPEN, default=0.9, source="Hager and Zhang 2006")
    epsilon: float = number(Range(0), default=1e-6, source="Hager and Zhang 2006")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.delta < self.sigma:
            raise HyperparameterError(f"{self!r}: delta must be less than sigma, else there may be no such step")

    def start(self) -> LineSearch:
        """A search for one descent."""
        return _ApproximateWolfe(self)


class _ApproximateWolfe(LineSearch):
    remembers = ("_last",)

    def __init__(self, settings: approximate_wolfe) -> None:
        self._settings = settings
        self._last: float | None = None

    def along(self, line: Line) -> Place:
        own, begin = self._settings, line.begin
        allowance = own.epsilon * abs(begin.f)

        def good(place: Place) -> bool:
            if place.slope < own.sigma * begin.slope:
                return False
            enough = place.f - begin.f <= own.delta * place.alpha * begin.slope
            return enough or (place.slope <= (2 * own.delta - 1) * begin.slope and place.f <= begin.f + allowance)

        slopes = OppositeSlopes(line, allowance, good)
        try:
            place = self._narrow(slopes, self._first(line))
        except FoundError as found:
            place = found.place
        except NoStepError as failure:
            if slopes.lowest is None or failure.status is not Status.NO_LOWER_POINT:
                raise
            place = slopes.lowest
        self._last = place.alpha
        return place

    def _narrow(self, slopes: OppositeSlopes, first: float) -> Place:
        """Narrow the interval until a place is good, which ends it by `FoundError`."""
        ends = slopes.bracket(first)
        while ends.low.alpha < (ends.low.alpha + ends.high.alpha) / 2 < ends.high.alpha:
            width = ends.high.alpha - ends.low.alpha
            ends = _secants(slopes, ends)
            if ends.high.alpha - ends.low.alpha > _NARROW * width:
                ends = slopes.update(ends, (ends.low.alpha + ends.high.alpha) / 2)
        raise NoStepError(Status.NO_LOWER_POINT, "the line search finds no lower point along a descent direction")

    def _first(self, line: Line) -> float:
        """The α to try first: steps I0 to I2 of the 2006 paper, without its look at a parabola."""
        if line.is_scaled:
            return 1.0
        if self._last is not None:
            return _LONGER * self._last
        begin = line.begin.trial
        steepest = float(torch.linalg.vector_norm(begin.g, torch.inf))
        size = float(torch.linalg.vector_norm(begin.x, torch.inf))
        if size:
            return _FIRST * size / steepest
        return _FIRST * abs(begin.f) / steepest / steepest if begin.f else 1.0


def _secants(slopes: OppositeSlopes, ends: Ends) -> Ends:
    """The procedure "secant²": a secant of both ends, and another one from the end that it has replaced."""
    alpha = _secant(ends.low, ends.high)
    if slopes.is_still(alpha):
        return ends  # a slope at the far end that is out of all proportion
    narrower = slopes.update(ends, alpha)
    if alpha == narrower.high.alpha:
        return slopes.update(narrower, _secant(ends.high, narrower.high))
    if alpha == narrower.low.alpha:
        return slopes.update(narrower, _secant(ends.low, narrower.low))
    return narrower


def _secant(a: Place, b: Place) -> float:
    return (a.alpha * b.slope - b.alpha * a.slope) / (b.slope - a.slope) if a.slope != b.slope else a.alpha
