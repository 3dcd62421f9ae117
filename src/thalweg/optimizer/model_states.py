"""States that the whole model has one of, where a device counts the steps: kept there, and told to the groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thalweg.formula import Kept
    from thalweg.optimizer.launch import Member


@dataclass
class _There:
    """A group's number on a device, and what the group was told last."""

    group: dict[str, Any]
    number: Tensor
    told: float


class ModelStates:
    """The numbers of all groups, by name and device."""

    def __init__(self) -> None:
        self._there: dict[tuple[int, str, torch.device], _There] = {}
        self._owners: dict[int, tuple[Sequence[Member], list[int], Tensor]] = {}

    def read(self, members: Sequence[Member], kept: Kept) -> Tensor:
        """A state of members on one device, a value for each."""
        firsts, which = self._groups_of(members)
        return torch.stack([self._number(members[first], kept.name).number for first in firsts])[which]

    def write(self, members: Sequence[Member], kept: Kept, values: Tensor, made: Tensor) -> None:
        """Set it in each of their groups, if the device says that the step is made."""
        for first in self._groups_of(members)[0]:
            there = self._number(members[first], kept.name)
            there.number.copy_(torch.where(made, values[first], there.number))

    def tell(self) -> None:
        """Put the numbers into the groups. Waits for the devices."""
        for (_, name, _), there in self._there.items():
            if there.group.get(name) == there.told:  # else somebody has set it
                there.told = there.group[name] = float(there.number)

    def _number(self, member: Member, name: str) -> _There:
        group, device = member.reading.group, member.parameter.device
        key = (id(group), name, device)
        if key not in self._there:
            number = torch.full((), group[name], dtype=torch.float64, device=device)
            self._there[key] = _There(group, number, group[name])
        there = self._there[key]
        if group[name] != there.told:
            there.told = group[name]
            there.number.fill_(there.told)
        return there

    def _groups_of(self, members: Sequence[Member]) -> tuple[list[int], Tensor]:
        """The place of the first member of each group, and for each member which group is its own."""
        if id(members) not in self._owners:
            rows: dict[int, int] = {}
            firsts: list[int] = []
            for at, member in enumerate(members):
                if rows.setdefault(id(member.reading), len(rows)) == len(firsts):
                    firsts.append(at)
            which = torch.tensor([rows[id(member.reading)] for member in members], device=members[0].parameter.device)
            self._owners[id(members)] = (members, firsts, which)
        return self._owners[id(members)][1:]
