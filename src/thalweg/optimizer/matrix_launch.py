"""The call of a matrix method for those members of a stack that move: all their directions at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.matrix import as_matrix
from thalweg.optimizer.sharding import apart, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thalweg.optimizer.launch import Member
    from thalweg.optimizer.matrix_states import Stack


class MatrixLaunch:
    """Members of one stack, and where they are in it."""

    def __init__(self, stack: Stack, members: Sequence[Member]) -> None:
        self.members = list(members)
        self._stack = stack
        at = [stack.at(member) for member in members]
        in_a_row = at == list(range(at[0], at[0] + len(at)))
        self._which: slice | Tensor = slice(at[0], at[-1] + 1) if in_a_row else torch.tensor(at)
        self._places = np.array([member.place for member in members], dtype=int)
        self._shape = members[0].whole.shape
        self._shard = members[0].shard if members[0].cuts else None
        self._gathered: Tensor | None = None

    def look(self) -> Member | None:
        """The first member whose direction, as it is given, has no finite length; nothing is changed."""
        self._gathered = None
        given = self._given()
        wide = given.to(torch.promote_types(given.dtype, torch.float32))
        good = torch.isfinite(torch.linalg.vector_norm(wide, dim=(-2, -1)))
        return None if bool(good.all()) else self.members[int(good.int().argmin())]

    def run(self, done: np.ndarray[Any, Any]) -> None:
        """Make the directions; `done` says how often each parameter of the optimizer has been stepped.

        Raises `GradientError` where eigenvalues are not found.
        """
        stack, which = self._stack, self._which
        part = stack.part
        steps = done[self._places] + 1
        step = int(steps[0]) if bool((steps == steps[0]).all()) else torch.from_numpy(steps)
        own = {local: name for local, name in part.cut.states.items() if name in stack.states}
        states = {local: stack.states[name][which] for local, name in own.items()}
        settings = part.settings(self.members[0].reading.numbers)
        made = part.rule.direction(self._given(), states, settings, step)
        self._gathered = None
        made = made.reshape(len(made), *self._shape).to(stack.direction.dtype)
        stack.direction[which] = made if self._shard is None else apart(made, self._shard)
        if isinstance(which, torch.Tensor):  # what it has been given are copies
            for local, name in own.items():
                stack.states[name][which] = states[local]

    def _given(self) -> Tensor:
        """What the method is given, of whole tensors: put together from all parts, once a step."""
        given = self._stack.given[self._which]
        if self._shard is not None:
            given = self._gathered = together(given, self._shard) if self._gathered is None else self._gathered
        return given.reshape(len(given), *as_matrix(self._shape))
