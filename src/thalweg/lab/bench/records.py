"""What a bench hands out: plain values with every round's time, ready to be drawn or kept as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.lab.bench.settings import Size
    from thalweg.lab.records import Json

FORMAT = 1
"""Counts up when a field changes its meaning."""


@dataclass(frozen=True)
class Spread:
    """A median with the quartiles on both sides of it."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The median and the quartiles.

    >>> spread([1.0, 2.0, 3.0, 4.0, 100.0])
    Spread(median=3.0, low=2.0, high=4.0)
    """
    low, median, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
    return Spread(median, low, high)


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One way to go through memory: `formula` says which, `bytes_per_second` how fast it went."""

    name: str
    formula: str
    bytes_per_second: Spread


@dataclass(frozen=True, kw_only=True)
class Bandwidth:
    """How fast memory is: `bytes_per_second` in the turns beside the rules, of the pattern that was fastest before.

    Where no rule was held against the memory, they are those from before. `array_bytes` is the size of each of the
    arrays, `cache_bytes` that of the last cache, or what was taken for it.
    """

    bytes_per_second: Spread
    pattern: str
    formula: str
    array_bytes: int
    cache_bytes: int
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, kw_only=True)
class Opposed:
    """Somebody else's optimizer in the same rounds. `ratio` is our time over theirs, `rounds` their seconds a step."""

    name: str
    call: str
    seconds: Spread
    ratio: Spread
    rounds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One rule at one size: `seconds` a whole `step()`, and in `rounds` those of every round.

    `share_of_bandwidth` compares with the memory in the same rounds; it is None for a model that lies in the cache.
    """

    rule: str
    title: str
    chain: str
    size: Size
    seconds: Spread
    nanoseconds_per_parameter: float
    bytes_per_parameter: int
    bytes_per_second: float
    share_of_bandwidth: Spread | None
    against: tuple[Opposed, ...]
    rounds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A rule that could not be stepped here, and why."""

    rule: str
    why: str


@dataclass(frozen=True, kw_only=True)
class BenchRecord:
    """A whole bench: where, when, with what, and all that was measured.

    `busy_cores` is how many processors other programs kept busy meanwhile, on average.
    """

    created: str
    command: str
    machine: Mapping[str, Json]
    versions: Mapping[str, Json]
    device: str
    threads: int
    dtype: str
    busy_cores: float
    bandwidth: Bandwidth
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]

    def as_json(self) -> dict[str, Any]:
        """The record as JSON takes it; all times are seconds."""
        return {"format": FORMAT, **asdict(self)}
