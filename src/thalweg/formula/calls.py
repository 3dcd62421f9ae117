"""What a stage decides about a whole call of `step`, beside its formula: whether anything moves at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.formula.scalar import Scalar


@dataclass(frozen=True)
class Waits:
    """Parameters move at every so many calls; at the others, nothing changes but the stage's own states."""

    every: str
    """The hyper-parameter that says how many calls make a move."""
    meanwhile: Callable[..., tuple[Scalar, ...]]
    """The states' new values in a call that moves nothing, of those arguments of the formula that it names."""


@dataclass(frozen=True)
class Skips:
    """A call with a gradient that is not finite is left out as a whole."""

    at_most: str
    """The hyper-parameter that says how many calls in a row may be left out."""


Calls: TypeAlias = Waits | Skips
