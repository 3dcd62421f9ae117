"""How a formula becomes a graph: each stage is called once with symbols, and the stages are joined.

The joined graph says, for one element of one parameter, the new value of the parameter and of every state.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from typing import TYPE_CHECKING, Any, cast

from thalweg.errors import ChainError, FormulaError, HyperparameterError
from thalweg.formula.calls import Waits
from thalweg.formula.cut import Cut
from thalweg.formula.naming import labels_of, states_of, unique_names, watch_names
from thalweg.formula.reductions import reductions_named
from thalweg.formula.rule import Stage
from thalweg.formula.scalar import Level, Scalar, descend, symbol
from thalweg.formula.slots import (
    CurvatureSlot,
    DirectionSlot,
    Displacement,
    GradientSlot,
    IsMatrixSlot,
    LearningRateSlot,
    LossSlot,
    MovedSlot,
    ParameterSlot,
    Position,
    Result,
    Slot,
    State,
    StepSlot,
    Update,
)
from thalweg.formula.traced import Kept, Trace

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from thalweg.formula.cut import AnyStage, WholeStage
    from thalweg.formula.rule import Rule

_REFUSALS: dict[Slot, str] = {
    DirectionSlot(): "takes a direction, but the stage before it has already made the move, learning rate included; "
    "put this stage before that one",
    MovedSlot(): "takes the parameter after the step; put this stage behind `step`",
    LearningRateSlot(): "uses the learning rate; end the chain with `step(learning_rate)`",
}
"""Why a stage cannot have what it asks for."""


def trace(
    stages: Sequence[AnyStage],
    after: Sequence[AnyStage] = (),
    *,
    active: Collection[int] | None = None,
    maximize: bool = False,
    has_step: bool = True,
    is_matrix: bool = True,
    estimated: bool = True,
    with_names: bool = False,
) -> Trace:
    """The graph of a chain of stages; `has_step` says that a learning rate follows them, `after` what stands behind.

    `active` are the places of the stages that are for this parameter, all if it is None; `is_matrix` says whether it
    has two dimensions or more, `estimated` whether the step has a new estimate of the curvature. `with_names` notes
    what the formula calls the values that it computes, in `Trace.steps_of_formula`.

    Raises `ChainError` where two stages do not compose and `FormulaError` where a formula breaks its own signature;
    both name the stage.
    """
    tracing = _Tracing(
        [*stages, *after],
        maximize=maximize,
        has_step=has_step,
        is_matrix=is_matrix,
        estimated=estimated,
        named=with_names,
    )
    flow: Result = tracing.gradient
    places = [place for place in range(len(stages) + len(after)) if active is None or place in active]
    used = [place for place in places if place < len(stages)]
    for place in used:
        flow = tracing.add(place, flow)
    last = stages[used[-1]] if used else None
    moved = _move(tracing.parameter, tracing.learning_rate, flow, last, has_step=has_step)
    for place in places[len(used) :]:
        moved = tracing.add_behind(place, moved)
    cut = tracing.cut
    ends = (moved, *((cut.given,) if cut else ()))
    kept = _used(ends, tracing.kept)
    inputs = {node.name for node in descend(*ends, *(k.after for k in kept)) if node.operation == "input"}
    inputs |= tracing.outside | (set(cut.numbers.values()) if cut else set())
    starts_at = {k.start for k in kept}
    if has_step and "lr" not in inputs:
        message = f"step(): {last!r} gives a displacement of its own and takes no learning rate; leave `step` out"
        raise ChainError(message)
    if tracing.meanwhile:
        _refuse_more_than_gradients(stages, "loss" if "loss" in inputs else "curvature" if tracing.estimates else "")
    return Trace(
        parameter=moved,
        states=tuple(kept),
        hyperparameters={n: origin for n, origin in tracing.hypers.items() if n in inputs or n in starts_at},
        uses_learning_rate="lr" in inputs,
        uses_loss="loss" in inputs,
        curvature=next((slot for slot in tracing.estimates if slot.name in inputs), None),
        steps_of_formula=tuple(tracing.drawn),
        moves=flow,
        evaluation=tracing.evaluation,
        cut=cut,
        meanwhile=tracing.meanwhile,
    )


class _Tracing:
    """The stages traced so far."""

    def __init__(
        self,
        stages: Sequence[AnyStage],
        *,
        maximize: bool,
        has_step: bool,
        is_matrix: bool,
        estimated: bool,
        named: bool,
    ) -> None:
        gradient = symbol("g", Level.ELEMENT)
        self.gradient = -gradient if maximize else gradient
        self.parameter = symbol("p", Level.ELEMENT)
        self.learning_rate = symbol("lr", Level.STEP)
        loss = symbol("loss", Level.MODEL)
        self.loss = -loss if maximize else loss
        self.estimates: list[CurvatureSlot] = []
        self.kept: list[Kept] = []
        self.hypers: dict[str, tuple[int, str]] = {}
        self.drawn: list[tuple[str, Scalar]] = []
        self.evaluation: Scalar | None = None
        self.cut: Cut | None = None
        self.meanwhile: tuple[Kept, ...] = ()
        self.outside: set[str] = set()
        self._stages = stages
        self._labels = labels_of(stages)
        self._names = unique_names(stages, self._labels)
        self._has_step = has_step
        self._is_matrix = is_matrix
        self._maximize = maximize
        self._estimated = estimated
        self._named = named

    def add(self, place: int, flow: Result) -> Result:
        """Trace a stage on what the one before it has made."""
        stage = self._stages[place]
        if not isinstance(stage, Stage):
            return self._cut(place, stage, flow)
        return self._trace(place, stage, self._arguments(place, stage, flow, None))

    def add_behind(self, place: int, moved: Scalar) -> Scalar:
        """Trace a stage that stands behind the step; gives the parameter's new value."""
        stage = self._stages[place]
        if not isinstance(stage, Stage):
            raise ChainError(f"{self._where(place)}: makes a direction; put this stage before the step")
        match self._trace(place, stage, self._arguments(place, stage, None, moved)):
            case Position(value):
                return value
            case _:
                message = f"{self._where(place)}: stands behind the step, and must return the parameter, as Position"
                raise FormulaError(message)

    def _cut(self, place: int, stage: WholeStage, flow: Result) -> Scalar:
        """What stands for the direction that a stage makes in code of its own."""
        where = self._where(place)
        if not isinstance(flow, Scalar):
            raise ChainError(f"{where}: {_REFUSALS[DirectionSlot()]}")
        if self.cut is not None:
            other = f"stage {self.cut.place + 1}, {self._stages[self.cut.place]!r},"
            raise ChainError(
                f"{where}: {other} sees the matrix whole, too, and a parameter can have one such stage; say which "
                "parameters each is for, by `only` and `skip`, or route them to chains of their own"
            )
        self.cut = Cut(
            place=place,
            method=(stage.rule, *stage.options.items()),
            given=flow,
            direction=symbol(f"{self._labels[place]}.direction", Level.ELEMENT),
            before=frozenset(kept.name for kept in self.kept),
            numbers={local: self._names[place, local] for local in stage.numbers},
            states={local: self._names[place, local] for local in states_of(stage)},
        )
        self.hypers |= {name: (place, local) for local, name in self.cut.numbers.items()}
        return self.cut.direction

    def _trace(self, place: int, stage: Stage, arguments: dict[str, Scalar | bool | None]) -> Result:
        where = self._where(place)
        own = {local: name for (at, local), name in self._names.items() if at == place}
        symbols = {local: symbol(own[local], Level.STEP) for local in stage.numbers}
        watch = watch_names(stage.rule, self.drawn) if self._named else contextlib.nullcontext()
        with watch, reductions_named(self._labels[place]):
            update = _call(stage.rule, arguments, symbols | stage.options, where)
        result, after = _read_update(stage.rule, update, where)
        states = [
            Kept(
                own[local], cast("Scalar", arguments[local]), new, own[s.start] if isinstance(s.start, str) else s.start
            )
            for (local, s), new in zip(stage.rule.states.items(), after, strict=True)
        ]
        for kept in states:
            if not kept.before.level.within(kept.after.level):
                has, gets = kept.level.value, kept.after.level.value
                message = f"{where}: state `{kept.name}` has one value a {has}, its new value one a {gets}; reduce it"
                raise FormulaError(message)
        if self._estimated:
            _refuse_idle_settings(stage, own, result, states, where)
        if stage.rule.evaluate is not None:
            given = {**arguments, **symbols, "p": self.parameter}
            self.evaluation = stage.rule.evaluate(
                **{name: given[name] for name in inspect.signature(stage.rule.evaluate).parameters}
            )
        self.outside |= {own[local] for local in stage.rule.outside if local in own}
        if isinstance(stage.rule.calls, Waits):
            asked = inspect.signature(stage.rule.calls.meanwhile).parameters
            added = stage.rule.calls.meanwhile(**{name: arguments[name] for name in asked})
            self.meanwhile = tuple(dataclasses.replace(k, after=new) for k, new in zip(states, added, strict=True))
            self.gradient = cast("Scalar", result)  # what stages behind it see as the gradient
        self.kept += states
        self.hypers |= {own[local]: (place, local) for local in stage.numbers}
        return result

    def _arguments(
        self, place: int, stage: Stage, flow: Result | None, moved: Scalar | None
    ) -> dict[str, Scalar | bool | None]:
        given: dict[Slot, Scalar | bool | None] = {
            DirectionSlot(): flow if isinstance(flow, Scalar) else None,
            GradientSlot(): self.gradient,
            ParameterSlot(): self.parameter,
            MovedSlot(): moved,
            StepSlot(): symbol("t", Level.STEP),
            IsMatrixSlot(): self._is_matrix,
            LearningRateSlot(): self.learning_rate if self._has_step else None,
            LossSlot(): self.loss,
        }
        arguments: dict[str, Scalar | bool | None] = {}
        for local, slot in stage.rule.slots.items():
            if isinstance(slot, CurvatureSlot):
                arguments[local] = self._estimate(place, slot)
                continue
            own = symbol(self._names[place, local], slot.level) if isinstance(slot, State) else given[slot]
            if own is None:
                raise ChainError(f"{self._where(place)}: {_REFUSALS[slot]}")
            arguments[local] = own
        return arguments

    def _estimate(self, place: int, slot: CurvatureSlot) -> Scalar | None:
        """The estimate that a stage asks for, at a step that has one; that of the function which is ascended, negated.

        A formula that descends sees the Hessian of what it descends on.
        """
        if any(other.kind != slot.kind for other in self.estimates):
            message = f"needs the Hessian's {slot.kind}, and another stage its {self.estimates[0].kind}"
            raise ChainError(f"{self._where(place)}: {message}; a step is given one of them")
        self.estimates.append(slot)
        if not self._estimated:
            return None
        estimate = symbol(slot.name, Level.ELEMENT)
        return -estimate if self._maximize else estimate

    def _where(self, place: int) -> str:
        return f"chain stage {place + 1}, {self._stages[place]!r}"


def _call(rule: Rule, slots: dict[str, Scalar | bool | None], settings: dict[str, Any], where: str) -> Update:
    try:
        return rule.formula(*slots.values(), **settings)
    except FormulaError as error:
        message = f"{where}: {error}"
        raise FormulaError(message) from error
    except (TypeError, AttributeError, ValueError) as error:
        message = (
            f"{where}: {error}; a formula may use + - * / ** abs() and comparisons, and the functions of "
            "thalweg.formula (sqrt, exp, log, sign, maximum, minimum, where, equal, total, mean, largest, norm, rms)"
        )
        raise FormulaError(message) from error


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
        if local in stage.numbers and own[local] not in used and local not in stage.rule.outside:
            message = f"{where}: `{local}` has no effect in this form of the rule; leave it out"
            raise HyperparameterError(message)


def _refuse_more_than_gradients(stages: Sequence[AnyStage], given: str) -> None:
    if given:
        message = (
            f"chain({', '.join(map(repr, stages))}, …): gradients are added up over several calls of `step`, and a "
            f"stage goes by the {given} of one; call backward several times before a step instead"
        )
        raise ChainError(message)


def _move(parameter: Scalar, learning_rate: Scalar, flow: Result, last: AnyStage | None, *, has_step: bool) -> Scalar:
    match flow:
        case Displacement(value):
            return parameter + value
        case Position(value):
            return value
        case direction:
            if not has_step:
                name = "an empty chain" if last is None else repr(last)
                message = f"{name} gives a direction and no step follows; end the chain with `step(learning_rate)`"
                raise ChainError(message)
            return parameter - learning_rate * direction


def _used(ends: Sequence[Scalar], kept: list[Kept]) -> list[Kept]:
    """Without the states that this form of the formula neither reads nor changes."""
    changing = [k.after for k in kept if k.after is not k.before]
    read = {id(node) for node in descend(*ends, *changing)}
    return [k for k in kept if k.after is not k.before or id(k.before) in read]
