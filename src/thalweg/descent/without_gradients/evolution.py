"""Natural evolution strategies: a normal distribution that follows the natural gradient of the values' mean."""

# A method's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.stats import rankdata

from thalweg.descent.failures import Status
from thalweg.descent.part import number, whole
from thalweg.descent.stopping import StoppingRule, iterations
from thalweg.descent.without_gradients.routine import Routine
from thalweg.formula import Range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.descent.without_gradients.task import Task

_POSITIVE = Range(0, low_included=False)


@dataclass(frozen=True, kw_only=True, repr=False)
class _NaturalStrategy(Routine):
    """A natural evolution strategy: what `xnes` and `snes` can be told."""

    tolerances: ClassVar[tuple[str, ...]] = ("xtol",)

    spread: float = number(_POSITIVE, default=1.0, source="ours")
    population: int | None = whole(2, default=None, source="Wierstra et al. 2014, table 1")
    mean_rate: float = number(_POSITIVE, default=1.0, source="Wierstra et al. 2014, table 1")
    size_rate: float | None = number(_POSITIVE, default=None, source="Wierstra et al. 2014, table 1")
    xtol: float = number(Range(0), default=1e-8, source="ours")
    seed: int = whole(0, default=0, source="ours")

    def usual_budget(self, size: int) -> StoppingRule:
        """1000 populations for each variable."""
        return iterations(1000 * size)


@dataclass(frozen=True, kw_only=True, repr=False)
class xnes(_NaturalStrategy):
    """A normal distribution whose mean, size and whole shape follow the natural gradient, by matrix exponentials.

    For up to some hundred variables; O(n³) for each population of `population` points, 4 + ⌊3 log n⌋ by default. It
    ends when the largest standard deviation is at most `xtol`. Rates left out are the paper's.

    Wierstra et al. 2014, https://jmlr.org/papers/v15/wierstra14a.html, algorithm 5 and table 1.
    """

    shape_rate: float | None = number(_POSITIVE, default=None, source="Wierstra et al. 2014, table 1")

    def run(self, task: Task) -> tuple[Status, str]:
        """Minimise, and say how it has ended."""
        n, rng = task.size, np.random.default_rng(self.seed)
        usual = (9 + 3 * math.log(n)) / (5 * n * math.sqrt(n))
        eta_sigma, eta_B = self.size_rate or usual, self.shape_rate or usual
        mu, sigma, shape = task.x0, self.spread, np.eye(n)
        while True:
            s = rng.standard_normal((self.population or _usual(n), n))
            u = utilities([task.value(mu + sigma * shape @ s_k) for s_k in s])
            task.iterated()
            mu, sigma, shape = xnes_step(mu, sigma, shape, s, u, (self.mean_rate, eta_sigma, eta_B))
            widest = sigma * float(np.linalg.norm(shape, 2))
            if widest <= self.xtol:
                return Status.CONVERGED, _narrow(widest, self.xtol)


@dataclass(frozen=True, kw_only=True, repr=False)
class snes(_NaturalStrategy):
    """As `xnes`, with one standard deviation for each variable and no more: for many variables.

    Wierstra et al. 2014, https://jmlr.org/papers/v15/wierstra14a.html, algorithm 6 and table 1.
    """

    def run(self, task: Task) -> tuple[Status, str]:
        """Minimise, and say how it has ended."""
        n, rng = task.size, np.random.default_rng(self.seed)
        eta_sigma = self.size_rate or (3 + math.log(n)) / (5 * math.sqrt(n))
        mu, sigma = task.x0, np.full(n, self.spread)
        while True:
            s = rng.standard_normal((self.population or _usual(n), n))
            u = utilities([task.value(mu + sigma * s_k) for s_k in s])
            task.iterated()
            mu = mu + self.mean_rate * sigma * (u @ s)
            sigma = sigma * np.exp(eta_sigma / 2 * (u @ (s**2 - 1)))
            widest = float(sigma.max())
            if widest <= self.xtol:
                return Status.CONVERGED, _narrow(widest, self.xtol)


def utilities(values: list[float]) -> NDArray[np.float64]:
    """What each point of a population counts, by its rank; they sum to 0. Points of equal value count the same.

    u_k = max(0, log(λ/2 + 1) − log k) / Σ − 1/λ for the k-th best of λ.
    """
    size = len(values)
    k = np.arange(1, size + 1)
    raw = np.maximum(0, math.log(size / 2 + 1) - np.log(k))
    by_rank = np.concatenate([[0.0], np.cumsum(raw / raw.sum() - 1 / size)])
    first, last = rankdata(values, "min").astype(int), rankdata(values, "max").astype(int)
    return (by_rank[last] - by_rank[first - 1]) / (last - first + 1)


def xnes_step(
    mu: NDArray[np.float64],
    sigma: float,
    B: NDArray[np.float64],
    s: NDArray[np.float64],
    u: NDArray[np.float64],
    rates: tuple[float, float, float],
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """The next distribution N(μ, (σB)(σB)ᵀ), from standard normal draws s, one a row, and their utilities."""
    eta_mu, eta_sigma, eta_B = rates
    n = mu.size
    G_delta = u @ s
    G_M = (u[:, None] * s).T @ s - u.sum() * np.eye(n)
    G_sigma = float(np.trace(G_M)) / n
    G_B = G_M - G_sigma * np.eye(n)
    values, V = np.linalg.eigh(eta_B / 2 * G_B)  # it is symmetric
    exponential = (V * np.exp(values)) @ V.T
    return mu + eta_mu * sigma * B @ G_delta, sigma * math.exp(eta_sigma / 2 * G_sigma), B @ exponential


def _usual(n: int) -> int:
    return 4 + math.floor(3 * math.log(n))


def _narrow(widest: float, xtol: float) -> str:
    return f"the distribution's largest standard deviation is {widest:.3g}, at most {xtol:g}"
