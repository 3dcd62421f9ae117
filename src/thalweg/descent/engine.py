"""The one loop: a direction, a step, a look at the stopping rule; and what is done when there is no step."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from thalweg.descent.diagnosis import diagnose, falls_for_ever
from thalweg.descent.directions.direction import Guide
from thalweg.descent.failures import BudgetSpentError, NoStepError, Status
from thalweg.descent.steps.line import farthest
from thalweg.descent.stopping import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thalweg.descent.descent import Course, Descent
    from thalweg.descent.directions.direction import Region
    from thalweg.descent.objective import Objective
    from thalweg.descent.steps.step_size import Search
    from thalweg.descent.trial import Trial


_ROUNDINGS = 100
"""How many roundings of the values that the descent began with leave a point as low as another."""


@dataclass(frozen=True)
class Ending:
    """Where a descent has ended, after how many steps, and why."""

    here: Trial | None
    nit: int
    status: Status
    message: str
    lowest: Trial | None = None
    """Of the points that it came to, the one that is handed back: the last, unless an earlier one is lower."""


def run(  # what a descent is, where from, and with what it goes on
    method: Descent,
    objective: Objective,
    x0: Tensor,
    *,
    seen: Callable[[Trial, int], bool],
    began: float,
    course: Course | None = None,
) -> Ending:
    """Descend from a flat point until the stopping rule is met, or nothing lower can be found.

    `seen` is told of each new point and says whether to stop there; `began` is a time on the monotonic clock. With a
    `course` of the same method, an earlier descent goes on.
    """
    course = course or method.start()
    guide, search = course.guide, course.search
    here, before, nit = None, None, 0
    try:
        start = lowest = here = _finite(objective.at(x0), "at x0")
        rounding = _ROUNDINGS * torch.finfo(x0.dtype).eps * abs(here.f)
        while True:
            seconds = time.monotonic() - began
            ending = _ending(
                method, Progress(here=here, before=before, nit=nit, evaluations=objective.spent, seconds=seconds)
            )
            if ending:
                return replace(ending, lowest=lowest)
            here, before, nit = _finite(_advance(guide, search, here, objective), "after a step"), here, nit + 1
            guide.learn(before, here)
            lowest = here if here.f <= lowest.f + rounding else lowest
            _see_bounded(here, before, start)
            if seen(here, nit):
                return Ending(here, nit, Status.STOPPED, "the callback raised StopIteration")
    except BudgetSpentError as spent_up:
        return Ending(here, nit, Status.BUDGET_SPENT, str(spent_up))
    except NoStepError as failure:
        return Ending(here, nit, failure.status, f"after {nit} steps: {failure.reason}" if nit else failure.reason)


def explained(ending: Ending, objective: Objective) -> Ending:
    """The ending with what is wrong with the function there, if something is; that costs six evaluations at most."""
    spent = NoStepError(ending.status, ending.message)
    reason = diagnose(objective, ending.here, spent) if ending.here else spent
    if reason is spent and ending.here and falls_for_ever(objective, ending.here):
        reason = NoStepError(spent.status, "the function is not bounded below: far along -g it falls as it does here")
    if reason is spent:
        return ending
    return replace(ending, message=f"{ending.message}; {reason.reason.removeprefix(f'{ending.message}: ')}")


def _finite(trial: Trial, where: str) -> Trial:
    """The point, if function and gradient are finite there, or `NoStepError`."""
    if not trial.is_finite:
        what = "the gradient" if math.isfinite(trial.f) else "the function"
        raise NoStepError(Status.NOT_FINITE, f"{what} is not finite {where}")
    return trial


def _see_bounded(here: Trial, before: Trial, start: Trial) -> None:
    """Raise `NoStepError` where the function still falls, and is farther off or lower than any minimum."""
    far = farthest(here.x.dtype)
    way = float(torch.linalg.vector_norm(here.x - start.x))
    is_near = way < far * max(1.0, float(torch.linalg.vector_norm(start.x))) and -here.f < far * max(1.0, abs(start.f))
    if here.f < before.f and not is_near:
        reason = f"the function is not bounded below: a way of {way:.2g} off it is {here.f:.3g} and still falls"
        raise NoStepError(Status.UNBOUNDED, reason)


def _ending(method: Descent, progress: Progress) -> Ending | None:
    """How the stopping rule ends it here, if it does; a rule that is no budget counts first."""
    if not bool(progress.here.g.any()):
        return Ending(progress.here, progress.nit, Status.CONVERGED, "the gradient is zero")
    for rule in sorted(method.stop.parts, key=lambda rule: rule.is_budget):
        reason = rule.met(progress)
        if reason:
            status = Status.BUDGET_SPENT if rule.is_budget else Status.CONVERGED
            return Ending(progress.here, progress.nit, status, reason)
    return None


def _advance(guide: Guide | Region, search: Search, here: Trial, objective: Objective) -> Trial:
    """One step; if there is none and the guide has learned from earlier points, one without what it has learned."""
    try:
        return search.step(here, guide, objective)
    except NoStepError as failure:
        if failure.status is Status.UNBOUNDED:
            raise
        if isinstance(guide, Guide) and guide.forget():
            return _advance(guide, search, here, objective)
        if failure.status is not Status.NO_LOWER_POINT:
            raise
        raise diagnose(objective, here, failure) from None
