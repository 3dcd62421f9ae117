"""How a descent is followed: what it has spent at each point that it comes to, and how it ends."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from thalweg.descent import Routine, Status, minimize
from thalweg.errors import ThalwegError
from thalweg.lab.spending import FUNCTION, Spent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from thalweg.descent import Descent, Intermediate, Result
    from thalweg.lab.records import Outcome

# What is no fault of the function, but of a method that does not master it.
DIVERGED = frozenset({Status.NOT_FINITE, Status.UNBOUNDED})
FAILED = frozenset({Status.NO_DIRECTION, Status.UNFIT_FUNCTION})


@dataclass(frozen=True, kw_only=True)
class Stay:
    """A point that a descent has come to, after so many steps and with so much spent."""

    x: Tensor
    value: float
    steps: int
    spent: Spent


@dataclass(frozen=True, kw_only=True)
class End:
    """How a descent ended: where, as a run's outcome, and with what message of the method's."""

    stay: Stay
    outcome: Outcome
    message: str


def follow(
    method: Descent | Routine,
    function: Callable[[Tensor], Tensor | tuple[Tensor, Tensor]],
    start: Tensor,
    *,
    budget: int,
    seen: Callable[[Stay], None],
    leaves: Callable[[Stay], str],
    window: Sequence[tuple[float, float]] | None = None,
    seed: int = 0,
) -> End:
    """Let a descent spend a budget of gradient evaluations, and tell `seen` of each point that it comes to within it.

    The first is the start, whose value is looked at without being charged, as in every run. What is reached with
    more than the budget counts no more. A method that ends early stays where it has come to. A run has diverged
    where the function is not finite or not bounded, or where `leaves` says why it has left all bounds; it has
    failed where the method has no direction or takes no step, or an error
    is raised. A method that needs bounds is given the `window`, and one that draws random numbers the run's `seed`.
    """
    if isinstance(method, Routine) and hasattr(method, "seed"):
        method = dataclasses.replace(method, seed=seed)
    needs_bounds = isinstance(method, Routine) and method.bounds == "needed"
    bounds = [_around(side, float(x)) for side, x in zip(window or (), start, strict=True)] if needs_bounds else None
    with torch.no_grad():
        looked = function(start)
        value = looked[0] if isinstance(looked, tuple) else looked
        begin = Stay(x=start, value=float(value), steps=0, spent=Spent())
    trip = _Trip(budget, seen, leaves, begin)
    try:
        found = minimize(function, start, method, callback=trip, max_eval=int(budget / FUNCTION), bounds=bounds)
    except ThalwegError as error:
        return End(stay=trip.last, outcome="failed", message=str(error))
    return trip.end(found)


def needs_outputs(method: Descent | Routine) -> bool:
    """Whether a method asks for the outputs that the function's value is computed from, as a model's."""
    return not isinstance(method, Routine) and bool(getattr(method.direction, "needs_outputs", False))


def _around(side: tuple[float, float], x: float) -> tuple[float, float]:
    """A side of the window, widened to hold the start."""
    return min(side[0], x), max(side[1], x)


class _Trip:
    """The points so far. As a callback it has the parameter that `minimize` asks for, and stops where all is spent."""

    def __init__(self, budget: int, seen: Callable[[Stay], None], leaves: Callable[[Stay], str], begin: Stay) -> None:
        self._budget, self._seen, self._leaves = budget, seen, leaves
        self._out = ""
        self.last = self._begin = begin
        self._come_to(begin)

    def __call__(self, intermediate_result: Intermediate) -> None:
        here = intermediate_result
        spent = Spent(here.nfev, here.njev, here.nhvp)
        if spent.gradients <= self._budget:
            self._come_to(Stay(x=here.x, value=here.fun, steps=here.nit, spent=spent))
        if self._out or spent.gradients >= self._budget:
            raise StopIteration

    def _come_to(self, stay: Stay) -> None:
        self.last = stay
        self._out = self._leaves(stay)
        if not self._out:
            self._seen(stay)

    def end(self, found: Result) -> End:
        """How it has ended. What the method hands back is where it is, if the budget has paid for that."""
        spent = Spent(found.nfev, found.njev, found.nhvp)
        if self._out:
            return End(stay=self.last, outcome="diverged", message=self._out)
        if found.status in DIVERGED or found.status in FAILED:
            outcome = "diverged" if found.status in DIVERGED else "failed"
            return End(stay=self.last, outcome=outcome, message=found.message)
        if spent.gradients <= self._budget:
            last = Stay(x=found.x, value=found.fun, steps=found.nit, spent=spent)
            if not torch.equal(last.x, self.last.x) and last.value < self.last.value:
                self._come_to(last)
            self.last = last if last.value <= self.last.value else self.last
        is_spent = found.status in {Status.STOPPED, Status.BUDGET_SPENT}
        if is_spent and not self.last.steps and not self.last.value < self._begin.value:
            message = f"{self._budget} gradient evaluations are not enough for one step"
            return End(stay=self.last, outcome="failed", message=message)
        message = "" if is_spent else found.message
        return End(stay=self.last, outcome="finished", message=message)
