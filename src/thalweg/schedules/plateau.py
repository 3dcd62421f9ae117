"""Decay on a plateau: the rate falls when a metric has stopped getting better."""

# A schedule's class is the function that a user calls, so it is written as it is typed, in lower case; what
# its methods answer is said once, in `Schedule`.
# ruff: noqa: N801, D102

from __future__ import annotations

import dataclasses
import math
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat, get_args

from thalweg.errors import CheckpointError, ScheduleError, did_you_mean
from thalweg.schedules.checks import settle_numbers, settle_whole_numbers
from thalweg.schedules.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

_Mode = Literal["min", "max"]
_ThresholdMode = Literal["rel", "abs"]


@dataclass(frozen=True)
class _Course:
    """What a controller has come to, by torch's names where torch has one."""

    rate: float
    best: float
    num_bad_epochs: int = 0
    cooldown_counter: int = 0
    last_epoch: int = 0


@dataclass(frozen=True, repr=False, eq=False)
class plateau(Schedule):
    """Times a factor whenever a metric has not got better for more than `patience` looks at it. It never ends.

    A controller, and no function of the step: its value is its present rate, whatever the step, and changes by
    `update(metric)` alone. So keep a name for it, and call that after each validation. Where it stands is saved and
    loaded with the state of the optimizer that follows it; without one, save its `state_dict`. Arguments, defaults and
    numbers are those of `torch.optim.lr_scheduler.ReduceLROnPlateau`: a metric is better if it beats the best so far by
    the threshold, relative (`rel`; for metrics that cannot be below 0) or absolute (`abs`); after a decay, `cooldown`
    looks do not count; a decay by no more than `eps` is left out.

    All that hold one controller follow it together, as all groups of an optimizer follow torch's; so a chain used for
    two optimizers has one controller for both, twice as many updates if each loop calls it, and loading the state of
    one moves it for the other. To have them apart,
    write `plateau(…)` twice, or deepcopy the chain. A copy, a deep copy or what pickle restores begins where the
    original stands and is apart from it from then on; `dataclasses.replace` begins anew. No two are equal.

    It composes: `warmup(500) >> plateau(0.1)` rises to the present rate, `cosine(1.0, steps=…) * plateau(0.1)`
    multiplies. Nothing can follow it, since nobody knows beforehand where it will have come to.

    >>> controller = plateau(0.1, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.1, 2.2):
    ...     controller.update(loss)
    >>> controller, controller(0), controller(10_000)
    (plateau(0.1, factor=0.5, patience=1), 0.05, 0.05)
    """

    start: float
    _: KW_ONLY
    mode: _Mode = "min"
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: _ThresholdMode = "rel"
    cooldown: int = 0
    min_lr: float = 0.0
    eps: float = 1e-8

    def __post_init__(self) -> None:
        for name, known in (("mode", get_args(_Mode)), ("threshold_mode", get_args(_ThresholdMode))):
            value = getattr(self, name)
            if value not in known:
                raise ScheduleError(f"{self!r}: `{name}` is {value!r}; {did_you_mean(str(value), known)}")
        settle_numbers(self, "start", "factor", "threshold", "eps")
        settle_numbers(self, "min_lr", most=self.start)
        settle_whole_numbers(self, "patience", "cooldown", at_least=0)
        if self.factor >= 1:
            raise ScheduleError(f"{self!r}: `factor` is {self.factor!r}; it must be below 1, or the rate never falls")
        if self.threshold >= 1 and (self.mode, self.threshold_mode) == ("min", "rel"):
            raise ScheduleError(
                f"{self!r}: `threshold` is {self.threshold!r}, and nothing falls by so great a part of itself; "
                "it must be below 1, or pass threshold_mode='abs'"
            )

    @property
    def length(self) -> None:
        return None

    @property
    def goes_by_metric(self) -> bool:
        return True

    def formula(self, k: int) -> float:  # noqa: ARG002 - it goes by the metric, not by the step
        return self._course.rate

    def update(self, metric: SupportsFloat) -> None:
        """Look at the metric, and lower the rate if it has been no better for too long.

        A number, or a tensor of one. Raises `ScheduleError` for NaN, and for the infinity that nothing could ever beat.
        """
        value = self._check(metric)
        now = self._course
        better = self._is_better(value, now.best)
        bad = 0 if better or now.cooldown_counter > 0 else now.num_bad_epochs + 1
        rate, cooldown = now.rate, max(now.cooldown_counter - 1, 0)
        if bad > self.patience:
            bad, cooldown = 0, self.cooldown
            lower = max(rate * self.factor, self.min_lr)
            rate = lower if rate - lower > self.eps else rate
        self._settle(_Course(float(rate), value if better else now.best, bad, cooldown, now.last_epoch + 1))

    step = update
    """Torch's name for it."""

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes: plain numbers, and the `mode` that `best` is the best by."""
        return {"mode": self.mode, **dataclasses.asdict(self._course)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave; the settings stay those typed here.

        Raises `CheckpointError`, and changes nothing, if it is another's, or of the other `mode`.
        """
        numbers = dict(state_dict)
        mode = numbers.pop("mode", None)
        known = dataclasses.asdict(self._course)
        if mode is None or set(numbers) != set(known):
            held = ", ".join(map(str, state_dict)) or "nothing"
            raise CheckpointError(f"{self!r}: the state holds {held}, and a plateau's holds mode, {', '.join(known)}")
        if mode != self.mode:
            raise CheckpointError(f"{self!r}: the state is of a plateau with mode={mode!r}; write it with that mode")
        for name, value in numbers.items():
            if type(value) is not type(known[name]) or not (value >= 0 or name == "best") or math.isnan(value):
                raise CheckpointError(f"{self!r}: the state's `{name}` is {value!r}, which no plateau saves")
        self._settle(_Course(**numbers))

    def __eq__(self, other: object) -> bool:
        return self is other  # whoever replaces a controller by another of equal settings must notice

    def __hash__(self) -> int:
        return id(self)

    @cached_property
    def _course(self) -> _Course:
        """All that changes, in one value that is replaced as a whole: so even a shallow copy is apart."""
        return _Course(rate=float(self.start), best=math.inf if self.mode == "min" else -math.inf)

    def _settle(self, course: _Course) -> None:
        vars(self)["_course"] = course

    def _is_better(self, value: float, best: float) -> bool:
        """As torch has it, to the last bit."""
        if self.mode == "min":
            return value < (best * (1.0 - self.threshold) if self.threshold_mode == "rel" else best - self.threshold)
        return value > (best * (self.threshold + 1.0) if self.threshold_mode == "rel" else best + self.threshold)

    def _check(self, metric: SupportsFloat) -> float:
        """The metric as a number of Python's own."""
        try:
            value = None if isinstance(metric, str) else float(metric)
        except (OverflowError, RuntimeError, TypeError, ValueError):
            value = None
        if value is None:
            raise ScheduleError(f"{self!r}: the metric is {metric!r}; it must be a number")
        if math.isnan(value):
            raise ScheduleError(f"{self!r}: the metric is NaN, by which nothing can be judged; look at the training")
        if value == (-math.inf if self.mode == "min" else math.inf):
            raise ScheduleError(
                f"{self!r}: the metric is {value}, which no later one could beat; look at how it is made"
            )
        return value
