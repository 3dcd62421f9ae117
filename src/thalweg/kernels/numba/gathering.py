"""The tables through which a kernel gets coarse values and gives back what it gathers."""

from __future__ import annotations

import itertools
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.formula.scalar import Level
from thalweg.kernels.geometry import PER_TENSOR, Geometry
from thalweg.kernels.numba.pieces import PER_PIECE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels.plan import Pass, Plan, Reduction

_MERGE = {"total": np.add, "largest": np.maximum}


class Gathering:
    """The coarse tables of one launch: for these shapes, divided into these pieces, in a kernel's precision.

    `table` has a row for each tensor, or each matrix where a piece is some rows of one, and a column for each value
    that all its elements see.
    """

    def __init__(
        self, plan: Plan, shapes: Sequence[Sequence[int]], pieces: Sequence[tuple[int, ...]], precision: type
    ) -> None:
        self._plan = plan
        self._geometry = Geometry(shapes)
        self._level = Level.MATRIX if plan.is_by_row else Level.TENSOR
        lengths = {level: sum(some) for level, some in self._geometry.lengths.items()}
        per_piece = sum(c.value.level in PER_PIECE for c in plan.coarse)
        by_row, by_column = (sum(c.value.level is level for c in plan.coarse) for level in (Level.ROW, Level.COLUMN))
        self.table = np.zeros((lengths[self._level], per_piece), dtype=precision)
        self._row_inputs = np.zeros((by_row, lengths[Level.ROW]), dtype=precision)
        self._column_inputs = np.zeros((by_column, lengths[Level.COLUMN]), dtype=precision)
        parts = sum(piece[4] for piece in pieces) if plan.is_by_row else 0
        most = {
            level: max(sum(r.level in own for r in one.reductions) for one in plan.passes)
            for level, own in ((Level.TENSOR, PER_PIECE), (Level.ROW, {Level.ROW}), (Level.COLUMN, {Level.COLUMN}))
        }
        self._pieces = len(pieces)
        self._partials = np.zeros(len(pieces) * most[Level.TENSOR])
        self._row_outputs = np.zeros((most[Level.ROW], lengths[Level.ROW]))
        self._column_outputs = np.zeros((most[Level.COLUMN], parts))
        owners = np.array([piece[3 if plan.is_by_row else 0] for piece in pieces], dtype=np.int64)
        self._starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
        self._bands = _bands(pieces) if plan.is_by_row else []

    def words(self) -> dict[str, np.ndarray[Any, Any] | int]:
        """The block's words for these tables."""
        return {
            "coarse": self.table,
            "partials": self._partials,
            "row_inputs": self._row_inputs,
            "row_outputs": self._row_outputs,
            "column_inputs": self._column_inputs,
            "column_outputs": self._column_outputs,
            "row_count": self._row_inputs.shape[1],
            "column_count": self._column_inputs.shape[1],
            "part_count": self._column_outputs.shape[1],
        }

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come, as vectors of their level."""
        seen: dict[str, int] = {"coarse": 0, "row": 0, "column": 0}
        for c in self._plan.coarse:
            level = c.value.level
            kind = "coarse" if level in PER_PIECE else level.value
            place = seen[kind]
            seen[kind] += 1
            if c.name not in values:
                continue
            value = values[c.name]
            if kind == "coarse":
                self.table[:, place] = self._geometry.spread(value, level, self._level).numpy()
            else:
                (self._row_inputs if kind == "row" else self._column_inputs)[place] = value.numpy()

    def gathered(self, one: Pass) -> dict[str, Tensor]:
        """What a pass has gathered, as vectors of its level; for the model, one value for each tensor."""
        of_pieces = [r for r in one.reductions if r.level in PER_PIECE]
        partials = self._partials[: self._pieces * len(of_pieces)].reshape(self._pieces, len(of_pieces))
        found = {r.name: self._merged(r, partials[:, place]) for place, r in enumerate(of_pieces)}
        by_row = [r for r in one.reductions if r.level is Level.ROW]
        found |= {r.name: torch.from_numpy(self._row_outputs[place].copy()) for place, r in enumerate(by_row)}
        by_column = [r for r in one.reductions if r.level is Level.COLUMN]
        return found | {r.name: self._summed(r, self._column_outputs[place]) for place, r in enumerate(by_column)}

    def _merged(self, reduction: Reduction, partials: np.ndarray[Any, Any]) -> Tensor:
        operation = reduction.value.operation
        values = torch.from_numpy(_MERGE[operation].reduceat(partials, self._starts))
        level = Level.TENSOR if reduction.level in PER_TENSOR else reduction.level
        return values if level is self._level else self._geometry.gather(operation, values, self._level, level)

    def _summed(self, reduction: Reduction, parts: np.ndarray[Any, Any]) -> Tensor:
        """The columns' values from those of each band of rows."""
        merge = _MERGE[reduction.value.operation]
        return torch.from_numpy(
            np.concatenate([merge.reduce(parts[start:stop].reshape(count, -1)) for start, stop, count in self._bands])
        )


def _bands(pieces: Sequence[tuple[int, ...]]) -> list[tuple[int, int, int]]:
    """Stretches of column sums (start, stop, of how many bands): matrices of one band lie in one stretch."""
    stretches: list[tuple[int, int, int]] = []
    for _, matrix in itertools.groupby(pieces, key=operator.itemgetter(3)):
        bands = list(matrix)
        start, stop = bands[0][7], bands[-1][7] + bands[-1][4]
        if len(bands) == 1 and stretches and stretches[-1][2] == 1:
            start = stretches.pop()[0]
        stretches.append((start, stop, len(bands)))
    return stretches
