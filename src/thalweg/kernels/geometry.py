"""How the elements of several parameters fall into matrices, rows and columns.

The values of one level are kept in one vector, for all parameters of a launch one after the other: a value for each
tensor, for each matrix of their stacks, for each row, for each column.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch

from thalweg.formula.scalar import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

PER_TENSOR = frozenset({Level.STEP, Level.MODEL, Level.TENSOR})
"""Levels whose values are kept as one for each tensor."""


def as_stack(shape: Sequence[int]) -> tuple[int, int, int]:
    """A shape as a stack of matrices: how many, their rows, their columns. A vector is one row."""
    if len(shape) < 2:
        return 1, 1, math.prod(shape)
    return math.prod(shape[:-2]), shape[-2], shape[-1]


def shape_of(level: Level, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of a parameter's state at a level: its own, with 1 where one value stands for many."""
    batch, rest = tuple(shape[:-2]), tuple(shape[-2:])
    match level:
        case Level.ELEMENT:
            return tuple(shape)
        case Level.MATRIX:
            return (*batch, *(1 for _ in rest))
        case Level.ROW:
            return (*batch, *rest[:-1], *(1 for _ in rest[-1:]))
        case Level.COLUMN:
            return (*batch, *(1 for _ in rest[:-1]), *rest[-1:])
        case _:
            return ()


def kept_dimensions(level: Level, dimensions: int) -> frozenset[int]:
    """Those of a parameter's dimensions that its values of a level have, too: where they have more than one value."""
    return frozenset(at for at, size in enumerate(shape_of(level, (2,) * dimensions)) if size == 2)


def split(vector: Tensor, level: Level, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """A vector of a level's values as one tensor for each parameter, of a shape that broadcasts to its own."""
    own = [shape_of(level, shape) for shape in shapes]
    return [part.reshape(one) for part, one in zip(vector.split(list(map(math.prod, own))), own, strict=True)]


class Exchange(Protocol):
    """What knows the other parts of tensors of which this process has one each."""

    @property
    def shapes(self) -> Sequence[Sequence[int]]:
        """Those of the tensors in whole."""
        ...

    def merged(self, operation: str, values: Tensor, source: Level, target: Level) -> Tensor:
        """Totals, or the largest, of values of one level for a coarser one, put together from all parts."""
        ...


class Geometry:
    """The matrices, rows and columns of tensors of these shapes, none of them empty.

    With an `exchange`, they are parts of tensors, which may be empty; sizes are those of the whole tensors.
    """

    def __init__(
        self,
        shapes: Sequence[Sequence[int]],
        device: torch.device | str = "cpu",
        exchange: Exchange | None = None,
    ) -> None:
        self.stacks = [as_stack(shape) for shape in shapes]
        self.device = device
        self._exchange = exchange

    @cached_property
    def lengths(self) -> dict[Level, list[int]]:
        """How many values each tensor has at each level."""
        return {
            Level.TENSOR: [1] * len(self.stacks),
            Level.MATRIX: [batch for batch, _, _ in self.stacks],
            Level.ROW: [batch * rows for batch, rows, _ in self.stacks],
            Level.COLUMN: [batch * columns for batch, _, columns in self.stacks],
            Level.ELEMENT: [batch * rows * columns for batch, rows, columns in self.stacks],
        }

    @cached_property
    def counts(self) -> dict[Level, int]:
        """How many values there are at each level."""
        return {level: sum(some) for level, some in self.lengths.items()}

    @cached_property
    def sizes(self) -> dict[Level, Tensor]:
        """How many elements a tensor, a matrix, a row and a column has, in vectors of float64."""
        whole = self.stacks if self._exchange is None else [as_stack(shape) for shape in self._exchange.shapes]
        own = {
            Level.TENSOR: [batch * rows * columns for batch, rows, columns in whole],
            Level.MATRIX: [rows * columns for _, rows, columns in whole],
            Level.ROW: [columns for _, _, columns in whole],
            Level.COLUMN: [rows for _, rows, _ in whole],
        }
        return {level: self.spread(self._vector(sizes), Level.TENSOR, level) for level, sizes in own.items()}

    def spread(self, values: Tensor, source: Level, target: Level) -> Tensor:
        """Values of one level, repeated for each value of a finer one."""
        if source is target or (source in PER_TENSOR and target in PER_TENSOR) or values.dim() == 0:
            return values
        index = self._parents(target, Level.TENSOR if source in PER_TENSOR else source)
        return values if index is None else values[index]

    def gather(self, operation: str, values: Tensor, source: Level, target: Level) -> Tensor:
        """The total, mean or largest of values of one level for each value of a coarser one."""
        if self._exchange is None:
            return self._gather(operation, values, source, target)
        if operation == "mean":
            coarse = Level.TENSOR if target in PER_TENSOR else target
            whole = Geometry(self._exchange.shapes).lengths
            counts = [count // of for count, of in zip(whole[source], whole[coarse], strict=True)]
            total = self.gather("total", values, source, target)
            return total / self.spread(self._vector(counts), Level.TENSOR, target)
        return self._exchange.merged(operation, self._gather(operation, values, source, target), source, target)

    def _gather(self, operation: str, values: Tensor, source: Level, target: Level) -> Tensor:
        if (source, target) not in self._segments:
            lengths = self._lengths_in(source, target)
            one_each = all(length == 1 for length in lengths)
            self._segments[source, target] = None if one_each else torch.tensor(lengths, device=self.device)
        segments = self._segments[source, target]
        if segments is None:
            return values
        reduce = {"total": "sum", "mean": "mean", "largest": "max"}[operation]
        return torch.segment_reduce(
            values, reduce, lengths=segments, unsafe=True
        )  # a look at them would wait for a GPU

    def _lengths_in(self, source: Level, target: Level) -> list[int]:
        """How many values of one level lie in each of a coarser one."""
        own, wanted = self.lengths[source], self.lengths[Level.TENSOR if target in PER_TENSOR else target]
        return [length // count for length, count in zip(own, wanted, strict=True) for _ in range(count)]

    @cached_property
    def _segments(self) -> dict[tuple[Level, Level], Tensor | None]:
        return {}

    def _parents(self, level: Level, of: Level) -> Tensor | None:
        """For each value of a level, the place of the one of a coarser level that it lies in; None if they are one."""
        key = (level, of)
        if key not in self._known_parents:
            counts = self._lengths_in(level, of)
            same = all(count == 1 for count in counts)
            index = torch.arange(len(counts), device=self.device)
            repeats = torch.tensor(counts, device=self.device)
            self._known_parents[key] = None if same else torch.repeat_interleave(index, repeats)
        return self._known_parents[key]

    @cached_property
    def _known_parents(self) -> dict[tuple[Level, Level], Tensor | None]:
        return {}

    def _vector(self, numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.float64, device=self.device)
