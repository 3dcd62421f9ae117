"""Coarse values for kernels of tiles, and what they gather for tensors, matrices, rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.formula.scalar import Level
from thalweg.kernels.geometry import PER_TENSOR, Geometry
from thalweg.kernels.triton.exchange import Mirror
from thalweg.kernels.triton.gathering import REDUCE
from thalweg.kernels.triton.tile_emit import PER_TILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels.plan import Pass, Plan
    from thalweg.kernels.triton.tiles import Tiles

_KINDS = {"tile": PER_TILE, "row": {Level.ROW}, "column": {Level.COLUMN}}


class TileGathering:
    """The coarse tables of one launch, whose tensors have such shapes and are divided so."""

    def __init__(
        self, plan: Plan, shapes: Sequence[Sequence[int]], tiles: Tiles, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._geometry = Geometry(shapes)
        number = np.float64 if dtype == torch.float64 else np.float32
        counts = {"tile": len(tiles.per_matrix), "row": len(tiles.per_row), "column": len(tiles.per_column)}
        parts = {"tile": tiles.per_matrix, "row": tiles.per_row, "column": tiles.per_column}
        self._places = {
            c.name: (kind, at)
            for kind, levels in _KINDS.items()
            for at, c in enumerate(c for c in plan.coarse if c.value.level in levels)
        }
        self._levels = {c.name: c.value.level for c in plan.coarse}
        asked = {kind: sum(k == kind for k, _ in self._places.values()) for kind in _KINDS}
        self._values = {kind: np.zeros((counts[kind], asked[kind]), dtype=number) for kind in _KINDS}
        self._mirrors = {kind: Mirror(values.reshape(-1), device) for kind, values in self._values.items()}
        self._lengths = {kind: torch.from_numpy(some).to(device) for kind, some in parts.items()}
        self._totals = {kind: int(some.sum()) for kind, some in parts.items()}
        most = {k: max(sum(r.level in own for r in one.reductions) for one in plan.passes) for k, own in _KINDS.items()}
        self._sums = {
            kind: torch.zeros(self._totals[kind] * most[kind], dtype=torch.float64, device=device) for kind in _KINDS
        }

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come, as vectors of their level."""
        for name, value in values.items():
            kind, at = self._places[name]
            wanted = self._geometry.spread(value, self._levels[name], Level.MATRIX) if kind == "tile" else value
            self._values[kind][:, at] = wanted.numpy(force=True)

    def on_device(self) -> tuple[Tensor, ...]:
        """The coarse values as they are now, and where a kernel writes what it gathers: of tiles, rows and columns."""
        return tuple(one for kind in _KINDS for one in (self._mirrors[kind].on_device(), self._sums[kind]))

    def gathered(self, one: Pass) -> dict[str, Tensor]:
        """What a pass has gathered, as vectors of its level on the CPU; for the model, one value for each tensor."""
        found: dict[str, Tensor] = {}
        for kind, levels in _KINDS.items():
            own = [r for r in one.reductions if r.level in levels]
            sums = self._sums[kind][: self._totals[kind] * len(own)].view(self._totals[kind], len(own))
            for at, r in enumerate(own):
                operation = r.value.operation
                merged = torch.segment_reduce(sums[:, at].contiguous(), REDUCE[operation], lengths=self._lengths[kind])
                value = merged.cpu()
                level = Level.TENSOR if r.level in PER_TENSOR else r.level
                found[r.name] = (
                    self._geometry.gather(operation, value, Level.MATRIX, level) if kind == "tile" else value
                )
        return found
