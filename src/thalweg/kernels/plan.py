"""What a step has to do: which arrays to read and write in which pass, and what to compute once and in between.

A formula that reduces (a norm, a mean) needs its elements more than once: a pass gathers, the next one uses what was
gathered. Between the passes, the coarse values are computed: those that a tensor, a row or the whole model has one of.
Nothing is written before the last pass, so that every pass sees the state as it was.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from thalweg.errors import FormulaError
from thalweg.formula.scalar import REDUCTIONS, Level, Scalar, apply, descend, symbol
from thalweg.kernels.host import compile_constants
from thalweg.kernels.lower import Lowering

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thalweg.formula import Kept, Trace

SIZES = {f"#{level.value}": level for level in Level}
"""Inputs of coarse values: how many elements a tensor, a matrix, a row, a column has."""
MODEL_SIZE = "#model "
"""So, and then by the name of what is gathered, are called the elements of the parameters that it is gathered from."""


@dataclass(frozen=True)
class Reduction:
    """Something that a pass gathers."""

    name: str
    """What it is called in coarse values: `r0`, `r1`, …"""
    value: Scalar
    """`total` or `largest` of a graph over elements."""
    shared: str
    """Its name among all chains of an optimizer: model-wide ones of one name are gathered together."""

    @property
    def operand(self) -> Scalar:
        """The graph over elements that is gathered."""
        return self.value.operands[0]

    @property
    def level(self) -> Level:
        """What it has one value for."""
        return self.value.level


@dataclass(frozen=True)
class Coarse:
    """A value that is computed between passes: from constants, reductions, sizes and coarse states."""

    name: str
    """What it is called in the passes that use it: `c0`, `c1`, …; or the state that it is the new value of."""
    value: Scalar
    after: int
    """How many passes must have run."""


@dataclass(frozen=True)
class Noise:
    """A random number for each element."""

    name: str
    """What it is called in the passes: `u0`, `u1`, …"""
    words: tuple[Scalar, ...]
    """The constants that it is drawn by: the lower and the higher word of the seed, those of the step."""


@dataclass(frozen=True)
class Pass:
    """One look at every array of a parameter: load, compute, gather, store."""

    stores: tuple[tuple[str, Scalar], ...] = ()
    """What is written to which array. An element's inputs are arrays or noise, others are constants or coarse."""
    reductions: tuple[Reduction, ...] = ()

    @property
    def values(self) -> list[Scalar]:
        """What is computed for every element: what is stored, then what is gathered."""
        return [*(value for _, value in self.stores), *(reduction.operand for reduction in self.reductions)]

    @cached_property
    def inputs(self) -> dict[str, Level]:
        """The arrays, constants and coarse values that it reads, with their levels."""
        return {node.name: node.level for node in descend(*self.values) if node.operation == "input"}


@dataclass(frozen=True)
class Plan:
    """The passes of a step, and what is computed before and between them."""

    slots: tuple[str, ...]
    """The arrays: `p` and `g` first, then an estimate of the curvature if it asks for one, then fine states."""
    passes: tuple[Pass, ...]
    constants: tuple[Scalar, ...]
    """What `k0`, `k1`, … are, computed once a step in float64."""
    inputs: tuple[str, ...]
    """The names that the constants are computed from, in order: of `t`, `lr` and the hyper-parameters."""
    states: tuple[Kept, ...]
    coarse: tuple[Coarse, ...] = ()
    """What the passes ask for, in order, and may be computed after so many of them."""
    updates: tuple[Coarse, ...] = ()
    """The new values of coarse states, after the last pass."""
    noise: tuple[Noise, ...] = ()
    """What the passes draw, in order."""
    beside_rows: bool = False
    """Whether it shares its arrays with a plan that goes by rows."""

    @cached_property
    def compute_constants(self) -> Callable[..., tuple[float, ...]]:
        """The constants' values as a function of the inputs' values, in their order."""
        return compile_constants(self.constants, self.inputs)

    @cached_property
    def depends_on_step(self) -> bool:
        """Whether a constant changes with the step count."""
        return "t" in self.inputs

    @cached_property
    def stores(self) -> tuple[tuple[str, Scalar], ...]:
        """What the last pass writes to which array."""
        return self.passes[-1].stores

    @cached_property
    def coarse_states(self) -> tuple[Kept, ...]:
        """The states that have a value for something coarser than an element."""
        return tuple(kept for kept in self.states if kept.level is not Level.ELEMENT)

    @cached_property
    def levels(self) -> frozenset[Level]:
        """The levels of coarse values, states and reductions."""
        reductions = (reduction.level for one in self.passes for reduction in one.reductions)
        nodes = (n.level for c in (*self.coarse, *self.updates) for n in descend(c.value) if n.operation != "constant")
        return frozenset({*reductions, *nodes, *(kept.level for kept in self.coarse_states)} - {Level.STEP})

    @cached_property
    def of_model(self) -> frozenset[str]:
        """What it gathers over the model, or counts the elements of, by the names among all chains."""
        gathered = {r.shared for one in self.passes for r in one.reductions if r.level is Level.MODEL}
        inputs = (n.name for c in (*self.coarse, *self.updates) for n in descend(c.value) if n.operation == "input")
        return frozenset(gathered | {n.removeprefix(MODEL_SIZE) for n in inputs if n.startswith(MODEL_SIZE)})

    @cached_property
    def is_by_row(self) -> bool:
        """Whether matrices, rows or columns have values of their own."""
        return self.beside_rows or not self.levels.isdisjoint({Level.MATRIX, Level.ROW, Level.COLUMN})

    @property
    def sums_columns(self) -> bool:
        """Whether a pass gathers something for each column."""
        return any(reduction.level is Level.COLUMN for one in self.passes for reduction in one.reductions)

    @property
    def loads(self) -> tuple[str, ...]:
        """The arrays that the last pass reads."""
        return self.loads_of(self.passes[-1])

    def loads_of(self, one: Pass) -> tuple[str, ...]:
        """The arrays that a pass reads."""
        return tuple(slot for slot in self.slots if slot in one.inputs)

    def bytes_per_parameter(self, itemsize: int = 4) -> int:
        """The bytes that one step must read and write for each element of a parameter, all passes together."""
        return itemsize * sum(len(self.loads_of(one)) + len(one.stores) for one in self.passes)

    def moved(self, sizes: Mapping[str, float]) -> float:
        """The same where arrays have dtypes of their own: the bytes of an element of each, 4 where nothing is said."""
        arrays = (slot for one in self.passes for slot in (*self.loads_of(one), *(slot for slot, _ in one.stores)))
        return sum(sizes.get(slot, 4) for slot in arrays)


def plan(traced: Trace) -> Plan:
    """The plan of a traced chain. Raises `FormulaError` for a reduction that no pass can gather."""
    lowering = Lowering()
    lowered = [(kept, lowering.lower(kept.after)) for kept in traced.states if kept.after is not kept.before]
    fine = [("p", lowering.lower(traced.parameter))]
    fine += [(kept.name, value) for kept, value in lowered if kept.level is Level.ELEMENT]
    coarse = [(kept.name, value) for kept, value in lowered if kept.level is not Level.ELEMENT]
    planner = _Planner()
    stores = tuple((slot, planner.in_kernel(value)) for slot, value in fine)
    asked = frozenset(planner.reductions)
    afters = [(name, planner.between(value)) for name, value in coarse]
    last = max([planner.depth(value) for _, value in fine] + [planner.depth(value) - 1 for _, value in coarse])
    gathered: list[list[Reduction]] = [[] for _ in range(last + 1)]
    for reduction, depth in planner.reductions.values():
        gathered[depth if reduction.name in asked else last].append(reduction)
    names = {node.name for node in descend(*planner.constants) if node.operation == "input"}
    known = ("t", "lr", *traced.hyperparameters)
    arrays = {node.name for node in descend(*(v for _, v in lowered), fine[0][1]) if node.operation == "input"}
    estimates = [traced.curvature.name] if traced.curvature is not None and traced.curvature.name in arrays else []
    return Plan(
        slots=("p", "g", *estimates, *(kept.name for kept in traced.states if kept.level is Level.ELEMENT)),
        passes=tuple(Pass(stores if at == last else (), tuple(some)) for at, some in enumerate(gathered)),
        constants=tuple(planner.constants),
        inputs=tuple(name for name in known if name in names),
        states=traced.states,
        coarse=tuple(planner.coarse),
        updates=tuple(Coarse(name, value, last + 1) for name, value in afters),
        noise=tuple(planner.noise),
    )


def plan_evaluation(traced: Trace) -> Plan | None:
    """The plan that puts the parameter where evaluation is to see it; None if it is there."""
    if traced.evaluation is None:
        return None
    return plan(dataclasses.replace(traced, parameter=traced.evaluation, states=_untouched(traced)))


def plan_meanwhile(traced: Trace, *, beside: Plan) -> Plan | None:
    """The plan of a call that does not move the parameter, in a chain that waits for several; None for any other.

    `beside` is the plan that shares its states.
    """
    if not traced.meanwhile:
        return None
    parameter = symbol("p", Level.ELEMENT)
    still = plan(dataclasses.replace(traced, parameter=parameter, states=traced.meanwhile))
    return dataclasses.replace(without_move(still), beside_rows=beside.is_by_row)


def without_move(planned: Plan) -> Plan:
    """A plan that does not write the parameter."""
    *early, last = planned.passes
    kept = dataclasses.replace(last, stores=tuple((slot, value) for slot, value in last.stores if slot != "p"))
    return dataclasses.replace(planned, passes=(*early, kept))


def _untouched(traced: Trace) -> tuple[Kept, ...]:
    return tuple(dataclasses.replace(kept, after=kept.before) for kept in traced.states)


class _Planner:
    """Sorts a lowered graph into what kernels compute, what is computed between passes, and constants."""

    def __init__(self) -> None:
        self.constants: list[Scalar] = []
        self.coarse: list[Coarse] = []
        self.noise: list[Noise] = []
        self.reductions: dict[str, tuple[Reduction, int]] = {}
        """By name, with the pass in which it can be gathered first."""
        self._depths: dict[int, int] = {}
        self._in_kernel: dict[int, Scalar] = {}
        self._between: dict[int, Scalar] = {}
        self._named: dict[int, Scalar] = {}

    def depth(self, root: Scalar) -> int:
        """How many passes must have run before a value is known."""
        for node in descend(root):
            below = max((self._depths[id(operand)] for operand in node.operands), default=0)
            self._depths[id(node)] = below + (_gathers_elements(node))
        return self._depths[id(root)]

    def in_kernel(self, root: Scalar) -> Scalar:
        """A graph over elements, with everything that is not one value an element replaced by a name."""
        return self._rewrite(root, self._in_kernel, self._leaf_in_kernel)

    def between(self, root: Scalar) -> Scalar:
        """A graph over coarse values, with constants and reductions of elements replaced by names."""
        return self._rewrite(root, self._between, self._leaf_between)

    def _rewrite(self, root: Scalar, done: dict[int, Scalar], leaf: Callable[[Scalar], Scalar | None]) -> Scalar:
        if id(root) not in done:
            new = leaf(root)
            if new is None:
                operands = tuple(self._rewrite(operand, done, leaf) for operand in root.operands)
                new = Scalar(root.operation, operands, root.level, name=root.name)
            done[id(root)] = new
        return done[id(root)]

    def _leaf_in_kernel(self, node: Scalar) -> Scalar | None:
        if node.operation == "constant" or (node.operation == "input" and node.level is Level.ELEMENT):
            return node
        if node.level is Level.STEP:
            return self._constant(node)
        if node.operation == "uniform":
            return self._drawn(node)
        if node.level is Level.ELEMENT:
            return None
        if id(node) not in self._named:
            value = self.between(node)  # which may ask for coarse values of its own
            if value.level is Level.STEP:
                return value  # the mean of a number is that number
            name = f"c{len(self.coarse)}"
            self._named[id(node)] = symbol(name, node.level)
            self.coarse.append(Coarse(name, value, self.depth(node)))
        return self._named[id(node)]

    def _leaf_between(self, node: Scalar) -> Scalar | None:
        if node.operation in ("constant", "input") and node.level is not Level.STEP:
            return node
        if node.level is Level.STEP:
            return node if node.operation == "constant" else self._constant(node)
        return self._reduction(node) if node.operation in REDUCTIONS else None

    def _drawn(self, node: Scalar) -> Scalar:
        if id(node) not in self._named:
            words = tuple(map(self.in_kernel, node.operands))
            self.noise.append(Noise(f"u{len(self.noise)}", words))
            self._named[id(node)] = symbol(self.noise[-1].name, Level.ELEMENT)
        return self._named[id(node)]

    def _constant(self, node: Scalar) -> Scalar:
        if id(node) not in self._named:
            self._named[id(node)] = symbol(f"k{len(self.constants)}", Level.STEP)
            self.constants.append(node)
        return self._named[id(node)]

    def _reduction(self, node: Scalar) -> Scalar | None:
        """The name of what is gathered from elements; None for a reduction of values that are coarse themselves."""
        (operand,) = node.operands
        of_model = node.level is Level.MODEL
        size = symbol(f"{MODEL_SIZE}{node.name}" if of_model else f"#{node.level.value}", node.level)
        if operand.level is Level.STEP:
            value = self.between(operand)
            return apply("multiply", value, size) if node.operation == "total" else value
        if operand.level is not Level.ELEMENT:
            if of_model:
                message = f"{node!r}: a value for each {operand.level.value} cannot be gathered for the model yet"
                raise FormulaError(message)
            return None
        if node.operation == "mean":
            return apply("divide", self._gather(Scalar("total", node.operands, node.level, name=node.name)), size)
        return self._gather(node)

    def _gather(self, node: Scalar) -> Scalar:
        operand = self.in_kernel(node.operands[0])  # which may ask for reductions of its own
        name = f"r{len(self.reductions)}"
        value = Scalar(node.operation, (operand,), node.level, name=node.name)
        self.reductions[name] = (Reduction(name, value, node.name), self.depth(node.operands[0]))
        return symbol(name, node.level)


def _gathers_elements(node: Scalar) -> bool:
    return node.operation in REDUCTIONS and node.operands[0].level is Level.ELEMENT


CHECK = Plan(slots=("p", "g"), passes=(Pass(),), constants=(), inputs=(), states=())
"""The plan that changes nothing: with a guard, it only looks whether every gradient is finite."""


class Moved(Exception):  # noqa: N818  # a message to the optimizer, never seen by a user
    """A parameter has another shape or dtype than when it was bound."""
