"""What every schedule can do: be called, printed, followed by another, scaled, multiplied and cut short."""

# A schedule's class is the function that a user calls, so it is written as it is typed, in lower case; what
# its methods answer is said once, in `Schedule`.
# ruff: noqa: N801, D102

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, MISSING, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from thalweg.errors import ScheduleError
from thalweg.schedules import checks

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, repr=False)
class Schedule(ABC):
    """A function of the number of steps already done, as an inert value that prints as it is typed."""

    @property
    @abstractmethod
    def length(self) -> int | None:
        """How many steps it takes until what follows begins; `None` if it never ends."""

    @abstractmethod
    def formula(self, k: int) -> float:
        """Its value when k steps are done, for k from 0 to its length."""

    @property
    def awaits_another(self) -> bool:
        """Whether it has no value of its own until something follows it, as a warm-up."""
        return False

    @property
    def goes_by_metric(self) -> bool:
        """Whether its value is known at its present step only, as that of `plateau`."""
        return False

    def leading_to(self, following: Schedule, k: int) -> float:  # noqa: ARG002 - a warm-up looks at it
        """Its value when k steps are done and something follows: its own, but for a warm-up."""
        return self(k)

    def __call__(self, k: int) -> float:
        """The value for the next step, when k steps are done: 0 on the first step."""
        done = checks.whole_number(self, "k", k, at_least=0)
        if self.length is not None:
            done = min(done, self.length)
        try:
            value = float(self.formula(done))
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise ScheduleError(f"{self!r} is {value} when {k} steps are done; a setting must stay finite")
        return value

    def __rshift__(self, following: Schedule | Callable[[int], float]) -> Schedule:
        """This schedule for its length, then the other one, which starts to count at 0."""
        return succession((*parts_in_time(self), *parts_in_time(as_schedule(following))))

    def __mul__(self, other: float | Schedule | Callable[[int], float]) -> Schedule:
        if isinstance(other, int | float):
            return scaled(other, self)
        return product((*factors(self), *factors(as_schedule(other))))

    def __rmul__(self, factor: float | Callable[[int], float]) -> Schedule:
        if isinstance(factor, int | float):
            return scaled(factor, self)
        return as_schedule(factor) * self

    def until(self, steps: int) -> Schedule:
        """This schedule for so many steps, then at rest where it has come to."""
        return cut(self, steps)

    def __repr__(self) -> str:
        arguments: list[str] = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not field.kw_only:
                arguments.append(repr(value))
            elif field.default is MISSING or value != field.default:
                arguments.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(arguments)})"


@dataclass(frozen=True, repr=False)
class custom(Schedule):
    """A function of your own, so that it can stand in a composition: `warmup(500) >> custom(my_function)`.

    The function is called with the number of steps done. It may be given alone, without `custom`, wherever
    something else in the composition is a schedule.
    """

    function: Callable[[int], float]
    _: KW_ONLY
    steps: int | None = None

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ScheduleError(f"custom({self.function!r}): this is no function of the step")
        if self.steps is not None:
            checks.settle_whole_numbers(self, "steps")

    @property
    def length(self) -> int | None:
        return self.steps

    def formula(self, k: int) -> float:
        return self.function(k)

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", repr(self.function))
        return f"custom({name})" if self.steps is None else f"custom({name}, steps={self.steps})"


@dataclass(frozen=True, repr=False)
class succession(Schedule):
    """One schedule after the other: what `>>` makes."""

    parts: tuple[Schedule, ...]

    def __post_init__(self) -> None:
        for part, following in pairwise(self.parts):
            if part.goes_by_metric:
                raise ScheduleError(f"{part!r} goes by a metric and never ends, so {following!r} cannot come after it")
            if part.length is None:
                raise ScheduleError(
                    f"{part!r} never ends, so {following!r} cannot come after it; "
                    f"give it an end: {_in_brackets(part, product, scaled)}.until(1000)"
                )

    @property
    def length(self) -> int | None:
        lengths = [part.length for part in self.parts]
        return None if lengths[-1] is None else sum(length for length in lengths if length is not None)

    @property
    def awaits_another(self) -> bool:
        return self.parts[-1].awaits_another

    @property
    def goes_by_metric(self) -> bool:
        return self.parts[-1].goes_by_metric

    def formula(self, k: int) -> float:
        if self.awaits_another:
            raise ScheduleError(nothing_follows(self))
        for i, part in enumerate(self.parts[:-1]):
            length = part.length or 0
            if k < length:
                return part.leading_to(succession(self.parts[i + 1 :]), k)
            k -= length
        return self.parts[-1](k)

    def __repr__(self) -> str:
        return " >> ".join(map(repr, self.parts))


@dataclass(frozen=True, repr=False)
class scaled(Schedule):
    """A schedule times a number: what `0.1 * schedule` makes."""

    factor: float
    schedule: Schedule

    def __post_init__(self) -> None:
        _refuse_to_multiply(self.schedule)
        checks.settle_numbers(self, "factor")

    @property
    def length(self) -> int | None:
        return self.schedule.length

    @property
    def goes_by_metric(self) -> bool:
        return self.schedule.goes_by_metric

    def formula(self, k: int) -> float:
        return self.factor * self.schedule(k)

    def __repr__(self) -> str:
        return f"{self.factor!r} * {_in_brackets(self.schedule, succession, product, scaled)}"


@dataclass(frozen=True, repr=False)
class product(Schedule):
    """Schedules multiplied step by step; it is over when the last of them is."""

    factors: tuple[Schedule, ...]

    def __post_init__(self) -> None:
        for factor in self.factors:
            _refuse_to_multiply(factor)

    @property
    def length(self) -> int | None:
        lengths = [factor.length for factor in self.factors if factor.length is not None]
        return max(lengths) if len(lengths) == len(self.factors) else None

    @property
    def goes_by_metric(self) -> bool:
        return any(factor.goes_by_metric for factor in self.factors)

    def formula(self, k: int) -> float:
        return math.prod(factor(k) for factor in self.factors)

    def __repr__(self) -> str:
        return " * ".join(_in_brackets(factor, succession, scaled) for factor in self.factors)


@dataclass(frozen=True, repr=False)
class cut(Schedule):
    """A schedule for its first steps only: what `schedule.until(1000)` makes."""

    schedule: Schedule
    steps: int

    def __post_init__(self) -> None:
        if self.schedule.awaits_another:
            raise ScheduleError(nothing_follows(self.schedule))
        if self.schedule.goes_by_metric:
            raise ScheduleError(
                f"{self.schedule!r} goes by a metric, so that nobody knows its value after {self.steps!r} steps: "
                "it cannot be cut short, and nothing can follow it"
            )
        checks.settle_whole_numbers(self, "steps")

    @property
    def length(self) -> int:
        return self.steps

    def formula(self, k: int) -> float:
        return self.schedule(k)

    def __repr__(self) -> str:
        return f"{_in_brackets(self.schedule, succession, product, scaled)}.until({self.steps!r})"


def as_schedule(value: object) -> Schedule:
    """The value if it is a schedule, a function of the user's as `custom`, or a `ScheduleError`."""
    if isinstance(value, Schedule):
        return value
    if callable(value):
        return custom(cast("Callable[[int], float]", value))
    hint = f"; write constant({value!r})" if isinstance(value, int | float) else ""
    raise ScheduleError(f"{value!r} is no schedule and no function of the step{hint}")


def parts_in_time(schedule: Schedule) -> tuple[Schedule, ...]:
    """The schedules that come one after the other in this one."""
    return schedule.parts if isinstance(schedule, succession) else (schedule,)


def factors(schedule: Schedule) -> tuple[Schedule, ...]:
    """The schedules that are multiplied in this one."""
    return schedule.factors if isinstance(schedule, product) else (schedule,)


def _in_brackets(schedule: Schedule, *kinds: type[Schedule]) -> str:
    return f"({schedule!r})" if isinstance(schedule, kinds) else repr(schedule)


def nothing_follows(schedule: Schedule) -> str:
    """What is said when a schedule that awaits another is asked for its value."""
    return f"{schedule!r} has no value until something follows it: {schedule!r} >> constant(0.1)"


def _refuse_to_multiply(schedule: Schedule) -> None:
    if schedule.awaits_another:
        raise ScheduleError(f"{schedule!r} has no value to multiply; multiply what follows it, or the whole")
