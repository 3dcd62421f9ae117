"""Metropolis' random walk: at one temperature a Markov chain Monte Carlo, at a falling one simulated annealing."""

# A method's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import numpy as np

from thalweg.descent.part import number, whole
from thalweg.descent.stopping import StoppingRule, iterations
from thalweg.descent.without_gradients.routine import Routine
from thalweg.formula import Hyperparameter, Range

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from thalweg.descent.failures import Status
    from thalweg.descent.without_gradients.task import Task

_POSITIVE = Range(0, low_included=False)


@dataclass(frozen=True, kw_only=True, repr=False)
class metropolis(Routine):
    """A random walk that takes every step down, and one that climbs by Δ with probability exp(−Δ/temperature).

    At a constant temperature it visits points with the density exp(−f/temperature), normed; a callback is told of the
    chain, rejected steps included. With a schedule that falls, called with the number of steps made, it is simulated
    annealing. The steps are drawn from N(0, spread²), by default a quarter of the bounds' width, else 1; at a bound
    they are reflected, which keeps the density.

    Metropolis et al. 1953, doi:10.1063/1.1699114; Kirkpatrick, Gelatt and Vecchi 1983,
    doi:10.1126/science.220.4598.671; Kochenderfer and Wheeler 2019, Algorithms for Optimization, algorithm 8.4.
    """

    bounds: ClassVar[Literal["refused", "taken", "needed"]] = "taken"

    temperature: float | Callable[[int], float] = 1.0
    spread: float | None = number(_POSITIVE, default=None, source="ours")
    seed: int = whole(0, default=0, source="ours")

    def __post_init__(self) -> None:
        super().__post_init__()
        found = Hyperparameter("temperature", None, _POSITIVE).check(self.temperature, type(self).__name__)
        object.__setattr__(self, "temperature", found)

    def usual_budget(self, size: int) -> StoppingRule:
        """1000 steps for each variable."""
        return iterations(1000 * size)

    def run(self, task: Task) -> tuple[Status, str]:
        """Walk until the task ends it."""
        rng = np.random.default_rng(self.seed)
        spread = task.spread(self.spread)
        x, here = task.x0, task.at(task.x0)
        while True:
            to = reflected(x + spread * rng.standard_normal(task.size), task.low, task.high)
            there = task.at(to)
            if accepts(here.f, there.f, self._at(task.nit), rng.random()):
                x, here = to, there
            task.iterated(here)

    def _at(self, step: int) -> float:
        return float(cast("float", self.temperature(step) if callable(self.temperature) else self.temperature))


def accepts(f: float, new: float, temperature: float, drawn: float) -> bool:
    """Metropolis' rule, for a number drawn from [0, 1); from a finite value it never goes to one that is not."""
    if math.isnan(new):
        return False
    if new <= f or math.isnan(f):
        return True
    return temperature > 0 and drawn < math.exp(-(new - f) / temperature)


def reflected(x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point, folded back between the bounds as often as need be."""
    inside = x.copy()
    below, above = np.isfinite(low), np.isfinite(high)
    only_low, only_high, both = below & ~above, above & ~below, below & above
    inside[only_low] = low[only_low] + np.abs((x - low)[only_low])
    inside[only_high] = high[only_high] - np.abs((high - x)[only_high])
    width = (high - low)[both]
    folded = np.mod((x - low)[both], 2 * width)
    inside[both] = low[both] + np.minimum(folded, 2 * width - folded)
    return inside
