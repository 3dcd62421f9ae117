"""What a run has spent, in the race's currency: gradient evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thalweg.formula import Trace
    from thalweg.lab.records import RunRecord

# In gradient evaluations, each with the function's value: docs/decisions/0012, measured by benchmarks/currency.py.
FUNCTION = 0.5
PRODUCT = 1.5


@dataclass(frozen=True)
class Spent:
    """Evaluations of the function, of its gradient there, and products with its Hessian; of some examples, a share.

    >>> Spent(nfev=3, njev=2, nhvp=1).gradients
    4.0
    """

    nfev: float = 0
    njev: float = 0
    nhvp: float = 0

    @property
    def gradients(self) -> float:
        """All of it in gradient evaluations: what a step of gradient descent spends is 1."""
        return FUNCTION * self.nfev + (1 - FUNCTION) * self.njev + PRODUCT * self.nhvp

    def __add__(self, more: Spent) -> Spent:
        return Spent(self.nfev + more.nfev, self.njev + more.njev, self.nhvp + more.nhvp)

    def record(self, *, steps: int) -> dict[str, float]:
        """What a run's record keeps of it."""
        counts = {"steps": steps, "nfev": self.nfev, "njev": self.njev, "nhvp": self.nhvp}
        return {"spent": self.gradients, **{name: float(count) for name, count in counts.items()}}


@dataclass(frozen=True)
class Pace:
    """How a chain spends: a gradient a step and, where it goes by the curvature, a product at `every` so many steps."""

    every: int | None = None

    @classmethod
    def of(cls, traces: Iterable[Trace]) -> Pace:
        """The pace of an optimizer with these formulas; one estimate serves all of them."""
        slots = [traced.curvature for traced in traces]
        return cls(min((slot.every for slot in slots if slot is not None), default=None))

    def spent(self, steps: int) -> Spent:
        """What so many steps spend.

        >>> Pace(every=10).spent(11)
        Spent(nfev=11, njev=11, nhvp=2)
        """
        return Spent(steps, steps, 0 if self.every is None else -(-steps // self.every))

    def steps(self, budget: int) -> int:
        """How many steps a budget is enough for, one at least.

        >>> Pace().steps(100), Pace(every=10).steps(100), Pace(every=1).steps(100)
        (100, 86, 40)
        """
        return next((k for k in range(budget, 0, -1) if self.spent(k).gradients <= budget), 1)


def unit_of(runs: Iterable[RunRecord]) -> str:
    """What the budget of these runs is counted in: in steps, unless some of them spent otherwise."""
    return "gradient evaluations" if any("spent" in run.final for run in runs) else "steps"
