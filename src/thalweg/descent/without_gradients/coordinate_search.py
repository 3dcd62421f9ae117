"""Cyclic coordinate search: one variable after the other, each along its line to the minimum."""

# A method's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from scipy.optimize import minimize_scalar

from thalweg.descent.failures import Status
from thalweg.descent.part import number
from thalweg.descent.without_gradients.routine import Routine
from thalweg.formula import Range

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from thalweg.descent.without_gradients.task import Task


@dataclass(frozen=True, kw_only=True, repr=False)
class coordinate_search(Routine):
    """One variable after the other is moved to the minimum along its axis; `accelerated=True` adds the round's way.

    It ends when a round has moved the point by at most `xtol`. Where variables depend on each other it creeps, and on a
    kink aslant to the axes it stays.

    Kochenderfer and Wheeler 2019, Algorithms for Optimization, section 7.1; the lines are searched by Brent's method.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "taken"
    starts_finite: ClassVar[bool] = True
    tolerances: ClassVar[tuple[str, ...]] = ("xtol",)

    xtol: float = number(Range(0), default=1e-6, source="ours")
    accelerated: bool = False

    def run(self, task: Task) -> tuple[Status, str]:
        """Minimise, and say how it has ended."""
        x, f = task.x0, task.value(task.x0)
        while True:
            before = x
            for d in np.eye(task.size):
                x, f = _searched(task, x, f, d)
            way = x - before
            if self.accelerated and way.any():
                x, f = _searched(task, x, f, way)
            task.iterated()
            moved = float(np.linalg.norm(x - before))
            if moved <= self.xtol:
                return Status.CONVERGED, f"the last round moved the point by {moved:.3g}, at most {self.xtol:g}"


def _searched(
    task: Task, x: NDArray[np.float64], f: float, d: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """The lowest point found on the line through x along d, and the value there."""
    least, most = _interval(task, x, d)
    if not least < most:
        return x, f

    def point(alpha: float) -> NDArray[np.float64]:
        return np.clip(x + alpha * d, task.low, task.high)

    def along(alpha: float) -> float:
        return task.value(point(alpha)) if alpha else f

    try:
        if np.isfinite(least) and np.isfinite(most):
            alpha = _lowest(along, bounds=(least, most), method="bounded", options={"xatol": 1e-8})
        elif np.isfinite(least) or np.isfinite(most):
            end, sign = (least, 1.0) if np.isfinite(least) else (most, -1.0)
            t = _lowest(
                lambda t: along(end + sign * t / (1 - t)), bounds=(0, 1), method="bounded", options={"xatol": 1e-10}
            )
            alpha = end + sign * t / (1 - t)
        else:
            alpha = _lowest(along, bracket=(0.0, 1.0), method="brent")
    except RuntimeError as failure:  # no bracket: the line is flat, or rises on neither side
        if failure is task.raised:
            raise
        return x, f
    lower = along(alpha)
    return (point(alpha), lower) if lower < f else (x, f)


def _interval(task: Task, x: NDArray[np.float64], d: NDArray[np.float64]) -> tuple[float, float]:
    """Between which steps along d the bounds are kept."""
    moving = d != 0
    ends = np.stack([(task.low - x)[moving], (task.high - x)[moving]]) / d[moving]
    return float(ends.min(axis=0).max()), float(ends.max(axis=0).min())


def _lowest(along: Callable[[float], float], **how: Any) -> float:
    found: Any = minimize_scalar(along, **how)
    return float(found.x)
