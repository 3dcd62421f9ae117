"""Running a routine: whatever ends it, and whatever a library makes of that, becomes an ending of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thalweg.descent.engine import Ending
from thalweg.descent.failures import BudgetSpentError, NoStepError, Status
from thalweg.descent.without_gradients.task import EndedError, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thalweg.descent.bounds import Bounds
    from thalweg.descent.objective import Objective
    from thalweg.descent.trial import Trial
    from thalweg.descent.without_gradients.routine import Routine


def explore(
    routine: Routine,
    objective: Objective,
    x0: Tensor,
    bounds: Bounds,
    *,
    seen: Callable[[Trial, int], bool],
    began: float,
) -> Ending:
    """Run a routine from a flat point, within bounds; `seen` and `began` as for a descent.

    Raises what the function raises, as it is.
    """
    task = Task(objective, x0, bounds, stop=routine.stop, seen=seen, began=began)
    try:
        status, message = _run(routine, task)
    except EndedError:
        assert task.ending is not None  # noqa: S101  # it raises this
        status, message = task.ending.status, task.ending.message
    except BudgetSpentError as spent_up:
        status, message = Status.BUDGET_SPENT, str(spent_up)
    except NoStepError as failure:
        status, message = failure.status, failure.reason
    if task.not_finite:
        points = "one point" if task.not_finite == 1 else f"{task.not_finite} points"
        message += f"; at {points} the function was not finite"
    return Ending(objective.best, task.nit, status, message, objective.best)


def _run(routine: Routine, task: Task) -> tuple[Status, str]:
    """What the routine says of its end, unless the task has raised something; a library may have swallowed that."""
    if not task.size:
        task.begin()
        return Status.CONVERGED, "the bounds leave no variable free"
    try:
        with np.errstate(all="ignore"):  # values that are not finite are counted
            routine.begin(task)
            found = routine.run(task)
    except Exception as failure:
        if task.raised is None or task.raised is failure:
            raise
        raise task.raised from failure.__cause__
    if task.raised is not None:
        raise task.raised
    if task.ending is not None:
        raise EndedError
    return found
