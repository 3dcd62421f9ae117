"""How training begins gently: a rise to the first value of whatever follows."""

# A schedule's class is the function that a user calls, so it is written as it is typed, in lower case; what
# its methods answer is said once, in `Schedule`.
# ruff: noqa: N801, D102

from __future__ import annotations

from dataclasses import dataclass

from thalweg.errors import ScheduleError
from thalweg.schedules import checks
from thalweg.schedules.schedule import Schedule, nothing_follows


@dataclass(frozen=True, repr=False)
class warmup(Schedule):
    """Rise linearly, in so many steps, to the first value of what follows.

    When k steps are done the value is (k + 1)/steps of it, so that the first step is not wasted at 0 and the
    last one is at full height. It has no value until something follows it.

    >>> from thalweg.schedules import constant
    >>> schedule = warmup(4) >> constant(0.1)
    >>> [round(schedule(k), 4) for k in range(6)]
    [0.025, 0.05, 0.075, 0.1, 0.1, 0.1]
    """

    steps: int

    def __post_init__(self) -> None:
        checks.settle_whole_numbers(self, "steps")

    @property
    def length(self) -> int:
        return self.steps

    @property
    def awaits_another(self) -> bool:
        return True

    def leading_to(self, following: Schedule, k: int) -> float:
        return (k + 1) / self.steps * following(0)

    def formula(self, k: int) -> float:  # noqa: ARG002 - it has no value at any step
        raise ScheduleError(nothing_follows(self))
