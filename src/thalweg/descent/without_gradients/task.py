"""What a routine is given: a function of NumPy's vectors within bounds, a start, and somebody to tell of each step."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from thalweg.descent.engine import Ending
from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.stopping import Progress, StoppingRule, iterations

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from thalweg.descent.bounds import Bounds
    from thalweg.descent.objective import Objective
    from thalweg.descent.trial import Trial

_Found = TypeVar("_Found")

_FARTHEST = 1e20
"""A way so many times longer than the start (or 1) says that the function is not bounded below."""
_IDLE = 1000
"""So many iterations without an evaluation say that a routine goes on for ever."""


class EndedError(Exception):
    """The stopping rule or the callback has ended the run."""


class Task:
    """The function of the variables that are free, as vectors in float64; those that their bounds fix are put in.

    `ending` is how the stopping rule or the callback has ended it, and `raised` whatever the function has raised, or
    the budget; from then on every evaluation raises it again, so that no library can go on.
    """

    def __init__(
        self,
        objective: Objective,
        start: Tensor,
        bounds: Bounds,
        *,
        stop: StoppingRule | None,
        seen: Callable[[Trial, int], bool],
        began: float,
    ) -> None:
        self.objective = objective
        self.start = start
        self.within = bounds
        self.x0: NDArray[np.float64] = bounds.free_of(start)
        self.low = bounds.free_of(bounds.low)
        self.high = bounds.free_of(bounds.high)
        self.size = self.x0.size
        self.nit = 0
        self.not_finite = 0
        self.ending: Ending | None = None
        self.raised: Exception | None = None
        self.began = began
        self._spent_before = objective.spent
        self._rules = sorted(stop.parts, key=lambda rule: rule.is_budget) if stop else []
        self._seen = seen
        self._first: Trial | None = None
        self._high: float | None = None
        self._told: Trial | None = None
        self._idle = (0, 0)
        self._errors = np.geterr()
        self._farthest = _FARTHEST * max(1.0, float(np.abs(self.x0).max(initial=0.0)))

    @property
    def pairs(self) -> list[tuple[float, float]]:
        """The bounds of each free variable."""
        return list(zip(self.low.tolist(), self.high.tolist(), strict=True))

    @property
    def iterations_left(self) -> float:
        """How many iterations the stopping rule allows from here on."""
        return min((rule.count for rule in self._rules if isinstance(rule, iterations)), default=math.inf) - self.nit

    def spread(self, given: float | None) -> NDArray[np.float64]:
        """The standard deviation to begin with: as given, else a quarter of the bounds' width, else 1."""
        if given is not None:
            return np.full(self.size, given)
        width = self.high - self.low
        return np.where(np.isfinite(width), width / 4, 1.0)

    def begin(self) -> None:
        """Evaluate the start, and look at the stopping rule. Raises as `value` and `iterated`."""
        self._first = self._told = self._at(self.start)
        self.ending = self._met()
        if self.ending:
            raise self._fail(EndedError())

    def at(self, x: NDArray[np.float64]) -> Trial:
        """The function there, in the dtype of the start. Raises what the function raises, or the budget."""
        if self._first is not None and np.array_equal(x, self.x0):
            first, self._first = self._first, None
            return first
        return self._at(self.within.whole(x, self.start))

    def value(self, x: NDArray[np.float64]) -> float:
        """The function's value there; +∞ where it is NaN. Raises as `at`."""
        value = self.at(x).f
        return math.inf if math.isnan(value) else value

    def value_and_gradient(self, x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The value and the gradient there; where either is not finite, a value higher than the first, and zeros.

        Raises as `at`, and `NoStepError` where the first is not finite.
        """
        trial = self.at(x)
        if not self._guarded(lambda: trial.is_finite):
            if self._high is None:
                raise self._fail(NoStepError(Status.NOT_FINITE, "the gradient is not finite at x0"))
            return self._high, np.zeros(self.size)
        if self._high is None:
            self._high = trial.f + max(1.0, abs(trial.f))
        return trial.f, self.within.free_of(self._guarded(lambda: trial.g))

    def look(self, here: Trial | None = None) -> bool:
        """Say that an iteration is done, and where it stands if not at the lowest point; whether to end there."""
        here = here or self.objective.best or self._told
        if here is None or self.ending:
            return self.ending is not None
        self.nit += 1
        if self._idle[0] != self.objective.nfev:
            self._idle = (self.objective.nfev, self.nit)
        before, self._told = self._told, here
        if self._guarded(lambda: self._seen(here, self.nit)):
            self.ending = Ending(here, self.nit, Status.STOPPED, "the callback raised StopIteration")
        else:
            self.ending = self._met(before)
        return self.ending is not None

    def iterated(self, here: Trial | None = None) -> None:
        """As `look`, and raises `EndedError` to end there."""
        if self.look(here):
            raise self._fail(EndedError())

    def _at(self, x: Tensor) -> Trial:
        if self.raised is not None:
            raise self.raised
        best = self.objective.best
        with np.errstate(**self._errors):
            trial = self._guarded(lambda: self.objective.at(x))
        if not math.isfinite(trial.f):
            self.not_finite += 1
        elif best is not None and trial.f < best.f and float(torch.dist(x, self.start, torch.inf)) > self._farthest:
            raise self._fail(
                NoStepError(
                    Status.UNBOUNDED, f"the function is not bounded below: it still falls a way of {_FARTHEST:.0e} off"
                )
            )
        return trial

    def _guarded(self, call: Callable[[], _Found]) -> _Found:
        try:
            return call()
        except Exception as failure:
            self.raised = failure
            raise

    def _fail(self, failure: Exception) -> Exception:
        self.raised = failure
        return failure

    def _met(self, before: Trial | None = None) -> Ending | None:
        here = self._told
        assert here is not None  # noqa: S101  # an iteration is over
        spent = self.objective.spent - self._spent_before
        seconds = time.monotonic() - self.began
        moved = None if before is here else before
        progress = Progress(here=here, before=moved, nit=self.nit, evaluations=spent, seconds=seconds)
        for rule in self._rules:
            reason = rule.met(progress)
            if reason:
                return Ending(here, self.nit, Status.BUDGET_SPENT if rule.is_budget else Status.CONVERGED, reason)
        if self.nit - self._idle[1] >= _IDLE:
            reason = f"no further point was tried in {_IDLE} iterations"
            return Ending(here, self.nit, Status.NO_LOWER_POINT, reason)
        return None
