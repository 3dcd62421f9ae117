"""What a chain does to one kind of parameter: its graph, its plans, and the matrix method between them, if any."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

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

    @cached_property
    def takes_rows(self) -> bool:
        """Whether a gradient may be sparse: rows without one stay as they are, and no row needs another."""
        plain = not self.plan.levels and not self.plan.noise
        alone = self.whole is None and len(self.plan.passes) == 1 and plain
        return alone and leaves_idle_elements_alone(self.trace)

    @property
    def states(self) -> Iterator[tuple[Kept, bool]]:
        """The states of its formulas, each with whether rows must lie in memory one after the other."""
        direction = None if self.whole is None else self.whole.cut.direction.name
        for one in self.plans:
            yield from ((kept, one.is_by_row) for kept in one.states if kept.name != direction)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """All that it computes by formulas."""
        return (self.plan,) if self.whole is None else (self.whole.before, self.plan)


_formulas: dict[Hashable, Formula] = {}


def formula_of(chain: Chain, kind: Kind, *, maximize: bool) -> Formula:
    """What a chain does to a kind of parameter. Raises `ChainError` or `FormulaError` where its stages do not fit."""
    structure = (chain.structure, maximize, kind)
    if structure not in _formulas:
        traced = chain.trace(is_matrix=kind.is_matrix, active=kind.active, maximize=maximize)
        plans = list(map(plan, traced.parts))
        stage, whole = chain.whole_for(kind), None
        if stage is not None and traced.cut is not None:
            whole = MatrixPart(stage.rule, traced.cut, without_move(plans[0]), stage.options)
        adding = plan_meanwhile(traced, beside=plans[0])
        _formulas[structure] = Formula(structure, traced, plans[-1], whole, adding)
    return _formulas[structure]
