"""What a schedule's arguments may be, and what is said when they are not."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from itertools import pairwise
from typing import SupportsFloat, SupportsIndex

from thalweg.errors import ScheduleError
from thalweg.formula.hyperparameter import WANTS_GRADIENT


def settle_whole_numbers(schedule: object, *names: str, at_least: int = 1) -> None:
    """Leave in these fields of a frozen schedule an `int` each, or raise `ScheduleError`."""
    for name in names:
        value = whole_number(schedule, name, getattr(schedule, name), at_least=at_least)
        object.__setattr__(schedule, name, value)


def settle_numbers(
    schedule: object, *names: str, above: float = -math.inf, least: float = 0.0, most: float = math.inf
) -> None:
    """Leave in these fields a plain finite number each, within its bounds, or raise `ScheduleError`."""
    for name in names:
        value = getattr(schedule, name)
        if getattr(value, "requires_grad", False):
            raise ScheduleError(f"{schedule!r}: `{name}` {WANTS_GRADIENT}")
        plain = _plain(value)
        if plain is None or plain <= above or not least <= plain <= most:
            lower = f"above {above:g}" if above >= least else f"{least:g} or more"
            upper = f" and at most {most:g}" if most < math.inf else ""
            raise ScheduleError(f"{schedule!r}: `{name}` is {value!r}; it must be a finite number, {lower}{upper}")
        object.__setattr__(schedule, name, plain)


def settle_rising_steps(schedule: object, name: str) -> None:
    """Leave in this field a tuple of steps, each later than the one before, or raise `ScheduleError`."""
    value: object = getattr(schedule, name)
    if not isinstance(value, Iterable) or isinstance(value, str):
        raise ScheduleError(f"{schedule!r}: `{name}` is {value!r}; it must be a list of steps")
    steps = tuple(whole_number(schedule, f"{name}[{i}]", step, at_least=1) for i, step in enumerate(value))
    if any(later <= earlier for earlier, later in pairwise(steps)):
        raise ScheduleError(f"{schedule!r}: `{name}` must name each step later than the one before")
    object.__setattr__(schedule, name, steps)


def whole_number(schedule: object, name: str, value: object, *, at_least: int) -> int:
    """The value as an `int`, or a `ScheduleError` that names the schedule and its argument."""
    if type(value) is int and value >= at_least:  # what every step passes, without the slower look below
        return value
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        whole = operator.index(value)
        if whole >= at_least:
            return whole
    raise ScheduleError(f"{schedule!r}: `{name}` is {value!r}; it must be a whole number, {at_least} or more")


def _plain(value: object) -> float | None:
    """The value as a finite number of Python's own, an `int` left as it was typed; `None` if it is none."""
    if isinstance(value, bool) or not isinstance(value, SupportsFloat):
        return None
    try:
        plain = float(value)
    except (OverflowError, TypeError, ValueError):
        return None
    if not math.isfinite(plain):
        return None
    return value if isinstance(value, int) else plain
