"""How stages compose: `chain(adam(), decay(0.1), step(1e-3))` is an inert value that prints as it is typed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from thalweg.errors import ChainError
from thalweg.formula import Hyperparameter, IsMatrixSlot, Range, Rule, Schedule, Stage, Trace, Value, trace

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

LEARNING_RATE = Hyperparameter("learning_rate", 0.0, Range(0))


@dataclass(frozen=True)
class Step:
    """The last stage of a chain: p ← p − αd, or the learning rate that a rule asked for."""

    learning_rate: float | Schedule

    def __repr__(self) -> str:
        return f"step({self.learning_rate!r})"


@dataclass(frozen=True)
class Chain:
    """Stages in the order in which they see the gradient, then those behind the step. Make one with `chain`."""

    stages: tuple[Stage, ...]
    step: Step | None = None
    behind: tuple[Stage, ...] = ()
    """Those that take the parameter after the step: averages."""

    @property
    def structure(self) -> Hashable:
        """What decides the formula: rules and options, without the numbers. Equal structures share a kernel."""
        before, behind = (
            tuple((stage.rule, tuple(stage.options.items())) for stage in stages)
            for stages in (self.stages, self.behind)
        )
        return before, self.step is not None, behind

    @property
    def depends_on_shape(self) -> bool:
        """Whether matrices have another formula than vectors."""
        slots = [slot for stage in (*self.stages, *self.behind) for slot in stage.rule.slots.values()]
        return any(isinstance(slot, IsMatrixSlot) for slot in slots)

    @property
    def form(self) -> str:
        """The chain without its numbers, as text: two chains of one form can take each other's state."""
        before, behind = (
            [repr(Stage(s.rule, tuple((n, v) for n, v in s.typed if n in s.options))) for s in stages]
            for stages in (self.stages, self.behind)
        )
        return f"chain({', '.join([*before, *(['step()'] if self.step else []), *behind])})"

    def trace(self, *, maximize: bool = False, is_matrix: bool = True, with_names: bool = False) -> Trace:
        """One step as a graph, for a parameter of two dimensions or more or not; `with_names` for drawing it.

        Raises `ChainError` or `FormulaError`, naming the stage that does not fit.
        """
        return trace(
            self.stages,
            self.behind,
            maximize=maximize,
            has_step=self.step is not None,
            is_matrix=is_matrix,
            with_names=with_names,
        )

    def traces(self, *, maximize: bool = False) -> list[Trace]:
        """The graphs of every kind of parameter that has one of its own."""
        kinds = (False, True) if self.depends_on_shape else (True,)
        return [self.trace(maximize=maximize, is_matrix=is_matrix) for is_matrix in kinds]

    def numbers(self, *traces: Trace) -> dict[str, float | Schedule]:
        """Every number that the traced chain asks for, by its name there; the learning rate is `lr`."""
        stages = (*self.stages, *self.behind)
        named = {name: origin for traced in traces for name, origin in traced.hyperparameters.items()}
        numbers = {name: stages[place].numbers[local] for name, (place, local) in named.items()}
        return ({"lr": self.step.learning_rate} if self.step else {}) | numbers

    def replace(self, numbers: Mapping[str, Value], *traces: Trace) -> Chain:
        """The same chain with other numbers, by their names in the traces. Raises `HyperparameterError`."""
        named = {name: origin for traced in traces for name, origin in traced.hyperparameters.items()}
        stages = [*self.stages, *self.behind]
        step_stage = self.step
        for name, value in numbers.items():
            if name == "lr":
                step_stage = step(value)  # pyright: ignore[reportArgumentType]  # `step` refuses what is no rate
                continue
            place, local = named[name]
            stages[place] = stages[place].replace({local: value})
        count = len(self.stages)
        return Chain(tuple(stages[:count]), step_stage, tuple(stages[count:]))

    def __repr__(self) -> str:
        return f"chain({', '.join(map(repr, (*self.stages, *([self.step] if self.step else []), *self.behind)))})"


def step(learning_rate: float | Schedule) -> Step:
    """The stage that moves the parameter, by a constant rate or a schedule. Raises `HyperparameterError` below 0.

    >>> step(0.1)
    step(0.1)
    """
    return Step(cast("float | Schedule", LEARNING_RATE.check(learning_rate, "step")))


def chain(*stages: Stage | Step) -> Chain:
    """Compose stages: each gets the direction that the one before it made, the first the gradient.

    Behind `step` stand those that take the parameter as it is then, such as averages.

    Raises `ChainError` if something is no stage, or does not stand where it must.

    >>> from thalweg.rules import adam
    >>> chain(adam(beta2=0.95), step(1e-3))
    chain(adam(beta2=0.95), step(0.001))
    """
    if not stages:
        message = "an empty chain does nothing; write for example `chain(adam(), step(1e-3))`"
        raise ChainError(message)
    order = [_place_in_order(stage, place) for place, stage in enumerate(stages)]
    for place, (own, following) in enumerate(itertools.pairwise(order)):
        if following < own or following == own == _STEP:
            why = "`step` moves the parameter" if own == _STEP else "takes the parameter after the step"
            raise ChainError(f"chain stage {place + 1}, {stages[place]!r}: {why}, so it must be the last stage")
    rules = [stage for stage in stages if isinstance(stage, Stage)]
    return Chain(
        tuple(stage for stage in rules if not stage.rule.follows_step),
        next((stage for stage in stages if isinstance(stage, Step)), None),
        tuple(stage for stage in rules if stage.rule.follows_step),
    )


_BEFORE, _STEP, _BEHIND = range(3)


def _place_in_order(stage: object, place: int) -> int:
    if isinstance(stage, Step):
        return _STEP
    return _BEHIND if _check_stage(stage, place).rule.follows_step else _BEFORE


def _check_stage(stage: object, place: int) -> Stage:
    if isinstance(stage, Stage):
        return stage
    hint = f"; write `{stage.name}()`" if isinstance(stage, Rule) else ""
    message = f"chain stage {place + 1}: {stage!r} is no stage{hint}"
    raise ChainError(message)
