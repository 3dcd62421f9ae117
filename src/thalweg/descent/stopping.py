"""When a descent has arrived, or has spent what it may: rules that are joined by `|`."""

# A rule's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from thalweg.descent.part import Part, number, whole
from thalweg.errors import DescentError, HyperparameterError
from thalweg.formula import Range

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.trial import Trial

_TOLERANCE = Range(0)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a descent stands: at which point, from which it came there, and what has been spent."""

    here: Trial
    before: Trial | None
    nit: int
    evaluations: int
    seconds: float


@dataclass(frozen=True, repr=False)
class StoppingRule(Part):
    """Says when to stop, and why; rules are joined by `|`."""

    is_budget: ClassVar[bool] = False
    """Whether it bounds what is spent, so that a descent that it stops has not arrived."""

    @abstractmethod
    def met(self, progress: Progress) -> str | None:
        """Why to stop here, as the rest of a sentence, or `None`."""

    @property
    def parts(self) -> tuple[StoppingRule, ...]:
        """The rules that it is made of."""
        return (self,)

    def __or__(self, other: StoppingRule) -> StoppingRule:
        if not isinstance(other, StoppingRule):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
            raise DescentError(f"{self!r} | {other!r}: this is no stopping rule; write for example `iterations(100)`")
        return any_of((*self.parts, *other.parts))


@dataclass(frozen=True, repr=False)
class any_of(StoppingRule):
    """The first of several rules that is met: what `|` makes."""

    rules: tuple[StoppingRule, ...]

    @property
    def parts(self) -> tuple[StoppingRule, ...]:
        """The rules that it is made of."""
        return self.rules

    def met(self, progress: Progress) -> str | None:
        """Why to stop here, as the first rule that is met says it."""
        return next((reason for rule in self.rules if (reason := rule.met(progress))), None)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.rules))


@dataclass(frozen=True, repr=False)
class _Norm(StoppingRule):
    tolerance: float = number(_TOLERANCE, default=1e-5, source="SciPy's gtol")
    _: KW_ONLY
    order: Literal[1, 2] | float = math.inf

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order not in (1, 2, math.inf):
            raise HyperparameterError(f"{type(self).__name__}: `order` is {self.order!r}; choose 1, 2 or math.inf")

    def norm(self, vector: Tensor) -> float:
        """The norm of this order."""
        return float(torch.linalg.vector_norm(vector, self.order)) if vector.numel() else 0.0


@dataclass(frozen=True, repr=False)
class gradient_norm(_Norm):
    """‖∇f‖ is at most the tolerance; by default the largest element's, as in SciPy, else of order 1 or 2."""

    def met(self, progress: Progress) -> str | None:
        """Why to stop here, or `None`."""
        norm = self.norm(progress.here.g)
        return f"the gradient's norm is {norm:.3g}, at most {self.tolerance:g}" if norm <= self.tolerance else None


@dataclass(frozen=True, repr=False)
class step_length(_Norm):
    """‖Δx‖ of the last step is at most the tolerance; by default its largest element's, else of order 1 or 2."""

    def met(self, progress: Progress) -> str | None:
        """Why to stop here, or `None`."""
        if progress.before is None:
            return None
        norm = self.norm(progress.here.x - progress.before.x)
        return f"the last step's length is {norm:.3g}, at most {self.tolerance:g}" if norm <= self.tolerance else None


@dataclass(frozen=True, repr=False)
class value_change(StoppingRule):
    """The last step changed the value by at most the tolerance; a flat stretch meets that, too."""

    tolerance: float = number(_TOLERANCE, default=1e-9, source="ours")

    def met(self, progress: Progress) -> str | None:
        """Why to stop here, or `None`."""
        if progress.before is None:
            return None
        change = abs(progress.here.f - progress.before.f)
        return (
            f"the last step changed the value by {change:.3g}, at most {self.tolerance:g}"
            if change <= self.tolerance
            else None
        )


@dataclass(frozen=True, repr=False)
class value_below(StoppingRule):
    """The value is at most this; for a minimum whose value is known, or a fit that is good enough."""

    value: float = number(Range(-math.inf, low_included=False))

    def met(self, progress: Progress) -> str | None:
        """Why to stop here, or `None`."""
        value = progress.here.f
        return f"the value is {value:.3g}, at most {self.value:g}" if value <= self.value else None


@dataclass(frozen=True, repr=False)
class iterations(StoppingRule):
    """So many steps at most."""

    is_budget: ClassVar[bool] = True
    count: int = whole(0)

    def met(self, progress: Progress) -> str | None:
        """Why to stop here, or `None`."""
        return f"the budget of {self.count} iterations is spent" if progress.nit >= self.count else None


@dataclass(frozen=True, repr=False)
class evaluations(StoppingRule):
    """So many evaluations at most, of the function, of Hessian products, and of gradients apart; never one more."""

    is_budget: ClassVar[bool] = True
    count: int = whole(1)

    def met(self, progress: Progress) -> str | None:
        """Why to stop here, or `None`."""
        return f"the budget of {self.count} evaluations is spent" if progress.evaluations >= self.count else None


@dataclass(frozen=True, repr=False)
class seconds(StoppingRule):
    """So much time at most, looked at before each evaluation."""

    is_budget: ClassVar[bool] = True
    limit: float = number(Range(0, low_included=False))

    def met(self, progress: Progress) -> str | None:
        """Why to stop here, or `None`."""
        return f"the budget of {self.limit:g} seconds is spent" if progress.seconds >= self.limit else None
