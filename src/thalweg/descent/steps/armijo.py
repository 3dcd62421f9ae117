"""Backtracking: shorten the step until the function falls by a share of what its slope promises."""

# A step size's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar

from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import number
from thalweg.descent.steps.line import TRIALS, LineSearch
from thalweg.descent.steps.step_size import StepSize
from thalweg.formula import Range

if TYPE_CHECKING:
    from thalweg.descent.steps.line import Line, Place

_OPEN = Range(0, 1, low_included=False)


@dataclass(frozen=True, repr=False)
class armijo(StepSize):
    """α = initial, initial·shrink, initial·shrink², … until φ(α) ≤ φ(0) + c1·α·φ′(0). Armijo 1966.

    It looks at values only, so that points that are refused cost no gradient. It cannot lengthen a step: it is for
    directions whose natural step is 1, as Newton's. Nocedal and Wright, Algorithm 3.1.
    """

    spends: ClassVar[str] = "the function at each length that is tried, the gradient where it stops"
    _: KW_ONLY
    c1: float = number(_OPEN, default=1e-4, source="Nocedal and Wright, section 3.1")
    shrink: float = number(_OPEN, default=0.5, source="Armijo 1966")
    initial: float = number(
        Range(0, low_included=False), default=1.0, source="the step that Newton's direction stands for"
    )

    def start(self) -> LineSearch:
        """A search for one descent."""
        return _Armijo(self)


class _Armijo(LineSearch):
    def __init__(self, settings: armijo) -> None:
        self._settings = settings

    def along(self, line: Line) -> Place:
        own = self._settings
        alpha = own.initial
        for _ in range(TRIALS):
            place = line.at(alpha)
            if place.f <= line.begin.f + own.c1 * alpha * line.begin.slope and place.trial.is_finite:
                return place
            alpha *= own.shrink
        raise NoStepError(
            Status.NO_LOWER_POINT, f"no lower point was found with steps of {own.initial:g} to {alpha:.2g}"
        )
