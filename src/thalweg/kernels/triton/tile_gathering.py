"""Coarse values for kernels of tiles, and what they gather for tensors, matrices, rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.formula.scalar import Level
from thalweg.kernels.geometry import PER_TENSOR, Geometry
from thalweg.kernels.triton.gathering import Gathered, Given
from thalweg.kernels.triton.tile_emit import PER_TILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import Tensor

    from thalweg.kernels.plan import Pass, Plan
    from thalweg.kernels.triton.tiles import Tiles

_KINDS = {"tile": PER_TILE, "row": frozenset({Level.ROW}), "column": frozenset({Level.COLUMN})}


class TileGathering:
    """The coarse tables of one launch, of such shapes and divided so; if values `stay`, on the device."""

    def __init__(
        self,
        plan: Plan,
        shapes: Sequence[Sequence[int]],
        tiles: Tiles,
        dtype: torch.dtype,
        device: torch.device,
        *,
        stays: bool,
    ) -> None:
        self._geometry = Geometry(shapes, device if stays else "cpu")
        self._stays = stays
        lengths = {"tile": tiles.per_matrix, "row": tiles.per_row, "column": tiles.per_column}
        names = {kind: [c.name for c in plan.coarse if c.value.level in own] for kind, own in _KINDS.items()}
        self._places = {name: (kind, at) for kind, some in names.items() for at, name in enumerate(some)}
        self._levels = {c.name: c.value.level for c in plan.coarse}
        most = {k: max(sum(r.level in own for r in one.reductions) for one in plan.passes) for k, own in _KINDS.items()}
        self._given = {k: Given(len(lengths[k]), len(names[k]), dtype, device, stays=stays) for k in _KINDS}
        self._gathered = {kind: Gathered(lengths[kind], most[kind], device) for kind in _KINDS}

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come, as vectors of their level."""
        for name, value in values.items():
            kind, at = self._places[name]
            wanted = self._geometry.spread(value, self._levels[name], Level.MATRIX) if kind == "tile" else value
            self._given[kind].fill(at, wanted)

    def on_device(self) -> tuple[Tensor, ...]:
        """The coarse values as they are now, and where a kernel writes what it gathers: of tiles, rows and columns."""
        return tuple(one for kind in _KINDS for one in (self._given[kind].on_device(), self._gathered[kind].numbers))

    def gathered(self, one: Pass) -> dict[str, Tensor]:
        """What a pass has gathered, as vectors of its level; for the model, one value for each tensor."""
        found: dict[str, Tensor] = {}
        for kind, levels in _KINDS.items():
            own = [r for r in one.reductions if r.level in levels]
            for at, r in enumerate(own):
                operation = r.value.operation
                merged = self._gathered[kind].merged(operation, at, len(own))
                value = merged if self._stays else merged.cpu()
                level = Level.TENSOR if r.level in PER_TENSOR else r.level
                found[r.name] = (
                    self._geometry.gather(operation, value, Level.MATRIX, level) if kind == "tile" else value
                )
        return found
