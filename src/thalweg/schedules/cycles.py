"""Schedules that follow a cosine, or go up and down: warm restarts, one cycle, warm-up–stable–decay."""

# A schedule's class is the function that a user calls, so it is written as it is typed, in lower case; what
# its methods answer is said once, in `Schedule`.
# ruff: noqa: N801, D102

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

from thalweg.errors import ScheduleError
from thalweg.schedules.checks import settle_numbers, settle_whole_numbers
from thalweg.schedules.schedule import Schedule


def half_cosine(start: float, end: float, b: float) -> float:
    """From start to end along half a cosine, as b goes from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * b)) / 2


@dataclass(frozen=True, repr=False)
class cosine(Schedule):
    """From the peak down to the floor along half a cosine: α_k = ½(1 + cos(kπ/steps)) · peak. Then constant.

    Loshchilov and Hutter, arXiv:1608.03983, Eq. 5, without restarts.

    >>> [round(cosine(1.0, steps=4)(k), 4) for k in range(6)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0]
    """

    peak: float
    _: KW_ONLY
    steps: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        settle_numbers(self, "peak")
        settle_whole_numbers(self, "steps")
        settle_numbers(self, "floor", most=self.peak)

    @property
    def length(self) -> int:
        return self.steps

    def formula(self, k: int) -> float:
        return half_cosine(self.peak, self.floor, k / self.steps)


@dataclass(frozen=True, repr=False)
class sgdr(Schedule):
    """The cosine again and again, each time longer: warm restarts. It never ends.

    Loshchilov and Hutter, arXiv:1608.03983, Eq. 5: the first cycle takes `first` steps, each later one
    `growth` times as many as the one before. Keep the weights of a cycle's last step: they are its result.

    >>> [round(sgdr(1.0, first=2)(k), 4) for k in range(8)]
    [1.0, 0.5, 1.0, 0.8536, 0.5, 0.1464, 1.0, 0.9619]
    """

    peak: float
    _: KW_ONLY
    first: int
    growth: int = 2
    floor: float = 0.0

    def __post_init__(self) -> None:
        settle_numbers(self, "peak")
        settle_whole_numbers(self, "first", "growth")
        settle_numbers(self, "floor", most=self.peak)

    @property
    def length(self) -> None:
        return None

    def formula(self, k: int) -> float:
        period = self.first
        if self.growth == 1:
            k %= period
        while k >= period:
            k -= period
            period *= self.growth
        return half_cosine(self.peak, self.floor, k / period)


@dataclass(frozen=True, repr=False)
class one_cycle(Schedule):
    """From a low rate up to a great peak and down to almost nothing, along two half cosines. Then constant.

    Smith and Topin, arXiv:1708.07120. It starts at peak/div, reaches the peak after the part `rise` of its
    steps, and ends at peak/(div · final_div); the defaults are torch's.

    >>> [round(one_cycle(1.0, steps=10)(k), 4) for k in (0, 3, 10)]
    [0.04, 1.0, 0.0]
    """

    peak: float
    _: KW_ONLY
    steps: int
    rise: float = 0.3
    div: float = 25.0
    final_div: float = 1e4

    def __post_init__(self) -> None:
        settle_numbers(self, "peak")
        settle_whole_numbers(self, "steps", at_least=2)
        settle_numbers(self, "rise", above=0.0, most=1.0)
        settle_numbers(self, "div", "final_div", least=1.0)

    @property
    def length(self) -> int:
        return self.steps

    def formula(self, k: int) -> float:
        top = self.rise * self.steps
        start = self.peak / self.div
        if k <= top:
            return half_cosine(start, self.peak, k / top)
        return half_cosine(self.peak, start / self.final_div, (k - top) / (self.steps - top))


@dataclass(frozen=True, repr=False)
class warmup_stable_decay(Schedule):
    """Rise to the peak, stay there, and come down in a straight line at the end.

    Hu et al., arXiv:2404.06395: the long middle can be prolonged at will, and the decay begun from any point
    of it. It is `warmup(warmup) >> constant(peak, steps=…) >> linear(peak, floor, steps=decay)`, in `steps`
    altogether.

    >>> [warmup_stable_decay(1.0, steps=8, warmup=2, decay=4)(k) for k in range(10)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    peak: float
    _: KW_ONLY
    steps: int
    warmup: int
    decay: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        settle_numbers(self, "peak")
        settle_whole_numbers(self, "steps")
        settle_whole_numbers(self, "warmup", at_least=0)
        settle_whole_numbers(self, "decay")
        settle_numbers(self, "floor", most=self.peak)
        if self.warmup + self.decay > self.steps:
            raise ScheduleError(
                f"{self!r}: `warmup` and `decay` take {self.warmup + self.decay} steps together, "
                f"more than the {self.steps} there are; shorten one of them"
            )

    @property
    def length(self) -> int:
        return self.steps

    def formula(self, k: int) -> float:
        if k < self.warmup:
            return (k + 1) / self.warmup * self.peak
        b = max(0.0, (k - (self.steps - self.decay)) / self.decay)
        return (1 - b) * self.peak + b * self.floor
