"""States that have one value for a tensor, a row or the model: kept side by side, so that a step reads them at once."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
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
        self._arrays: dict[tuple[str, int], tuple[Any, np.ndarray[Any, Any], Any]] = {}
        self._groups: dict[int, tuple[Any, list[int], np.ndarray[Any, Any]]] = {}
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

    def read_into(self, members: Sequence[Member], kept: Kept, values: np.ndarray[Any, Any]) -> None:
        """One of the states of tensors or the model, on the CPU, into an array with a place for each member."""
        if kept.level is Level.MODEL:
            firsts, which = self._groups_of(members)
            numbers = [members[first].reading.group[kept.name] for first in firsts]
            values[:] = numbers[0] if len(numbers) == 1 else np.array(numbers)[which]
        else:
            array, index = self._array(members, kept)
            values[:] = array[index]

    def write_from(self, members: Sequence[Member], kept: Kept, values: np.ndarray[Any, Any]) -> None:
        """Set such a state from such an array."""
        if kept.level is Level.MODEL:
            for first in self._groups_of(members)[0]:
                members[first].reading.group[kept.name] = float(values[first])
        else:
            array, index = self._array(members, kept)
            array[index] = values

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

    def _groups_of(self, members: Sequence[Member]) -> tuple[list[int], np.ndarray[Any, Any]]:
        """The first member of each group, and of each member the place of its group among them."""
        if id(members) not in self._groups:
            groups = [id(member.reading) for member in members]
            places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
            which = np.array([places[group] for group in groups])
            self._groups[id(members)] = (members, list(map(groups.index, places)), which)
        return self._groups[id(members)][1:]

    def _array(self, members: Sequence[Member], kept: Kept) -> tuple[np.ndarray[Any, Any], Any]:
        """The vector with the states of a launch's members, and where they stand in it."""
        if (kept.name, id(members)) not in self._arrays:
            key = _key(members[0], kept)
            index = self._index(key, members)
            where = index if isinstance(index, slice) else index.numpy()
            self._arrays[kept.name, id(members)] = (members, self._vectors[key].numpy(), where)
        return self._arrays[kept.name, id(members)][1:]

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
