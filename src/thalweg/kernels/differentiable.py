"""A step as an expression of torch's: nothing is changed in place, so that it can be differentiated and batched.

The traced formulas are computed as they stand, for all parameters side by side. What has one value a step or something
coarser than an element is computed in float64, elements in their own dtype, half precision in float32.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from thalweg.formula.scalar import REDUCTIONS, Level, descend
from thalweg.kernels.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.formula import Scalar, Trace


@dataclass(frozen=True, eq=False)
class Graph:
    """A traced chain, and what is to be known of it to differentiate it."""

    trace: Trace

    @cached_property
    def nodes(self) -> list[Scalar]:
        """All that a step, or a look at where evaluation is, may compute."""
        roots = [self.trace.parameter, *(kept.after for kept in self.trace.states)]
        return list(descend(*roots, *([] if self.trace.evaluation is None else [self.trace.evaluation])))

    @cached_property
    def guarded(self) -> frozenset[int]:
        """What only one branch of a `where` may need: its derivative must be finite where the other one is taken."""
        branches = [branch for node in self.nodes if node.operation == "where" for branch in node.operands[1:]]
        return frozenset(map(id, descend(*branches)))

    @cached_property
    def of_model(self) -> dict[str, Scalar]:
        """What it gathers over the whole model, by the name under which other graphs gather the same."""
        return {node.name: node for node in self.nodes if node.operation in REDUCTIONS and node.level is Level.MODEL}


@dataclass(eq=False)
class Row:
    """What parameters of one formula and device have in common."""

    step: Tensor
    """Which step of theirs it is, from 1."""
    numbers: Mapping[str, Tensor | float]
    """The learning rate and the hyper-parameters: one value, or a shape that broadcasts to that of the parameters."""
    values: dict[int, Tensor] = field(default_factory=dict[int, "Tensor"])


@dataclass(eq=False)
class Place:
    """One parameter: its formula, its numbers, and its arrays: `p`, `g` and the states by their names."""

    graph: Graph
    row: Row
    arrays: Mapping[str, Tensor]
    values: dict[int, Tensor] = field(default_factory=dict[int, "Tensor"])
    cast: dict[int, Tensor] = field(default_factory=dict[int, "Tensor"])

    @property
    def shape(self) -> torch.Size:
        """The parameter's."""
        return self.arrays["p"].shape

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.arrays["p"].device

    @cached_property
    def precision(self) -> torch.dtype:
        """What its elements are computed in."""
        return torch.promote_types(self.arrays["p"].dtype, torch.float32)

    def read(self, node: Scalar) -> Tensor:
        """The value of an input."""
        if node.level is Level.STEP:
            number = self.row.step if node.name == "t" else self.row.numbers[node.name]
            return torch.as_tensor(number, dtype=torch.float64, device=self.device)
        dtype = self.precision if node.level is Level.ELEMENT else torch.float64
        return self.arrays[node.name].to(self.device, dtype)


class Evaluation:
    """One step of several parameters; each value is computed when it is asked for, and once."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._sizes: dict[str, float] = {}
        self._of_model: dict[str, Tensor] = {}

    def value(self, node: Scalar, place: Place) -> Tensor:
        """A node's value for a parameter: of the parameter's shape, or one that broadcasts to it."""
        known = place.row.values if node.level is Level.STEP else place.values
        if id(node) not in known:
            known[id(node)] = self._compute(node, place)
        return known[id(node)]

    def _compute(self, node: Scalar, place: Place) -> Tensor:
        match node.operation:
            case "input":
                return place.read(node)
            case "constant":
                return torch.tensor(node.value, dtype=torch.float64, device=place.device)
            case "total" | "mean" | "largest":
                return self._gather(node, place)
            case "power" if node.operands[1].operation == "constant":
                return torch.pow(self._operand(node.operands[0], node, place), node.operands[1].value)
            case operation:
                operands = [self._operand(operand, node, place) for operand in node.operands]
                is_guarded = operation == "divide" and id(node) in place.graph.guarded
                return (_divide if is_guarded else _OPERATIONS[operation])(*operands)

    def _operand(self, node: Scalar, of: Scalar, place: Place) -> Tensor:
        """An operand's value, with the precision of elements where it meets them."""
        value = self.value(node, place)
        if of.level is not Level.ELEMENT or value.dtype in (place.precision, torch.bool):
            return value
        if id(node) not in place.cast:
            place.cast[id(node)] = value.to(place.precision)
        return place.cast[id(node)]

    def _gather(self, node: Scalar, place: Place) -> Tensor:
        """A total, a mean or a maximum."""
        if node.level is not Level.MODEL:
            return _gathered(node.operation, self._elements(node, place), node.level)
        operation, (operand,) = node.operation, node.operands
        if operand.level is Level.STEP:
            value = self.value(operand, place)
            return value * self._size_of(node.name) if operation == "total" else value
        if node.name not in self._of_model:
            found = [(other.graph.of_model.get(node.name), other) for other in self._places]
            own = "largest" if operation == "largest" else "total"
            parts = [_gathered(own, self._elements(n, other), n.level) for n, other in found if n is not None]
            together = torch.stack([part.to(place.device) for part in parts])
            self._of_model[node.name] = _gathered(own, together, Level.MODEL)
        value = self._of_model[node.name].to(place.device)
        return value / self._size_of(node.name) if operation == "mean" else value

    def _size_of(self, name: str) -> float:
        """How many elements the parameters have that something is gathered from over the model."""
        if name not in self._sizes:
            own = [place.shape.numel() for place in self._places if name in place.graph.of_model]
            self._sizes[name] = float(sum(own))
        return self._sizes[name]

    def _elements(self, reduction: Scalar, place: Place) -> Tensor:
        """What a reduction gathers: all of its values, in float64."""
        (operand,) = reduction.operands
        value = self.value(operand, place).double()
        return value.expand(place.shape) if operand.level in (Level.STEP, Level.ELEMENT) else value


def _gathered(operation: str, values: Tensor, level: Level) -> Tensor:
    """One value for each of a level, of the shape that `thalweg.kernels.geometry.shape_of` gives for it."""
    rank = values.dim()
    dimensions = {
        Level.MATRIX: tuple(range(max(rank - 2, 0), rank)),
        Level.ROW: tuple(range(max(rank - 1, 0), rank)),
        Level.COLUMN: (rank - 2,) if rank > 1 else (),
    }.get(level, tuple(range(rank)))
    if not dimensions:
        return values
    return _REDUCE[operation](values, dimensions, keepdim=level in (Level.MATRIX, Level.ROW, Level.COLUMN))


_REDUCE = {"total": torch.sum, "mean": torch.mean, "largest": torch.amax}


def _sqrt(x: Tensor) -> Tensor:
    """The root, whose derivative is zero where it would be infinite: x² is under it, and x is zero."""
    positive = x > 0
    return torch.where(positive, torch.sqrt(torch.where(positive, x, 1)), torch.sqrt(x.detach()))


def _divide(x: Tensor, y: Tensor) -> Tensor:
    """The quotient; where the divisor is zero, its derivative is: another branch is taken there."""
    zero = y == 0
    return torch.where(zero, x.detach() / y.detach(), x / torch.where(zero, 1, y))


_OPERATIONS = {**OPERATIONS, "sqrt": _sqrt}
