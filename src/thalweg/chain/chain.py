"""How stages compose: `chain(adam(), decay(0.1), step(1e-3))` is an inert value that prints as it is typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from thalweg.errors import ChainError
from thalweg.formula import Hyperparameter, Range, Rule, Schedule, Stage, Trace, Value, trace

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
    """Stages in the order in which they see the gradient. Make one with `chain`."""

    stages: tuple[Stage, ...]
    step: Step | None = None

    @property
    def structure(self) -> Hashable:
        """What decides the formula: rules and options, without the numbers. Equal structures share a kernel."""
        return (
            tuple((stage.rule, tuple(stage.options.items())) for stage in self.stages),
            self.step is not None,
        )

    @property
    def form(self) -> str:
        """The chain without its numbers, as text: two chains of one form can take each other's state."""
        options = [Stage(s.rule, tuple((n, v) for n, v in s.typed if n in s.options)) for s in self.stages]
        return f"chain({', '.join([*map(repr, options), *(['step()'] if self.step else [])])})"

    def trace(self, *, maximize: bool = False, with_names: bool = False) -> Trace:
        """One step as a graph, `with_names` for drawing it.

        Raises `ChainError` or `FormulaError`, naming the stage that does not fit.
        """
        return trace(self.stages, maximize=maximize, has_step=self.step is not None, with_names=with_names)

    def numbers(self, traced: Trace) -> dict[str, float | Schedule]:
        """Every number that the traced chain asks for, by its name there; the learning rate is `lr`."""
        numbers = {name: self.stages[place].numbers[local] for name, (place, local) in traced.hyperparameters.items()}
        return ({"lr": self.step.learning_rate} if self.step else {}) | numbers

    def replace(self, traced: Trace, numbers: Mapping[str, Value]) -> Chain:
        """The same chain with other numbers, by their names in the trace. Raises `HyperparameterError`."""
        stages = list(self.stages)
        step_stage = self.step
        for name, value in numbers.items():
            if name == "lr":
                step_stage = step(value)  # pyright: ignore[reportArgumentType]  # `step` refuses what is no rate
                continue
            place, local = traced.hyperparameters[name]
            stages[place] = stages[place].replace({local: value})
        return Chain(tuple(stages), step_stage)

    def __repr__(self) -> str:
        return f"chain({', '.join(map(repr, (*self.stages, *([self.step] if self.step else []))))})"


def step(learning_rate: float | Schedule) -> Step:
    """The stage that moves the parameter, by a constant rate or a schedule. Raises `HyperparameterError` below 0.

    >>> step(0.1)
    step(0.1)
    """
    return Step(cast("float | Schedule", LEARNING_RATE.check(learning_rate, "step")))


def chain(*stages: Stage | Step) -> Chain:
    """Compose stages: each gets the direction that the one before it made, the first the gradient.

    Raises `ChainError` if something is no stage, or if `step` is not the last.

    >>> from thalweg.rules import adam
    >>> chain(adam(beta2=0.95), step(1e-3))
    chain(adam(beta2=0.95), step(0.001))
    """
    if not stages:
        message = "an empty chain does nothing; write for example `chain(adam(), step(1e-3))`"
        raise ChainError(message)
    last = None
    rules: list[Stage] = []
    for place, stage in enumerate(stages):
        if isinstance(stage, Step):
            if place != len(stages) - 1:
                message = (
                    f"chain stage {place + 1}, {stage!r}: `step` moves the parameter, so it must be the last stage"
                )
                raise ChainError(message)
            last = stage
        else:
            rules.append(_check_stage(stage, place))
    return Chain(tuple(rules), last)


def _check_stage(stage: object, place: int) -> Stage:
    if isinstance(stage, Stage):
        return stage
    hint = f"; write `{stage.name}()`" if isinstance(stage, Rule) else ""
    message = f"chain stage {place + 1}: {stage!r} is no stage{hint}"
    raise ChainError(message)
