"""Random search: points drawn independently, the lowest kept."""

# A method's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from thalweg.descent.part import number, whole
from thalweg.descent.stopping import StoppingRule, iterations
from thalweg.descent.without_gradients.routine import Routine
from thalweg.formula import Range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.descent.failures import Status
    from thalweg.descent.without_gradients.task import Task


@dataclass(frozen=True, kw_only=True, repr=False)
class random_search(Routine):
    """Points drawn independently, evenly between bounds, or else from N(x0, spread²), and the lowest of them.

    The measure for all else: what does not find lower points with as many evaluations has learned nothing.

    Bergstra and Bengio 2012, https://jmlr.org/papers/v13/bergstra12a.html.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "taken"

    spread: float = number(Range(0, low_included=False), default=1.0, source="ours")
    seed: int = whole(0, default=0, source="ours")

    def usual_budget(self, size: int) -> StoppingRule:
        """1000 points for each variable."""
        return iterations(1000 * size)

    def run(self, task: Task) -> tuple[Status, str]:
        """Draw until the task ends it."""
        rng = np.random.default_rng(self.seed)
        while True:
            task.value(drawn(task, rng, self.spread))
            task.iterated()


def drawn(task: Task, rng: np.random.Generator, spread: float) -> NDArray[np.float64]:
    """A point at random: where a variable has two bounds, evenly between them, else around x0, within what it has."""
    is_box = np.isfinite(task.low) & np.isfinite(task.high)
    around = np.clip(task.x0 + spread * rng.standard_normal(task.size), task.low, task.high)
    low, high = np.where(is_box, task.low, 0.0), np.where(is_box, task.high, 1.0)
    return np.where(is_box, rng.uniform(low, high), around)
