"""Lets all processes stop at the same gradient that is not finite, though one of them alone has seen it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.distributed import ProcessGroup

    from thalweg.optimizer.launch import Member

_NONE = sys.maxsize


class Agreement:
    """The members of an optimizer that lie on several processes, and those processes."""

    def __init__(self, members: Sequence[Member]) -> None:
        groups: dict[int, tuple[ProcessGroup, torch.device]] = {}
        for member in members:
            for cut in member.cuts:
                groups[id(cut.group)] = (cut.group, member.parameter.device)
        self._groups = list(groups.values())
        self._members = {member.place: member for member in members}
        self.is_needed = bool(groups)
        self.waits = any(device.type != "cpu" for _, device in self._groups)
        """Whether agreeing means to wait for a device."""

    def on(self, found: Sequence[Member]) -> list[Member]:
        """The first of what all processes have found; nothing if none of them has found any."""
        first = min((member.place for member in found), default=_NONE)
        for group, device in self._groups:
            place = torch.tensor(first, dtype=torch.int64, device=device)
            dist.all_reduce(place, dist.ReduceOp.MIN, group=group)
            first = int(place)
        return [] if first == _NONE else [self._members[first]]
