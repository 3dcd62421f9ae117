"""Where a chain is cut in two: by a stage that has no formula, since it sees its tensor whole.

What stands before it is one graph, which ends in the direction that the stage is given; what stands behind it is
another, to which the direction that it makes is an input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from thalweg.formula.rule import Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping

    from thalweg.formula.hyperparameter import Schedule, Value
    from thalweg.formula.scalar import Scalar


class Named(Protocol):
    """What such a stage has for a rule."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


class WholeStage(Protocol):
    """A stage that makes a direction of a direction in code of its own."""

    @property
    def rule(self) -> Named:
        """Its method."""
        ...

    @property
    def states(self) -> Collection[str]:
        """The names of all states that it may keep."""
        ...

    @property
    def values(self) -> Mapping[str, Value]:
        """Every hyper-parameter's value."""
        ...

    @property
    def options(self) -> Mapping[str, Value]:
        """Those that change what it does."""
        ...

    @property
    def numbers(self) -> Mapping[str, float | Schedule]:
        """Those that are numbers or schedules."""
        ...


AnyStage: TypeAlias = Stage | WholeStage


@dataclass(frozen=True)
class Cut:
    """A stage that sees its tensor whole, in a traced chain."""

    place: int
    """The stage's, in its chain."""
    method: Hashable
    """What the stage does, its numbers aside."""
    given: Scalar
    """The direction that the stages before it have made."""
    direction: Scalar
    """The one that it makes: an input of the stages behind it."""
    before: frozenset[str]
    """The names of the states of the stages before it."""
    numbers: Mapping[str, str]
    """What its hyper-parameters are called in the chain, by their own names; options aside."""
    states: Mapping[str, str]
    """What its states are called in the chain, by their own names."""
