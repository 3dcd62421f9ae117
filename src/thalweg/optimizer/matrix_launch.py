"""The call of a matrix method for those members of a stack that move: all their directions at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.matrix import as_matrix

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
        self._size = (len(members), *as_matrix(members[0].parameter.shape))

    def look(self) -> Member | None:
        """The first member whose direction, as it is given, has no finite length; nothing is changed."""
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
        stack.direction[which] = made.reshape(len(made), *stack.direction.shape[1:]).to(stack.direction.dtype)
        if isinstance(which, torch.Tensor):  # what it has been given are copies
            for local, name in own.items():
                stack.states[name][which] = states[local]

    def _given(self) -> Tensor:
        return self._stack.given[self._which].reshape(self._size)
