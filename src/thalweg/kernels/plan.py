"""What a step has to do: which arrays to read and write, what to compute once a step, what for every element."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from thalweg.formula.scalar import Level, Scalar, descend, symbol
from thalweg.kernels.host import compile_constants
from thalweg.kernels.lower import Lowering

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.formula import Kept, Trace


@dataclass(frozen=True)
class Plan:
    """One pass over every array of a parameter: load, compute, store."""

    slots: tuple[str, ...]
    """The arrays: `p` and `g` first, then the states."""
    stores: tuple[tuple[str, Scalar], ...]
    """What is written to which array. Inputs at the level of an element are arrays, others are constants `k0`, …"""
    constants: tuple[Scalar, ...]
    """What `k0`, `k1`, … are, computed once a step in float64."""
    inputs: tuple[str, ...]
    """The names that the constants are computed from, in order: of `t`, `lr` and the hyper-parameters."""
    states: tuple[Kept, ...]

    @cached_property
    def compute_constants(self) -> Callable[..., tuple[float, ...]]:
        """The constants' values as a function of the inputs' values, in their order."""
        return compile_constants(self.constants, self.inputs)

    @cached_property
    def depends_on_step(self) -> bool:
        """Whether a constant changes with the step count."""
        return "t" in self.inputs

    @cached_property
    def loads(self) -> tuple[str, ...]:
        """The arrays that are read."""
        read = {node.name for node in descend(*(value for _, value in self.stores)) if node.operation == "input"}
        return tuple(slot for slot in self.slots if slot in read)

    def bytes_per_parameter(self, itemsize: int = 4) -> int:
        """The bytes that one step must read and write for each element of a parameter."""
        return itemsize * (len(self.loads) + len(self.stores))


def plan(traced: Trace) -> Plan:
    """The plan of a traced chain."""
    lowering = Lowering()
    written = [
        ("p", traced.parameter),
        *((k.name, k.after) for k in traced.states if k.after is not k.before),
    ]
    lowered = [(slot, lowering.lower(value)) for slot, value in written]
    constants: list[Scalar] = []
    replaced: dict[int, Scalar] = {}
    stores = tuple((slot, _name_constants(value, constants, replaced)) for slot, value in lowered)
    names = {node.name for node in descend(*constants) if node.operation == "input"}
    known = ("t", "lr", *traced.hyperparameters)
    return Plan(
        slots=("p", "g", *(kept.name for kept in traced.states)),
        stores=stores,
        constants=tuple(constants),
        inputs=tuple(name for name in known if name in names),
        states=traced.states,
    )


def _name_constants(node: Scalar, constants: list[Scalar], replaced: dict[int, Scalar]) -> Scalar:
    """The graph with everything that is constant during a step replaced by a name."""
    if id(node) in replaced:
        return replaced[id(node)]
    if node.operation == "constant" or (node.operation == "input" and node.level is Level.ELEMENT):
        new = node
    elif node.level is Level.STEP:
        constants.append(node)
        new = symbol(f"k{len(constants) - 1}", Level.STEP)
    else:
        operands = tuple(_name_constants(operand, constants, replaced) for operand in node.operands)
        new = Scalar(node.operation, operands, node.level)
    replaced[id(node)] = new
    return new


CHECK = Plan(slots=("p", "g"), stores=(), constants=(), inputs=(), states=())
"""The plan that changes nothing: with a guard, it only looks whether every gradient is finite."""


class Moved(Exception):  # noqa: N818  # a message to the optimizer, never seen by a user
    """A parameter has another shape or dtype than when it was bound."""
