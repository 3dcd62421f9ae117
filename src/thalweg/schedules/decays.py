"""Schedules that only ever go one way: in a line, a power, an exponential, in steps."""

# A schedule's class is the function that a user calls, so it is written as it is typed, in lower case; what
# its methods answer is said once, in `Schedule`.
# ruff: noqa: N801, D102

from __future__ import annotations

from bisect import bisect_right
from dataclasses import KW_ONLY, dataclass

from thalweg.schedules.checks import settle_numbers, settle_rising_steps, settle_whole_numbers
from thalweg.schedules.schedule import Schedule


@dataclass(frozen=True, repr=False)
class constant(Schedule):
    """The same value at every step; with `steps`, something else can follow it.

    >>> constant(0.1)(1_000_000)
    0.1
    """

    value: float
    _: KW_ONLY
    steps: int | None = None

    def __post_init__(self) -> None:
        settle_numbers(self, "value")
        if self.steps is not None:
            settle_whole_numbers(self, "steps")

    @property
    def length(self) -> int | None:
        return self.steps

    def formula(self, k: int) -> float:  # noqa: ARG002 - constant
        return self.value


@dataclass(frozen=True, repr=False)
class linear(Schedule):
    """From one value to another in a straight line, then constant.

    Goodfellow, Bengio and Courville, Eq. 8.14: α_k = (1 − b)α₀ + bα_τ with b = k/τ. Either value may be the
    greater.

    >>> [round(linear(1.0, 0.2, steps=4)(k), 12) for k in range(6)]
    [1.0, 0.8, 0.6, 0.4, 0.2, 0.2]
    """

    start: float
    end: float
    _: KW_ONLY
    steps: int

    def __post_init__(self) -> None:
        settle_numbers(self, "start", "end")
        settle_whole_numbers(self, "steps")

    @property
    def length(self) -> int:
        return self.steps

    def formula(self, k: int) -> float:
        b = k / self.steps
        return (1 - b) * self.start + b * self.end


@dataclass(frozen=True, repr=False)
class polynomial(Schedule):
    """From the start down to the end along (1 − k/steps) to a power, then constant.

    With power 1 it is linear; greater powers fall fast at first, as used for semantic segmentation (0.9, 2).

    >>> [polynomial(1.0, steps=4, power=2)(k) for k in range(6)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    start: float
    _: KW_ONLY
    steps: int
    power: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        settle_numbers(self, "start", "end")
        settle_whole_numbers(self, "steps")
        settle_numbers(self, "power", above=0.0)

    @property
    def length(self) -> int:
        return self.steps

    def formula(self, k: int) -> float:
        return self.end + (self.start - self.end) * (1 - k / self.steps) ** self.power


@dataclass(frozen=True, repr=False)
class exponential(Schedule):
    """Times the same factor at every step: α_k = factorᵏ · start. It never ends.

    A factor above 1 grows, for a search of the greatest rate that works.

    >>> [exponential(8.0, factor=0.5)(k) for k in range(4)]
    [8.0, 4.0, 2.0, 1.0]
    """

    start: float
    _: KW_ONLY
    factor: float

    def __post_init__(self) -> None:
        settle_numbers(self, "start")
        settle_numbers(self, "factor", above=0.0)

    @property
    def length(self) -> None:
        return None

    def formula(self, k: int) -> float:
        return self.start * float(self.factor) ** k


@dataclass(frozen=True, repr=False)
class geometric(Schedule):
    """From one value to another by the same factor at every step, then constant.

    The straight line of a logarithmic plot; both values must be above 0.

    >>> [round(geometric(1.0, 0.01, steps=4)(k), 4) for k in range(6)]
    [1.0, 0.3162, 0.1, 0.0316, 0.01, 0.01]
    """

    start: float
    end: float
    _: KW_ONLY
    steps: int

    def __post_init__(self) -> None:
        settle_numbers(self, "start", "end", above=0.0)
        settle_whole_numbers(self, "steps")

    @property
    def length(self) -> int:
        return self.steps

    def formula(self, k: int) -> float:
        b = k / self.steps
        return self.start ** (1 - b) * self.end**b


@dataclass(frozen=True, repr=False)
class step_decay(Schedule):
    """Times a factor after every so many steps: α_k = factor^⌊k/every⌋ · start. It never ends.

    >>> [step_decay(1.0, every=2, factor=0.5)(k) for k in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    start: float
    _: KW_ONLY
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        settle_numbers(self, "start")
        settle_whole_numbers(self, "every")
        settle_numbers(self, "factor", above=0.0)

    @property
    def length(self) -> None:
        return None

    def formula(self, k: int) -> float:
        return self.start * float(self.factor) ** (k // self.every)


@dataclass(frozen=True, repr=False)
class multi_step(Schedule):
    """Times a factor at each of the named steps. It never ends.

    The step named is the first at the new value.

    >>> [multi_step(1.0, at=(2, 3), factor=0.5)(k) for k in range(5)]
    [1.0, 1.0, 0.5, 0.25, 0.25]
    """

    start: float
    _: KW_ONLY
    at: tuple[int, ...]
    factor: float = 0.1

    def __post_init__(self) -> None:
        settle_numbers(self, "start")
        settle_rising_steps(self, "at")
        settle_numbers(self, "factor", above=0.0)

    @property
    def length(self) -> None:
        return None

    def formula(self, k: int) -> float:
        return self.start * float(self.factor) ** bisect_right(self.at, k)


@dataclass(frozen=True, repr=False)
class inverse(Schedule):
    """As a power of 1/k: α_k = start/(1 + k/timescale)^power. It never ends.

    With the defaults it is start · 1/k for the k-th step, counted from 1; with power 0.5 it is 1/√k. The rate
    has fallen to start/2^power after `timescale` steps. Robbins and Monro's condition holds for powers above
    0.5, up to 1.

    >>> [round(inverse(1.0)(k), 4) for k in range(4)]
    [1.0, 0.5, 0.3333, 0.25]
    """

    start: float
    _: KW_ONLY
    power: float = 1.0
    timescale: float = 1.0

    def __post_init__(self) -> None:
        settle_numbers(self, "start")
        settle_numbers(self, "power", "timescale", above=0.0)

    @property
    def length(self) -> None:
        return None

    def formula(self, k: int) -> float:
        return self.start / (1 + k / self.timescale) ** self.power
