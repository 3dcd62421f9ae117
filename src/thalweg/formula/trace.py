"""How a formula becomes a graph: each stage is called once with symbols, and the stages are joined.

The joined graph says, for one element of one parameter, the new value of the parameter and of every state.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thalweg.errors import ChainError, FormulaError, HyperparameterError
from thalweg.formula.scalar import Level, Scalar, descend, symbol
from thalweg.formula.slots import (
    DirectionSlot,
    Displacement,
    LearningRateSlot,
    ParameterSlot,
    Position,
    Result,
    Slot,
    Start,
    StepSlot,
    Update,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from types import FrameType

    from thalweg.formula.rule import Rule, Stage

RESERVED = ("g", "p", "t", "lr", "params", "param_names", "chain", "maximize", "steps")
"""Names that are taken: the gradient, the parameter, the step count, the learning rate, and a group's own entries."""


@dataclass(frozen=True)
class Kept:
    """A state of a traced chain: its name, its value before and after the step, and what it starts at."""

    name: str
    before: Scalar
    after: Scalar
    start: Start
    """A hyper-parameter is named as in `Trace.hyperparameters`."""


@dataclass(frozen=True)
class Trace:
    """One step of a chain as a graph over one element."""

    parameter: Scalar
    """The parameter's new value."""
    states: tuple[Kept, ...]
    hyperparameters: dict[str, tuple[int, str]]
    """Each number that the graph asks for, by the name it has there: the stage's place and its own name."""
    uses_learning_rate: bool
    steps_of_formula: tuple[tuple[str, Scalar], ...]
    """The formula's own named values in the order it computes them, for drawing it."""
    moves: Result
    """What the last stage hands to the step: a direction, a displacement or a position."""


def trace(stages: Sequence[Stage], *, maximize: bool = False, has_step: bool = True, with_names: bool = False) -> Trace:
    """The graph of a chain of stages; `has_step` says that a learning rate follows them.

    `with_names` notes what the formula calls the values that it computes, in `Trace.steps_of_formula`.

    Raises `ChainError` where two stages do not compose and `FormulaError` where a formula breaks its own signature;
    both name the stage.
    """
    names = _unique_names(stages)
    gradient = symbol("g", Level.ELEMENT)
    flow: Result = -gradient if maximize else gradient
    parameter = symbol("p", Level.ELEMENT)
    learning_rate = symbol("lr", Level.STEP)
    kept: list[Kept] = []
    hypers: dict[str, tuple[int, str]] = {}
    drawn: list[tuple[str, Scalar]] = []
    for place, stage in enumerate(stages):
        where = f"chain stage {place + 1}, {stage!r}"
        own = {local: name for (at, local), name in names.items() if at == place}
        arguments: dict[str, Scalar] = {}
        for local, slot in stage.rule.slots.items():
            arguments[local] = _argument(slot, own.get(local, local), flow, parameter, learning_rate, where)
            if isinstance(slot, LearningRateSlot) and not has_step:
                message = f"{where}: uses the learning rate; end the chain with `step(learning_rate)`"
                raise ChainError(message)
        symbols = {local: symbol(own[local], Level.STEP) for local in stage.numbers}
        watch = _watch_names(stage.rule, drawn) if with_names else contextlib.nullcontext()
        with watch:
            update = _call(stage.rule, arguments, symbols | stage.options, where)
        flow, after = _read_update(stage.rule, update, where)
        starts = [own[s.start] if isinstance(s.start, str) else s.start for s in stage.rule.states.values()]
        stage_states = [
            Kept(own[local], arguments[local], new, start)
            for local, new, start in zip(stage.rule.states, after, starts, strict=True)
        ]
        _refuse_idle_settings(stage, own, flow, stage_states, where)
        kept += stage_states
        hypers |= {own[local]: (place, local) for local in stage.numbers}
    new_parameter = _move(parameter, learning_rate, flow, stages, has_step=has_step)
    kept = _used(new_parameter, kept)
    inputs = {node.name for node in descend(new_parameter, *(k.after for k in kept)) if node.operation == "input"}
    starts_at = {k.start for k in kept}
    if has_step and "lr" not in inputs:
        message = f"step(): {stages[-1]!r} gives a displacement of its own and takes no learning rate; leave `step` out"
        raise ChainError(message)
    return Trace(
        parameter=new_parameter,
        states=tuple(kept),
        hyperparameters={name: origin for name, origin in hypers.items() if name in inputs or name in starts_at},
        uses_learning_rate="lr" in inputs,
        steps_of_formula=tuple(drawn),
        moves=flow,
    )


def _unique_names(stages: Sequence[Stage]) -> dict[tuple[int, str], str]:
    """A name for every state and hyper-parameter: its own, or with the rule's before it where two would be alike."""
    local_names = [
        (place, local) for place, stage in enumerate(stages) for local in (*stage.rule.states, *stage.values)
    ]
    count = Counter(local for _, local in local_names)
    labels: list[str] = []
    for stage in stages:
        again = sum(label.split("_#")[0] == stage.rule.name for label in labels)
        labels.append(f"{stage.rule.name}_#{again + 1}" if again else stage.rule.name)
    return {
        (place, local): local if count[local] == 1 and local not in RESERVED else f"{labels[place]}.{local}"
        for place, local in local_names
    }


def _argument(slot: Slot, name: str, flow: Result, parameter: Scalar, learning_rate: Scalar, where: str) -> Scalar:
    match slot:
        case DirectionSlot():
            if isinstance(flow, Scalar):
                return flow
            message = (
                f"{where}: takes a direction, but the stage before it has already made the move, learning rate "
                "included; put this stage before that one"
            )
            raise ChainError(message)
        case ParameterSlot():
            return parameter
        case StepSlot():
            return symbol("t", Level.STEP)
        case LearningRateSlot():
            return learning_rate
        case _:
            return symbol(name, Level.ELEMENT)


def _call(rule: Rule, slots: dict[str, Scalar], settings: dict[str, Any], where: str) -> Update:
    try:
        return rule.formula(*slots.values(), **settings)
    except FormulaError as error:
        message = f"{where}: {error}"
        raise FormulaError(message) from error
    except (TypeError, AttributeError, ValueError) as error:
        message = (
            f"{where}: {error}; a formula may use + - * / ** abs() and comparisons, and the functions of "
            "thalweg.formula (sqrt, exp, log, sign, maximum, minimum, where, equal)"
        )
        raise FormulaError(message) from error


@contextlib.contextmanager
def _watch_names(rule: Rule, names: list[tuple[str, Scalar]]) -> Generator[None]:
    """See what names a formula gives to what it computes, by a look at its variables when it returns."""
    code = getattr(rule.formula, "__code__", None)

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code is code:
            found = {name: value for name, value in frame.f_locals.items() if isinstance(value, Scalar)}
            names.extend((name, value) for name, value in found.items() if value.operation not in ("constant", "input"))

    before = sys.getprofile()
    if before is not None and not callable(before):
        yield  # a profiler that could not be put back: do without the names
        return
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


def _read_update(rule: Rule, update: Update, where: str) -> tuple[Result, list[Scalar]]:
    result, *after = update if isinstance(update, tuple) else (update,)
    if len(after) != len(rule.states):
        expected = ", ".join(("the result", *rule.states))
        message = f"{where}: must return {len(rule.states) + 1} values ({expected}) and returned {len(after) + 1}"
        raise FormulaError(message)
    states = [value for value in after if isinstance(value, Scalar)]
    if len(states) != len(after) or not isinstance(result, Scalar | Displacement | Position):  # pyright: ignore[reportUnnecessaryIsInstance]
        message = (
            f"{where}: must return scalars, the result first (bare, or as Displacement or Position); got {update!r}"
        )
        raise FormulaError(message)
    return result, states


def _refuse_idle_settings(stage: Stage, own: dict[str, str], flow: Result, states: list[Kept], where: str) -> None:
    value = flow if isinstance(flow, Scalar) else flow.value
    used = {node.name for node in descend(value, *(k.after for k in states)) if node.operation == "input"}
    used |= {k.start for k in states if isinstance(k.start, str)}
    for local, _ in stage.typed:
        if local in stage.numbers and own[local] not in used:
            message = f"{where}: `{local}` has no effect in this form of the rule; leave it out"
            raise HyperparameterError(message)


def _move(parameter: Scalar, learning_rate: Scalar, flow: Result, stages: Sequence[Stage], *, has_step: bool) -> Scalar:
    match flow:
        case Displacement(value):
            return parameter + value
        case Position(value):
            return value
        case direction:
            if not has_step:
                last = repr(stages[-1]) if stages else "an empty chain"
                message = f"{last} gives a direction and no step follows; end the chain with `step(learning_rate)`"
                raise ChainError(message)
            return parameter - learning_rate * direction


def _used(parameter: Scalar, kept: list[Kept]) -> list[Kept]:
    """Without the states that this form of the formula neither reads nor changes."""
    changing = [k.after for k in kept if k.after is not k.before]
    read = {id(node) for node in descend(parameter, *changing)}
    return [k for k in kept if k.after is not k.before or id(k.before) in read]
