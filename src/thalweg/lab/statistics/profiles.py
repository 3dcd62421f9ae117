"""Who is fast over many problems at once: performance profiles and their scores.

Dolan and Moré, "Benchmarking optimization software with performance profiles", 2002; the scores and the
rules about held-out variants are those of the AlgoPerf competition (arXiv:2306.07179).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thalweg.errors import RaceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

LONGEST_RATIO = 4.0


def performance_ratios(times: ArrayLike) -> NDArray[np.float64]:
    """Each method's time (a row) on each problem (a column), as a multiple of the best time there."""
    table = _table(times)
    best = table.min(axis=0)
    ratios = np.full_like(table, np.inf)
    return np.divide(table, best, out=ratios, where=np.isfinite(table))


def performance_profile(ratios: ArrayLike, taus: ArrayLike) -> NDArray[np.float64]:
    """The share of problems that each method (a row) solves within `tau` times the best time (a column)."""
    return (_table(ratios)[:, :, None] <= np.asarray(taus, np.float64)).mean(axis=1)


def exact_score(ratios: ArrayLike, *, longest: float = LONGEST_RATIO) -> NDArray[np.float64]:
    """Each method's profile integrated over the ratios that count: 0 if it solves none, 1 if best on all."""
    return np.maximum(0.0, (longest - _table(ratios)) / (longest - 1.0)).mean(axis=1)


def trapezoid_score(ratios: ArrayLike, *, longest: float = LONGEST_RATIO, points: int = 100) -> NDArray[np.float64]:
    """The same integral as AlgoPerf takes it, by trapezoids on a grid, which differs in the third digit."""
    taus = np.linspace(1.0, longest, points)
    return np.asarray(np.trapezoid(performance_profile(ratios, taus), taus, axis=1)) / (longest - 1.0)


def competition_times(
    times: Mapping[str, ArrayLike], variants: Mapping[str, Sequence[str]], *, longest: float = LONGEST_RATIO
) -> dict[str, NDArray[np.float64]]:
    """AlgoPerf's reading of a table: the base problems' times, after their held-out variants had a say.

    `times` has one array a problem, one entry a method; `variants` names each base problem's held-out
    variants. A base problem not reached counts its variants as not reached; a time above the longest ratio
    counts as not reached; a variant not reached voids its base problem.
    """
    table = {name: np.where(np.isnan(column), np.inf, column) for name, column in _columns(times).items()}
    for base, held_out in variants.items():
        for variant in held_out:
            table[variant][np.isinf(table[base])] = np.inf
    for column in table.values():
        column[column > longest * column.min()] = np.inf
    for base, held_out in variants.items():
        for variant in held_out:
            table[base][np.isinf(table[variant])] = np.inf
    return {base: table[base] for base in variants}


def _columns(times: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
    return {name: np.asarray(column, np.float64) for name, column in times.items()}


def _table(values: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or np.isnan(table).any() or (table <= 0).any():
        raise RaceError(
            "a performance profile needs a table of positive times, methods by problems, inf if not reached"
        )
    return table
