"""Puts together what processes have gathered, each of its parts of the tensors of one launch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from thalweg.kernels.geometry import kept_dimensions, shape_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.distributed import ProcessGroup

    from thalweg.formula import Level
    from thalweg.optimizer.launch import Member


class Exchange:
    """The members of one launch, some of which this process has a part of alone.

    All processes must ask for the same, in the same order.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.shapes = [member.whole.shape for member in members]
        self._members = list(members)
        self._known: dict[tuple[Level, Level], list[tuple[ProcessGroup, Tensor, torch.device]]] = {}

    def merged(self, operation: str, values: Tensor, source: Level, target: Level) -> Tensor:
        """Values of a level, each of this process's part alone, as those of all parts.

        They are totals, or the largest, of values of the finer level `source`. Where no cut runs through what one value
        stands for, it stays as it is.
        """
        if (source, target) not in self._known:
            self._known[source, target] = self._stretches(source, target)
        for group, index, device in self._known[source, target]:
            own = values[index].to(device)
            merged = _sum(own, group) if operation == "total" else _largest(own, group)
            values = values.index_copy(0, index, merged.to(values))
        return values

    def _stretches(self, source: Level, target: Level) -> list[tuple[ProcessGroup, Tensor, torch.device]]:
        """For each group of processes, the places of the values that it has parts of."""
        found: dict[int, tuple[ProcessGroup, list[Tensor], torch.device]] = {}
        begin = 0
        for member in self._members:
            shape = member.parameter.shape
            length = math.prod(shape_of(target, shape))
            gone = kept_dimensions(source, len(shape)) - kept_dimensions(target, len(shape))
            for cut in member.cuts:
                if cut.dimension in gone:
                    own = found.setdefault(id(cut.group), (cut.group, [], member.parameter.device))
                    own[1].append(torch.arange(begin, begin + length))
            begin += length
        return [(group, torch.cat(places), device) for group, places, device in found.values()]


def _sum(values: Tensor, group: ProcessGroup) -> Tensor:
    dist.all_reduce(values, dist.ReduceOp.SUM, group=group)
    return values


def _largest(values: Tensor, group: ProcessGroup) -> Tensor:
    """The largest of all processes; NaN if one of them is, which backends see in different ways."""
    is_nan = torch.isnan(values)
    both = torch.stack([values.masked_fill(is_nan, -math.inf), is_nan.to(values)])
    dist.all_reduce(both, dist.ReduceOp.MAX, group=group)
    return both[0].masked_fill(both[1] > 0, math.nan)
