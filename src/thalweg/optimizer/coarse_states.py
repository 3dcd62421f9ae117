"""States that have one value for a tensor, a row or the model: kept side by side, so that a step reads them at once."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import torch

from thalweg.formula import Level
from thalweg.kernels.geometry import shape_of
from thalweg.optimizer.model_states import ModelStates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thalweg.formula import Kept
    from thalweg.optimizer.launch import Member


class CoarseStates:
    """The coarse states of all members of an optimizer.

    Those of tensors, matrices, rows and columns are views into one vector for each name and dtype, and stand in the
    parameters' states; those of the model are numbers in the parameter groups.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._vectors: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}
        self._offsets: dict[tuple[str, torch.dtype, torch.device], dict[int, tuple[int, int]]] = {}
        self._indices: dict[tuple[tuple[str, torch.dtype, torch.device], int], tuple[Any, Tensor | slice]] = {}
        self._of_model = ModelStates()

    def take(self, member: Member, kept: Kept, value: Tensor | None, start: float) -> Tensor:
        """A member's state, in its place in the vector, with a value that it had elsewhere or the one it starts at."""
        key = _key(member, kept)
        if key not in self._vectors:
            self._make_room(key, kept)
        begin, length = self._offsets[key][member.place]
        own = self._vectors[key][begin : begin + length].view(shape_of(kept.level, member.parameter.shape))
        if value is None:
            own.fill_(start)
        elif value.data_ptr() != own.data_ptr():
            own.copy_(value)
        return own

    def read(self, members: Sequence[Member], states: Sequence[Kept], *, stay: bool = False) -> dict[str, Tensor]:
        """The states of members of one formula and dtype, in float64, as vectors of their level.

        On the CPU; or, if they `stay`, where they are, and then those of the model are kept there, too.
        """
        read: dict[str, Tensor] = {}
        for kept in states:
            if kept.level is Level.MODEL and stay:
                read[kept.name] = self._of_model.read(members, kept)
            elif kept.level is Level.MODEL:
                numbers = [member.reading.group[kept.name] for member in members]
                read[kept.name] = torch.tensor(numbers, dtype=torch.float64)
            else:
                key = _key(members[0], kept)
                values = self._vectors[key][self._index(key, members)].double()
                read[kept.name] = values if stay else values.cpu()
        return read

    def write(self, members: Sequence[Member], kept: Kept, values: Tensor) -> None:
        """Set a state of members of one formula and dtype; that of the model in each of their groups."""
        if kept.level is Level.MODEL:
            first = {id(member.reading): at for at, member in reversed(list(enumerate(members)))}
            for at in first.values():
                members[at].reading.group[kept.name] = float(values[at])
            return
        key = _key(members[0], kept)
        self._vectors[key][self._index(key, members)] = values.to(self._vectors[key])

    def write_there(self, members: Sequence[Member], kept: Kept, values: Tensor, made: Tensor) -> None:
        """The same where they are, if the device says that the step is made."""
        if kept.level is Level.MODEL:
            self._of_model.write(members, kept, values, made)
            return
        key = _key(members[0], kept)
        vector, index = self._vectors[key], self._index(key, members)
        vector[index] = torch.where(made, values.to(vector), vector[index])

    def tell(self) -> None:
        """Put the model's states that are kept on devices into the groups. Waits for them."""
        self._of_model.tell()

    def _make_room(self, key: tuple[str, torch.dtype, torch.device], kept: Kept) -> None:
        offsets: dict[int, tuple[int, int]] = {}
        end = 0
        for member in self._members:
            if _key(member, kept) == key:
                length = math.prod(shape_of(kept.level, member.parameter.shape))
                offsets[member.place] = (end, length)
                end += length
        self._offsets[key] = offsets
        self._vectors[key] = torch.zeros(end, dtype=key[1], device=key[2])

    def _index(self, key: tuple[str, torch.dtype, torch.device], members: Sequence[Member]) -> Tensor | slice:
        """Where the states of a launch's members stand in their vector, on its device."""
        if (key, id(members)) not in self._indices:
            self._indices[key, id(members)] = (members, self._find_index(key, members))
        return self._indices[key, id(members)][1]

    def _find_index(self, key: tuple[str, torch.dtype, torch.device], members: Sequence[Member]) -> Tensor | slice:
        stretches = [self._offsets[key][member.place] for member in members]
        begin, end = stretches[0][0], stretches[-1][0] + stretches[-1][1]
        if end - begin == sum(length for _, length in stretches) and all(
            sum(one) == following[0] for one, following in itertools.pairwise(stretches)
        ):
            return slice(begin, end)
        return torch.cat([torch.arange(start, start + length) for start, length in stretches]).to(key[2])


def _key(member: Member, kept: Kept) -> tuple[str, torch.dtype, torch.device]:
    parameter = member.parameter
    return kept.name, torch.promote_types(parameter.dtype.to_real(), torch.float32), parameter.device
