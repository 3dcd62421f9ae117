"""What each rate of the grid led to: the learning-rate sensitivity of one optimizer."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thalweg.lab.statistics.intervals import Interval, interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thalweg.lab.records import RunRecord


@dataclass(frozen=True)
class RateOutcome:
    """One rate: the final measure over its seeds, and how many of them diverged or failed."""

    rate: float
    final: Interval
    seeds: int
    diverged: int


def sensitivity(runs: Iterable[RunRecord], *, measure: str) -> tuple[RateOutcome, ...]:
    """The final measure at every rate tried, the smallest first; a run that diverged counts as infinity."""
    by_rate: dict[float, list[float]] = defaultdict(list)
    for run in runs:
        value = run.final.get(measure, np.inf) if run.outcome == "finished" else np.inf
        for rate in run.tuned.values():  # one, or none where there is nothing to tune
            by_rate[rate].append(value)
    return tuple(
        RateOutcome(rate, interval(values, statistic="median"), len(values), int(np.isinf(values).sum()))
        for rate, values in sorted(by_rate.items())
    )
