"""Whether a schedule meets Robbins and Monro's condition: Σα = ∞ and Σα² < ∞."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from thalweg.schedules.cycles import sgdr
from thalweg.schedules.decays import constant, exponential, inverse, multi_step, step_decay
from thalweg.schedules.schedule import Schedule, product, scaled, succession

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Tail:
    """How a schedule goes on for ever: between two constant multiples of exp(k Σ growths) · k^−power.

    A growth of −∞ stands for a schedule that is 0 from some step on. One that goes down to 0 and up again
    (`in_cycles`) keeps within these bounds on average over its cycles, not at every step.
    """

    growths: tuple[float, ...] = ()
    power: float = 0.0
    in_cycles: bool = False


ENDS_AT_ZERO = Tail(growths=(-math.inf,))


def robbins_monro(schedule: Callable[[int], float]) -> Literal["yes", "no", "cannot say"]:
    """Whether stochastic gradient descent with these rates is sure to settle: Σα = ∞ and Σα² < ∞.

    The condition suffices, with others on the function (Robbins and Monro 1951). The answer is exact for this
    library's schedules and for what is composed of them; about a function of yours it cannot say anything.

    >>> from thalweg.schedules import constant, inverse, warmup
    >>> robbins_monro(warmup(100) >> inverse(0.1))
    'yes'
    >>> robbins_monro(constant(0.1))
    'no'
    >>> robbins_monro(lambda k: 0.1 / (k + 1))
    'cannot say'
    """
    tail = _tail(schedule)
    if tail is None:
        return "cannot say"
    growths = [growth for growth in tail.growths if growth != 0]
    growth = sum(growths)
    if len(growths) > 1 and abs(growth) < 1e-9 * max(map(abs, growths)):
        return "cannot say"  # they cancel, to within rounding
    return "yes" if growth == 0 and 0.5 < tail.power <= 1 else "no"


def _tail(schedule: Callable[[int], float]) -> Tail | None:
    if not isinstance(schedule, Schedule) or schedule.awaits_another:
        return None
    match schedule:
        case succession(parts=(*_, last)):
            tail = _tail(last)
        case Schedule(length=int(length)):
            tail = _level(schedule(length))
        case scaled(factor=factor, schedule=inner):
            tail = _tail(inner) if factor > 0 else ENDS_AT_ZERO
        case product(factors=factors):
            tail = _together([_tail(factor) for factor in factors])
        case _:
            tail = _endless(schedule)
    return tail


def _endless(schedule: Schedule) -> Tail | None:
    match schedule:
        case constant(value=start) | multi_step(start=start):
            tail = Tail()
        case exponential(start=start, factor=factor):
            tail = Tail(growths=(math.log(factor),))
        case step_decay(start=start, every=every, factor=factor):
            tail = Tail(growths=(math.log(factor) / every,))
        case inverse(start=start, power=power):
            tail = Tail(power=power)
        case sgdr(peak=start, floor=floor, first=first, growth=growth):
            tail = Tail(in_cycles=floor == 0 and (first > 1 or growth > 1))
        case _:
            return None
    return tail if start > 0 else ENDS_AT_ZERO


def _level(value: float) -> Tail:
    return Tail() if value > 0 else ENDS_AT_ZERO


def _together(tails: list[Tail | None]) -> Tail | None:
    known = [tail for tail in tails if tail is not None]
    if ENDS_AT_ZERO in known:
        return ENDS_AT_ZERO
    if len(known) < len(tails) or sum(tail.in_cycles for tail in known) > 1:
        return None
    return Tail(
        growths=tuple(growth for tail in known for growth in tail.growths),
        power=sum(tail.power for tail in known),
        in_cycles=any(tail.in_cycles for tail in known),
    )
