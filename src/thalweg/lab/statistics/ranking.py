"""Who won, and who only seems to have: a ranking in which ties are ties.

The leader of a place is the contender with the smallest mean among those not yet placed. The others are
compared with it on the same seeds, and share its place unless they are shown to be worse. The test is
one-sided, at 0.05 / m with `m` others (Bonferroni), so that whoever is truly the best is set behind in at
most one race of twenty: the first place is a confidence set of the best (Gupta 1965; Hsu, Multiple
Comparisons, 1996). To tell close ones apart takes many seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from thalweg.lab.statistics.intervals import Interval, interval, paired_difference, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Comparison: TypeAlias = Literal["differences", "ratios"]

ERROR_RATE = 0.05


@dataclass(frozen=True)
class Standing:
    """One contender's place: 1, 1, 1, 4 if three tie. `behind` is how far, seed by seed, from the first of all.

    Of differences that is the mean one; of ratios the fraction by which its scores are larger, 0.1 for a
    tenth.
    """

    name: str
    place: int
    tied: bool
    score: Interval
    behind: Interval


def rank(scores: Mapping[str, Sequence[float]], *, by: Comparison = "differences") -> tuple[Standing, ...]:
    """Places by score: one a seed, the same seeds for all; smaller is better, infinity is a diverged run.

    Losses are best compared by their ratios, since who is worse also varies more. Ratios need positive
    scores: where one is not, the differences are taken.

    >>> standings = rank({"slow": [9.0, 9.1, 9.2], "quick": [1.0, 1.2, 1.1], "brisk": [1.1, 1.1, 1.1]})
    >>> [(standing.place, standing.name) for standing in standings]
    [(1, 'brisk'), (1, 'quick'), (3, 'slow')]
    """
    values = {name: np.asarray(sample, np.float64) for name, sample in scores.items()}
    as_ratios = by == "ratios" and all((sample > 0).all() for sample in values.values())
    compare = paired_ratio if as_ratios else paired_difference
    level = 1 - 2 * ERROR_RATE / max(1, len(values) - 1)  # the lower end is the one-sided test's
    waiting = sorted(values, key=lambda name: (*_mean(np.log(values[name]) if as_ratios else values[name]), name))
    behind = {name: compare(values[name], values[waiting[0]], level=level) for name in waiting}
    standings: list[Standing] = []
    while waiting:
        leader = values[waiting[0]]
        together = [name for name in waiting if compare(values[name], leader, level=level).low <= 0]
        place = len(values) - len(waiting) + 1
        standings += [
            Standing(name, place, len(together) > 1, interval(values[name]), behind[name]) for name in together
        ]
        waiting = [name for name in waiting if name not in together]
    return tuple(standings)


def _mean(sample: NDArray[np.float64]) -> tuple[int, float]:
    """How many diverged, and the mean of the others."""
    finite = sample[np.isfinite(sample)]
    return sample.size - finite.size, float(finite.mean()) if finite.size else 0.0
