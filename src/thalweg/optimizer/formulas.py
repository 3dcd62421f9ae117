"""What a chain does to one kind of parameter: its graph, its plans, and the matrix method between them, if any."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from thalweg.errors import FormulaError
from thalweg.formula.idle import leaves_idle_elements_alone
from thalweg.kernels import Plan, plan, plan_meanwhile, without_move
from thalweg.matrix import as_matrix

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from torch import Tensor

    from thalweg.chain import Chain, Kind
    from thalweg.formula import Cut, Kept, Trace, Value
    from thalweg.matrix import MatrixRule


@dataclass(frozen=True)
class MatrixPart:
    """A matrix method within a chain, without its numbers."""

    rule: MatrixRule
    cut: Cut
    before: Plan
    """What makes the direction that the method is given, in an array of the name of the one that it makes."""
    options: Mapping[str, Value] = field(default_factory=dict[str, "Value"])

    def begin(self, stack: Tensor, numbers: Mapping[str, float]) -> dict[str, Tensor]:
        """The states of a stack of parameters (b, …) before their first step, (b, …), by their names in the chain."""
        matrices = (len(stack), *as_matrix(stack.shape[1:]))
        begun = self.rule.begin(stack.new_empty(()).expand(matrices), self.settings(numbers))
        return {self.cut.states[own]: state for own, state in begun.items()}

    def settings(self, numbers: Mapping[str, float]) -> dict[str, Value]:
        """What the method is told, by its own names, of the numbers of a chain."""
        return {**self.options, **{own: numbers[name] for own, name in self.cut.numbers.items()}}


@dataclass(frozen=True)
class Formula:
    """What a chain does to a parameter."""

    structure: Hashable
    """Equal for chains that differ in numbers alone."""
    trace: Trace
    plan: Plan
    """What moves the parameter."""
    whole: MatrixPart | None = None
    """What sees the parameter as a matrix before that."""
    adding: Plan | None = None
    """What a call does that moves nothing, where the chain waits for several."""
    between: Formula | None = None
    """What the chain does at a step without a new estimate of the curvature, if it asks for such estimates at all."""

    @cached_property
    def takes_rows(self) -> bool:
        """Whether a gradient may be sparse: rows without one stay as they are, and no row needs another."""
        plain = not self.plan.levels and not self.plan.noise and self.trace.curvature is None
        alone = self.whole is None and len(self.plan.passes) == 1 and plain
        return alone and leaves_idle_elements_alone(self.trace)

    @property
    def states(self) -> Iterator[tuple[Kept, bool]]:
        """The states of its formulas, each with whether rows must lie in memory one after the other."""
        direction = None if self.whole is None else self.whole.cut.direction.name
        for one in self.plans:
            yield from ((kept, one.is_by_row) for kept in one.states if kept.name != direction)

    @property
    def estimate(self) -> tuple[str, bool] | None:
        """The name of the array of an estimate that it asks for, and whether its rows must lie one after the other."""
        slot = self.trace.curvature
        by_row = [one.is_by_row for one in self.plans if slot is not None and slot.name in one.slots]
        return None if slot is None else (slot.name, any(by_row))

    @property
    def plans(self) -> tuple[Plan, ...]:
        """All that it computes by formulas."""
        return (self.plan,) if self.whole is None else (self.whole.before, self.plan)


_formulas: dict[Hashable, Formula] = {}


def formula_of(chain: Chain, kind: Kind, *, maximize: bool) -> Formula:
    """What a chain does to a kind of parameter. Raises `ChainError` or `FormulaError` where its stages do not fit."""
    structure = (chain.structure, maximize, kind)
    if structure not in _formulas:
        made = _formula(chain, kind, structure, maximize=maximize, estimated=True)
        if made.trace.curvature is not None:
            between = _formula(chain, kind, (structure, "between"), maximize=maximize, estimated=False)
            _refuse_differences(made, between, chain)
            made = dataclasses.replace(made, between=between)
        _formulas[structure] = made
    return _formulas[structure]


def _formula(chain: Chain, kind: Kind, structure: Hashable, *, maximize: bool, estimated: bool) -> Formula:
    traced = chain.trace(is_matrix=kind.is_matrix, active=kind.active, maximize=maximize, estimated=estimated)
    plans = list(map(plan, traced.parts))
    stage, whole = chain.whole_for(kind), None
    if stage is not None and traced.cut is not None:
        whole = MatrixPart(stage.rule, traced.cut, without_move(plans[0]), stage.options)
    return Formula(structure, traced, plans[-1], whole, plan_meanwhile(traced, beside=plans[0]))


def _refuse_differences(made: Formula, between: Formula, chain: Chain) -> None:
    """Refuse a chain whose steps with and without an estimate could not share their states."""
    by_row = [one.is_by_row for one in made.plans]
    same_rows = by_row == [one.is_by_row for one in between.plans]
    same_states = {kept.name for kept in made.trace.states} >= {kept.name for kept in between.trace.states}
    same_numbers = made.trace.hyperparameters.keys() >= between.trace.hyperparameters.keys()
    if not (same_rows and same_states and same_numbers):
        message = (
            f"{chain!r} gathers over rows, keeps states or asks for numbers in one of its two formulas alone, with a "
            "new estimate of the curvature or without; use the same in both"
        )
        raise FormulaError(message)
