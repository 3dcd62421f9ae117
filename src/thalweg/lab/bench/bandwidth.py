"""How fast this machine's memory is, as torch goes through arrays that no cache holds.

The patterns are those of McCalpin's STREAM (copy, scale, triad), and the in-place update that an optimizer is. Bytes
are counted as STREAM counts them: each read and each write of the pattern once. What is written without having been
read costs the processor a read besides, so that the in-place ones are usually faster. Rules are held against the one
that was fastest at its best, which other programs disturb less than a median.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch

from thalweg.lab.bench.records import Bandwidth, Pattern, spread
from thalweg.lab.bench.turns import Contender, stopwatch_for, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

BEYOND = 4
"""Each array is this many times the last cache, as STREAM asks for."""
LEAST_ARRAY = 64 * 2**20
LIKELY_CACHE = 32 * 2**20
"""What is taken for the last cache where the system does not say."""
CACHES = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class _Way:
    formula: str
    moves: int
    run: Callable[[Tensor, Tensor, Tensor], object]


_WAYS = {
    "copy": _Way("a ← b", 2, lambda a, b, _: a.copy_(b)),
    "scale": _Way("a ← s·a", 2, lambda a, _b, _c: a.mul_(1.0)),
    "triad": _Way("a ← b + s·c", 3, lambda a, b, c: torch.add(b, c, alpha=0.5, out=a)),
    "update": _Way("a ← a + s·b", 3, lambda a, b, _: a.add_(b, alpha=1e-6)),
}


class Probe:
    """The memory as a contender: it takes turns with the rules, so that both meet the same machine."""

    def __init__(self, device: str, *, rounds: int) -> None:
        self.cache_bytes = cache_bytes(device)
        self.array_bytes = _array_bytes(self.cache_bytes, device)
        arrays = [torch.rand(self.array_bytes // 4, device=device) for _ in range(3)]
        self._contenders = {
            name: Contender(name, way.formula, partial(way.run, *arrays), stopwatch_for(device))
            for name, way in _WAYS.items()
        }
        times = take_turns(list(self._contenders.values()), rounds=rounds)
        self._before = {name: self._speeds(name, taken) for name, taken in zip(_WAYS, times, strict=True)}
        self._fastest = max(_WAYS, key=lambda name: max(self._before[name]))
        self._beside: list[float] = []

    @property
    def contender(self) -> Contender:
        """Who takes turns with a rule: the fastest pattern."""
        return self._contenders[self._fastest]

    def speeds(self, times: Sequence[float]) -> list[float]:
        """Bytes a second in each of its turns beside a rule."""
        speeds = self._speeds(self._fastest, times)
        self._beside += speeds
        return speeds

    def record(self) -> Bandwidth:
        """What was found, in the turns beside the rules where there were any."""
        return Bandwidth(
            bytes_per_second=spread(self._beside or self._before[self._fastest]),
            pattern=self._fastest,
            formula=_WAYS[self._fastest].formula,
            array_bytes=self.array_bytes,
            cache_bytes=self.cache_bytes,
            patterns=tuple(
                Pattern(name=name, formula=_WAYS[name].formula, bytes_per_second=spread(speeds))
                for name, speeds in self._before.items()
            ),
        )

    def _speeds(self, name: str, times: Sequence[float]) -> list[float]:
        return [_WAYS[name].moves * self.array_bytes / seconds for seconds in times]


def cache_bytes(device: str) -> int:
    """The size of the last cache before the memory, of all processors together."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(device).L2_cache_size)
    found: dict[tuple[int, str], int] = {}
    for cache in CACHES.glob("cpu[0-9]*/cache/index*"):
        try:
            level, size, shared = ((cache / name).read_text().strip() for name in ("level", "size", "shared_cpu_list"))
        except OSError:
            continue  # a virtual machine may say less
        found[int(level), shared] = int(size.removesuffix("K")) * 1024
    last = max((level for level, _ in found), default=0)
    return sum(size for (level, _), size in found.items() if level == last) or LIKELY_CACHE


def _array_bytes(cache: int, device: str) -> int:
    """Far beyond the cache, within a quarter of the free memory for three arrays, in whole floats."""
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available
    return min(max(BEYOND * cache, LEAST_ARRAY), free // 12) // 4 * 4
