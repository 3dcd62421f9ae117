"""Multi-start: any method from several starts, and the lowest of what they find."""

# A method's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from thalweg.descent import engine
from thalweg.descent.descent import Descent
from thalweg.descent.failures import Status
from thalweg.descent.part import number, whole
from thalweg.descent.stopping import StoppingRule, evaluations, iterations, seconds
from thalweg.descent.without_gradients.explore import explore
from thalweg.descent.without_gradients.random_search import drawn
from thalweg.descent.without_gradients.routine import Routine
from thalweg.errors import DescentError
from thalweg.formula import Range

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.engine import Ending
    from thalweg.descent.trial import Trial
    from thalweg.descent.without_gradients.task import Task


@dataclass(frozen=True, kw_only=True, repr=False)
class multi_start(Routine):
    """Any method, `local`, from x0 and from further starts drawn at random; the lowest point of all is the result.

    `local` is a method's name or value. The starts are drawn evenly between bounds, which the local method must know,
    or else from N(x0, spread²). `max_iter` and `max_eval` hold for all starts together; without them each start has
    the local method's usual budget.

    Rinnooy Kan and Timmer 1987, doi:10.1007/BF02592070.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "taken"

    local: str | Descent | Routine = "bfgs"
    starts: int = whole(1, default=10, source="ours")
    spread: float = number(Range(0, low_included=False), default=1.0, source="ours")
    seed: int = whole(0, default=0, source="ours")

    @property
    def derivatives(self) -> Literal[0, 1, 2]:
        """As often as for the local method."""
        return self._method().derivatives

    def usual_budget(self, size: int) -> StoppingRule:
        """The local method's, for each start."""
        rules = self._method().usual_budget(size).parts
        return iterations(self.starts * min(rule.count for rule in rules if isinstance(rule, iterations)))

    def begin(self, task: Task) -> None:
        """Leave the start to the local method. Raises `DescentError` if that does not fit the task."""
        from thalweg.descent.methods import fit_bounds  # noqa: PLC0415  # it lists this one, too

        method = self._method()
        fit_bounds(method, task.within)
        for rule in method.stop.parts if method.stop else ():
            if isinstance(rule, evaluations | seconds):
                raise DescentError(
                    f"multi_start: {rule!r} cannot end one start alone; give `max_eval`, or `stop`, for all together"
                )
        if task.iterations_left <= 0:
            task.begin()

    def run(self, task: Task) -> tuple[Status, str]:
        """Minimise from each start, and say how the lowest has ended."""
        rng = np.random.default_rng(self.seed)
        method = self._method()
        if not any(rule.is_budget for rule in (method.stop.parts if method.stop else ())):
            usual = method.usual_budget(task.size)
            method = dataclasses.replace(method, stop=method.stop | usual if method.stop else usual)
        status, message, arrived = Status.NOT_FINITE, "the function was finite nowhere", 0
        for k in range(self.starts):
            x0 = task.within.whole(drawn(task, rng, self.spread), task.start) if k else task.start
            lowest = task.objective.best
            ending = _from(x0, method, task)
            if task.ending or ending.status is Status.UNBOUNDED:
                return ending.status, ending.message
            if ending.status is Status.BUDGET_SPENT:
                task.objective.spend()  # that of all starts, perhaps
            arrived += ending.status is Status.CONVERGED
            if task.objective.best is not lowest:
                status, message = ending.status, ending.message
        reason = f"of {self.starts} starts {arrived} have met a stopping rule; of the lowest: {message}"
        return status, reason

    def _method(self) -> Descent | Routine:
        from thalweg.descent.methods import chosen_by  # noqa: PLC0415  # as above

        return chosen_by(self.local, {})


def _from(x0: Tensor, method: Descent | Routine, task: Task) -> Ending:
    """How the method ends from this start; the task is told of its steps."""

    def seen(here: Trial, _: int) -> bool:
        return task.look(here)

    if isinstance(method, Descent):
        return engine.run(method, task.objective, x0, seen=seen, began=task.began)
    return explore(method, task.objective, x0, task.within, seen=seen, began=task.began)
