"""How time is taken: the contenders take turns, round by round, and each turn is long enough to be read."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

TURN = 0.01
"""Seconds that a turn should take at least."""
MOST_CALLS = 1_000
LED_IN = 4
"""From this many calls on, a turn begins with one that is not timed: it takes back the cache from the turn before."""
WARM_CALLS = 5
WARM_TIME = 0.1
"""Seconds after which warming up ends, though the calls were fewer."""

Stopwatch: TypeAlias = Callable[[Callable[[], object], int], float]
"""Calls a function some times; gives the seconds of a call."""


@dataclass(frozen=True)
class Contender:
    """Somebody who takes turns: a name, what a user would type for it, one step of it, and who takes its time."""

    name: str
    call: str
    step: Callable[[], object]
    stopwatch: Stopwatch


def on_host(step: Callable[[], object], calls: int, *, wait: Callable[[], object] | None = None) -> float:
    """Seconds of a call, until it returns; or, for what returns early, until `wait` does after the last."""
    start = time.perf_counter()
    for _ in range(calls):
        step()
    if wait is not None:
        wait()
    return (time.perf_counter() - start) / calls


def on_cuda(step: Callable[[], object], calls: int) -> float:
    """Seconds of a call on the GPU's own clock, from when it is free until the last call's work is done."""
    torch.cuda.synchronize()
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(calls):
        step()
    stop.record()
    stop.synchronize()
    return start.elapsed_time(stop) / 1e3 / calls


def stopwatch_for(device: str) -> Stopwatch:
    """The stopwatch for torch's work on a device."""
    return on_cuda if device == "cuda" else on_host


def take_turns(contenders: Sequence[Contender], *, rounds: int) -> list[list[float]]:
    """Seconds a step of every contender, round by round. Each round begins with another of them."""
    calls = [_warm_up(contender) for contender in contenders]
    times: list[list[float]] = [[] for _ in contenders]
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            for place in range(len(contenders)):
                at = (turn + place) % len(contenders)
                contender = contenders[at]
                if calls[at] >= LED_IN:
                    contender.step()
                times[at].append(contender.stopwatch(contender.step, calls[at]))
    finally:
        if collecting:
            gc.enable()
    return times


def _warm_up(contender: Contender) -> int:
    """Step until everything is compiled and allocated; gives the calls that make a turn."""
    contender.stopwatch(contender.step, 1)
    taken: list[float] = []
    while len(taken) < WARM_CALLS and sum(taken) < WARM_TIME:
        taken.append(contender.stopwatch(contender.step, 1))
    return min(math.ceil(TURN / min(taken)), MOST_CALLS)
