"""How stages compose: `chain(adam(), decay(0.1), step(1e-3))` is an inert value that prints as it is typed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from thalweg.chain.whole import MatrixMethod, Whole
from thalweg.errors import ChainError, HyperparameterError
from thalweg.formula import (
    Hyperparameter,
    IsMatrixSlot,
    Range,
    Rule,
    Schedule,
    Skips,
    Stage,
    Trace,
    Value,
    Waits,
    trace,
)
from thalweg.formula.naming import labels_of, unique_names
from thalweg.formula.reductions import check_alike

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterable, Mapping, Sequence

LEARNING_RATE = Hyperparameter("learning_rate", 0.0, Range(0))


@dataclass(frozen=True)
class Step:
    """The last stage of a chain: p ← p − αd, or the learning rate that a rule asked for."""

    learning_rate: float | Schedule

    def __repr__(self) -> str:
        return f"step({self.learning_rate!r})"


_traces: dict[Hashable, Trace] = {}
"""Traces that were made before: numbers make no difference to them."""


@dataclass(frozen=True)
class Kind:
    """What decides which formula a parameter has in a chain."""

    is_matrix: bool
    """Whether it has two dimensions or more, where that makes a difference."""
    active: tuple[int, ...]
    """The places of the stages that are for it, the step not counted."""


@dataclass(frozen=True)
class Chain:
    """Stages in the order in which they see the gradient, then those behind the step. Make one with `chain`."""

    stages: tuple[Stage | Whole, ...]
    step: Step | None = None
    behind: tuple[Stage, ...] = ()
    """Those that take the parameter after the step: averages."""

    @property
    def rules(self) -> tuple[Stage | Whole, ...]:
        """All stages but the step."""
        return (*self.stages, *self.behind)

    @property
    def structure(self) -> Hashable:
        """What decides the formula: rules and options, without the numbers. Equal structures share a kernel."""
        rules = tuple((stage.rule, tuple(stage.options.items())) for stage in self.rules)
        return rules, self.step is not None, len(self.stages)

    @property
    def depends_on_shape(self) -> bool:
        """Whether matrices have another formula than vectors."""
        formulas = [stage.rule for stage in self.rules if isinstance(stage, Stage)]
        return any(isinstance(slot, IsMatrixSlot) for rule in formulas for slot in rule.slots.values())

    @property
    def waits(self) -> Stage | None:
        """The stage that adds gradients up over several calls of `step`, if there is one."""
        return next((s for s in self.stages[:2] if isinstance(s, Stage) and isinstance(s.rule.calls, Waits)), None)

    @property
    def skips(self) -> Stage | None:
        """The stage that leaves out calls of `step` whose gradients are not finite, if there is one."""
        return next((s for s in self.stages[:1] if isinstance(s, Stage) and isinstance(s.rule.calls, Skips)), None)

    @property
    def selects(self) -> tuple[str, ...]:
        """The roles and patterns by which stages choose their parameters."""
        return tuple(dict.fromkeys(name for stage in self.rules for name in (*stage.only, *stage.skip)))

    @property
    def wholes(self) -> tuple[int, ...]:
        """The places of the stages that see a parameter whole, as a matrix."""
        return tuple(place for place, stage in enumerate(self.stages) if isinstance(stage, Whole))

    def whole_for(self, kind: Kind) -> Whole | None:
        """The stage that sees such a parameter whole, if one does."""
        found = (self.stages[place] for place in self.wholes if place in kind.active)
        return next((stage for stage in found if isinstance(stage, Whole)), None)

    @property
    def form(self) -> str:
        """The chain without its numbers, as text: two chains of one form can take each other's state."""
        before, behind = ([repr(stage.form) for stage in stages] for stages in (self.stages, self.behind))
        return f"chain({', '.join([*before, *(['step()'] if self.step else []), *behind])})"

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The schedules that drive its numbers, by their names in a parameter group."""
        names = unique_names(self.rules, labels_of(self.rules))
        given = {names[at, own]: value for at, stage in enumerate(self.rules) for own, value in stage.numbers.items()}
        given |= {"lr": self.step.learning_rate} if self.step else {}
        return {name: value for name, value in given.items() if callable(value)}

    def kind_of(self, names: Container[str], *, is_matrix: bool) -> Kind:
        """How the chain sees a parameter that is spoken of by these names, of those that it selects by."""
        active = [
            place
            for place, stage in enumerate(self.rules)
            if (not stage.only or any(name in names for name in stage.only))
            and not any(name in names for name in stage.skip)
        ]
        return Kind(is_matrix and self.depends_on_shape, tuple(active))

    def trace(
        self,
        *,
        is_matrix: bool = True,
        active: tuple[int, ...] | None = None,
        maximize: bool = False,
        estimated: bool = True,
        with_names: bool = False,
    ) -> Trace:
        """One step as a graph, for a matrix that all stages are for or for another `Kind`; `with_names` to draw it.

        `estimated` says whether the step has a new estimate of the curvature.

        Raises `ChainError` or `FormulaError`, naming the stage that does not fit.
        """
        typed = tuple(tuple(name for name, _ in stage.typed) for stage in self.rules)
        key = (self.structure, typed, is_matrix, active, maximize, estimated, with_names)
        if key not in _traces:
            _traces[key] = trace(
                self.stages,
                self.behind,
                active=active,
                maximize=maximize,
                has_step=self.step is not None,
                is_matrix=is_matrix,
                estimated=estimated,
                with_names=with_names,
            )
        return _traces[key]

    def traces(self, kinds: Iterable[Kind] | None = None) -> list[Trace]:
        """The graphs of these kinds of parameters, by default of vectors and matrices that all stages are for.

        Of stages that see a parameter whole, none but one can be for it: by default, each is once.

        Raises `FormulaError` where a sum over the model is one over elements for some of them only.
        """
        chosen = dict.fromkeys(self._kinds() if kinds is None else kinds)
        found = [self.trace(is_matrix=kind.is_matrix, active=kind.active) for kind in chosen]
        if self.depends_on_shape:
            for one, other in itertools.combinations(found, 2):
                check_alike(one.ends, other.ends)
        return found

    def _kinds(self) -> Iterable[Kind]:
        wholes = set(self.wholes)
        for own in self.wholes or (None,):
            active = tuple(place for place in range(len(self.rules)) if place not in wholes or place == own)
            for is_matrix in (False, True) if self.depends_on_shape else (False,):
                yield Kind(is_matrix, active)

    def numbers(self, *traces: Trace) -> dict[str, float | Schedule]:
        """Every number that the traced chain asks for, by its name there; the learning rate is `lr`."""
        numbers = {name: self.rules[place].numbers[local] for name, (place, local) in _origins(traces).items()}
        return ({"lr": self.step.learning_rate} if self.step else {}) | numbers

    def hyperparameters(self, *traces: Trace) -> dict[str, Hyperparameter]:
        """What the traced chain's numbers may be, by their names there."""
        own = {name: self.rules[place].rule.hyperparameters[local] for name, (place, local) in _origins(traces).items()}
        return {"lr": LEARNING_RATE, **own}

    def replace(self, numbers: Mapping[str, Value], *traces: Trace) -> Chain:
        """The same chain with other numbers, by their names in the traces. Raises `HyperparameterError`."""
        origins = _origins(traces)
        stages = list(self.rules)
        step_stage = self.step
        for name, value in numbers.items():
            if name == "lr":
                step_stage = _step(value)
                continue
            place, local = origins[name]
            stages[place] = stages[place].replace({local: value})
        count = len(self.stages)
        return Chain(tuple(stages[:count]), step_stage, tuple(s for s in stages[count:] if isinstance(s, Stage)))

    def __repr__(self) -> str:
        return f"chain({', '.join(map(repr, (*self.stages, *([self.step] if self.step else []), *self.behind)))})"


def _origins(traces: Iterable[Trace]) -> dict[str, tuple[int, str]]:
    """The place of the stage that each number belongs to, and its name there."""
    return {name: origin for traced in traces for name, origin in traced.hyperparameters.items()}


def step(learning_rate: float | Schedule) -> Step:
    """The stage that moves the parameter, by a constant rate or a schedule.

    Raises `HyperparameterError` below 0, and for a tensor: a chain could only keep the value that it has now.

    >>> step(0.1)
    step(0.1)
    """
    made = _step(learning_rate)
    if hasattr(learning_rate, "requires_grad"):
        message = (
            "step: `learning_rate` is a tensor, of which a chain would keep today's value only; give it to the "
            'parameters\' group, `{"params": …, "lr": tensor}`, where it is read at every step'
        )
        raise HyperparameterError(message)
    return made


def _step(learning_rate: Value) -> Step:
    return Step(cast("float | Schedule", LEARNING_RATE.check(learning_rate, "step")))


def chain(*stages: Stage | Whole | Step) -> Chain:
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
    checked = [_check_stage(stage, place) for place, stage in enumerate(stages)]
    for place, stage in enumerate(checked):
        _check_leader(stage, checked[:place], f"chain stage {place + 1}, {stage!r}")
    order = list(map(_place_in_order, checked))
    for place, (own, following) in enumerate(itertools.pairwise(order)):
        if following < own or following == own == _STEP:
            why = "`step` moves the parameter" if own == _STEP else "takes the parameter after the step"
            raise ChainError(f"chain stage {place + 1}, {stages[place]!r}: {why}, so it must be the last stage")
    return Chain(
        tuple(s for s, own in zip(checked, order, strict=True) if own == _BEFORE and not isinstance(s, Step)),
        next((stage for stage in checked if isinstance(stage, Step)), None),
        tuple(s for s, own in zip(checked, order, strict=True) if own == _BEHIND and isinstance(s, Stage)),
    )


_BEFORE, _STEP, _BEHIND = range(3)


def _place_in_order(stage: Stage | Whole | Step) -> int:
    if isinstance(stage, Step):
        return _STEP
    return _BEHIND if isinstance(stage, Stage) and stage.rule.follows_step else _BEFORE


def _check_leader(stage: Stage | Whole | Step, before: Sequence[Stage | Whole | Step], where: str) -> None:
    """Refuse a stage that decides about whole calls of `step` where it cannot: it must stand first."""
    if not isinstance(stage, Stage) or stage.rule.calls is None:
        return
    waits = isinstance(stage.rule.calls, Waits)
    allowed = Skips if waits else ()
    wrong = next((s for s in before if not (isinstance(s, Stage) and isinstance(s.rule.calls, allowed))), None)
    if wrong is not None:
        takes = "adds up gradients as they come in, at every call" if waits else "looks at gradients as they come in"
        raise ChainError(f"{where}: {takes}, and behind {wrong!r} there are none; put it first, and once")
    if stage.only or stage.skip:
        raise ChainError(
            f"{where}: decides about a whole call of `step`, for all parameters of the chain; leave `only` and `skip` "
            "out, or route the others to a chain of their own"
        )


def _check_stage(stage: object, place: int) -> Stage | Whole | Step:
    if isinstance(stage, Stage | Whole | Step):
        return stage
    if not isinstance(stage, Rule | MatrixMethod):
        from thalweg.matrix import MatrixRule, MatrixStage  # noqa: PLC0415  # they need torch

        if isinstance(stage, MatrixStage):
            return Whole(stage)
        if not isinstance(stage, MatrixRule):
            raise ChainError(f"chain stage {place + 1}: {stage!r} is no stage")
    raise ChainError(f"chain stage {place + 1}: {stage!r} is no stage; write `{stage.name}()`")
