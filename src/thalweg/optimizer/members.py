"""The parameters of an optimizer, one after the other through its groups, and what their states begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from thalweg.formula.slots import ParameterSlot
from thalweg.kernels.parts import as_parts
from thalweg.optimizer.launch import Member
from thalweg.optimizer.sharding import Shard, is_spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from thalweg.formula import Start
    from thalweg.optimizer.reading import Reading


def members_of(readings: Sequence[Reading]) -> Iterator[Member]:
    """The parameters in the user's order, each with its group and what an error calls it."""
    place = 0
    for at, reading in enumerate(readings):
        names: Mapping[int, str] = dict(enumerate(reading.group.get("param_names", ())))
        for inside, parameter in enumerate(reading.group["params"]):
            label = f"`{names[inside]}`" if inside in names else f"parameter {inside} of group {at}"
            shard = Shard(parameter, label) if is_spread(parameter) else None
            yield Member(parameter if shard is None else shard.part, place, reading, label, shard)
            place += 1


def first_value(start: Start, member: Member, dtype: torch.dtype) -> Tensor:
    """A state as it is before the first step."""
    if isinstance(start, ParameterSlot):
        return member.parameter.detach().clone()
    begun = torch.empty_like(member.parameter, dtype=dtype, requires_grad=False)
    _ = as_parts(begun).fill_(first_number(start, member))
    return begun


def first_number(start: Start, member: Member) -> float:
    """The number that a state starts at."""
    return member.reading.numbers[start] if isinstance(start, str) else float(cast("float", start))
