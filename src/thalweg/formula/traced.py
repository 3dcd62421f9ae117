"""What a traced chain is: one step as a graph over one element, and the states that it keeps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.formula.scalar import Level, descend, symbol

if TYPE_CHECKING:
    from thalweg.formula.cut import Cut
    from thalweg.formula.scalar import Scalar
    from thalweg.formula.slots import CurvatureSlot, Result, Start


@dataclass(frozen=True)
class Kept:
    """A state of a traced chain: its name, its value before and after the step, what it starts at, and its level."""

    name: str
    before: Scalar
    after: Scalar
    start: Start
    """A hyper-parameter is named as in `Trace.hyperparameters`."""

    @property
    def level(self) -> Level:
        """What has one value of its own."""
        return self.before.level


@dataclass(frozen=True)
class Trace:
    """One step of a chain as a graph over one element."""

    parameter: Scalar
    """The parameter's new value."""
    states: tuple[Kept, ...]
    hyperparameters: dict[str, tuple[int, str]]
    """Each number that the graph asks for, by the name it has there: the stage's place and its own name."""
    uses_learning_rate: bool
    uses_loss: bool
    curvature: CurvatureSlot | None
    """The estimate of the curvature that the graph asks for."""
    steps_of_formula: tuple[tuple[str, Scalar], ...]
    """The formula's own named values in the order it computes them, for drawing it."""
    moves: Result
    """What the last stage hands to the step: a direction, a displacement or a position."""
    evaluation: Scalar | None = None
    """Where evaluation is to see the parameter, of its value and the states as they are; none if where it is."""
    cut: Cut | None = None
    """The stage that sees its tensor whole, if the chain has one for this parameter."""
    meanwhile: tuple[Kept, ...] = ()
    """What changes in a call that does not move the parameter, if the chain waits for several calls."""

    @property
    def ends(self) -> tuple[Scalar, ...]:
        """All that a step computes."""
        given = (self.cut.given,) if self.cut is not None else ()
        return (self.parameter, *(kept.after for kept in self.states), *given)

    @property
    def parts(self) -> tuple[Trace, ...]:
        """The graphs of what the chain computes by formulas, one after the other: two where a stage cuts it, else one.

        The first of two leaves the parameter alone and gives the direction as a state; the second has it as one that
        it does not change.
        """
        cut = self.cut
        if cut is None:
            return (self,)
        name = cut.direction.name
        given, made = (Kept(name, cut.direction, after, 0.0) for after in (cut.given, cut.direction))
        before, behind = (
            tuple(kept for kept in self.states if (kept.name in cut.before) is first) for first in (True, False)
        )
        plain = dataclasses.replace(self, cut=None, evaluation=None, meanwhile=())
        parts = (
            dataclasses.replace(plain, parameter=symbol("p", Level.ELEMENT), states=(*before, given)),
            dataclasses.replace(plain, states=(*behind, made)),
        )
        return tuple(dataclasses.replace(part, steps_of_formula=part.steps_needed) for part in parts)

    @property
    def steps_needed(self) -> tuple[tuple[str, Scalar], ...]:
        """Of the formula's named values, those that a result is computed from."""
        needed = {id(node) for node in descend(self.parameter, *(kept.after for kept in self.states))}
        return tuple(step for step in self.steps_of_formula if id(step[1]) in needed)
