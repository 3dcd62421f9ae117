"""Calls of `step` that only add gradients up: which groups they are for, and what has been added since a move."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch

from thalweg.optimizer.calls import CALLS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from torch import Tensor

    from thalweg.optimizer.launch import Member
    from thalweg.optimizer.reading import Reading
    from thalweg.optimizer.watched import WatchedState


class Accumulation:
    """What the members of an optimizer have added up, if their chains wait for several calls."""

    def __init__(self, members: Sequence[Member], readings: Sequence[Reading], state: WatchedState) -> None:
        self._members = members
        self._readings = readings
        self._calls = torch.tensor([float(state.get(m.whole, {}).get(CALLS, 0)) for m in members])

    def turn(self) -> tuple[bool, ...]:
        """Of each group, whether this call only adds."""
        return tuple(reading.adds for reading in self._readings)

    def entry(self, member: Member) -> Tensor:
        """A member's count, as it stands in its state."""
        return self._calls[member.place]

    @contextlib.contextmanager
    def completed(self) -> Generator[None]:
        """Meanwhile, members that move by what they added before and have no gradient now have one of zeros."""
        waiting = self._calls.tolist()
        lacking = [
            member.whole
            for member, calls in zip(self._members, waiting, strict=True)
            if calls and member.whole.grad is None and member.reading.waits and not member.reading.adds
        ]
        for parameter in lacking:
            parameter.grad = torch.zeros_like(parameter, requires_grad=False)
        try:
            yield
        finally:
            for parameter in lacking:
                parameter.grad = None

    def count(self, moved: Any, added: Any) -> None:  # noqa: ANN401  # what indexes an array
        """A call has been made that moved the members at some places, and added for those at others."""
        calls = self._calls.numpy()
        calls[moved] = 0
        calls[added] += 1
