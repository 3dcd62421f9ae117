"""What matrix methods work on: the matrices of parameters alike, on top of each other, and their states likewise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import ParameterError
from thalweg.kernels.layout import wanted_strides
from thalweg.optimizer.sharding import is_spread

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from torch import Tensor

    from thalweg.optimizer.formulas import MatrixPart
    from thalweg.optimizer.launch import Member

Entries = dict[str, Any]
"""What stands in `optimizer.state` for a parameter."""


class Stack:
    """Members alike in chain, group, shape and layout: b tensors of a shape that is seen as m × n.

    `given` and `direction` are `(b, *shape)`, laid out as the members are; `states` are (b, …), by their names in the
    chain. Where this process has parts of them alone, `given` and `direction` are of these, and `states`, which all
    processes have alike, of the whole tensors.
    """

    def __init__(self, part: MatrixPart, members: Sequence[Member]) -> None:
        self.part = part
        self.members = list(members)
        parameter = members[0].parameter
        before, behind = strides_of(members[0])
        size = (len(members), *parameter.shape)
        blank = torch.empty((), dtype=parameter.dtype, device=parameter.device)
        self.given = blank.new_empty_strided(size, (parameter.numel(), *before))
        same = before == behind
        self.direction = self.given if same else blank.new_empty_strided(size, (parameter.numel(), *behind))
        self.states = part.begin(blank.expand(len(members), *members[0].whole.shape), members[0].reading.numbers)
        self._places = {member.place: at for at, member in enumerate(members)}

    def at(self, member: Member) -> int:
        """The member's place in the stack."""
        return self._places[member.place]

    def holds(self, member: Member, entries: Entries, names: Mapping[str, str]) -> bool:
        """Whether the states that a member has lie here."""
        return member.place in self._places and all(
            (value := entries.get(names.get(name, name))) is not None and _is_same(value, own)
            for name, own in self.states_of(member).items()
        )

    def states_of(self, member: Member) -> dict[str, Tensor]:
        """A member's states, as views."""
        return {name: state[self.at(member)] for name, state in self.states.items()}

    def take(self, member: Member, entries: Entries, names: Mapping[str, str]) -> None:
        """Put the states that a member has, by what they are called in `optimizer.state`, in their place there."""
        for name, own in self.states_of(member).items():
            called = names.get(name, name)
            value = entries.get(called)
            if value is None or _is_same(value, own):
                continue
            value = value.full_tensor() if is_spread(value) else value
            if value.shape != own.shape:
                message = (
                    f"{member.name} keeps a state `{called}` of shape {tuple(own.shape)}, and has one of shape "
                    f"{tuple(value.shape)}; remove it from `optimizer.state` to begin anew"
                )
                raise ParameterError(message)
            own.copy_(value)


class MatrixStates:
    """The stacks of an optimizer. A parameter has its place in one from its first gradient on."""

    def __init__(self) -> None:
        self._stacks: dict[Hashable, Stack] = {}

    def take(
        self, members: Sequence[Member], entries_of: Callable[[Member], Entries], names: Mapping[str, str]
    ) -> list[Stack]:
        """Stacks for the members of them that need one, which take over the states that they find.

        Gives those that are new: the states of all their members lie elsewhere now.
        """
        wanting: dict[Hashable, list[Member]] = {}
        for member in members:
            if member.formula.whole is not None:
                wanting.setdefault(_kind(member), []).append(member)
        new: list[Stack] = []
        for kind, some in wanting.items():
            old = self._stacks.get(kind)
            if old is not None and all(old.holds(member, entries_of(member), names) for member in some):
                continue
            stayed = [] if old is None else [member for member in old.members if _kind(member) == kind]
            everybody = {member.place: member for member in (*stayed, *some)}
            part = some[0].formula.whole
            assert part is not None  # noqa: S101  # they were chosen by it
            stack = Stack(part, [everybody[place] for place in sorted(everybody)])
            for member in stack.members:
                stack.take(member, entries_of(member), names)
            self._stacks[kind] = stack
            new.append(stack)
        return new

    def of(self, member: Member) -> Stack:
        """The stack that a member has its place in."""
        return self._stacks[_kind(member)]

    def forget(self) -> None:
        """Let all stacks go: what they hold stands in `optimizer.state`, too."""
        self._stacks.clear()


def _is_same(value: Tensor, own: Tensor) -> bool:
    return not is_spread(value) and value.data_ptr() == own.data_ptr()


def strides_of(member: Member) -> tuple[tuple[int, ...], ...]:
    """How the direction that a matrix method is given must lie, and the one that it makes."""
    by_row = member.reading.keeps_codes(member.whole)
    return tuple(wanted_strides(member.parameter, by_row=by_row or plan.is_by_row) for plan in member.formula.plans)


def _kind(member: Member) -> Hashable:
    parameter = member.parameter
    key = (id(member.reading), member.formula.structure, member.whole.shape, parameter.dtype, parameter.device)
    lies = () if member.shard is None else (id(member.shard.whole.device_mesh), member.shard.whole.placements)
    return (*key, *lies, strides_of(member))
