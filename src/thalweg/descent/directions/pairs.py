"""The last steps and how the gradient changed along them, and the inverse Hessian that they stand for, times a vector.

Nocedal 1980's two loops are two triangular systems: with the steps as the rows of S, the changes as those of Y, and R
the upper triangle of SYᵀ in the order in which they came, Hg = r + Sᵀc with Rα = Sg, r = γ(g − Yᵀα), Rᵀc = Dα − Yr and
D the diagonal of R. So a product is four passes over a matrix, however many pairs there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import dot

from thalweg.descent.remembering import Remembering

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_FIRST = 8
"""How many rows there is room for at first."""


class Pairs(Remembering):
    """The last `memory` pairs of s and y; the oldest is overwritten. γ = sᵀy/yᵀy of the newest, 1 while there is none.

    The inverse of R is kept, with rows and columns where those of S and Y are: a pair adds a column, and R's inverse
    without the oldest pair is its own inverse's part.
    """

    remembers = ("memory", "_matrices", "gamma", "_count", "_next")
    _matrices: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
    """S and Y, a row for each pair; the inverse of R; the diagonal of R."""

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self.gamma: Tensor | float = 1.0
        self._count = self._next = 0

    def __len__(self) -> int:
        return self._count

    def add(self, s: Tensor, y: Tensor, curvature: Tensor) -> None:
        """Take up a pair with its sᵀy, which is above 0."""
        S, Y, inverse, curvatures = self._matrices = self._with_room(s)
        at, self._next = self._next, (self._next + 1) % self.memory
        self._count = max(self._count, at + 1)
        S[at], Y[at], curvatures[at] = s, y, curvature
        inverse[at] = 0
        inverse[:, at] = 0
        filled = inverse[: self._count, : self._count]
        filled[:, at] = (filled @ (S[: self._count] @ y)) / -curvature
        filled[at, at] = 1 / curvature
        self.gamma = curvature / dot(y, y)

    def times(self, g: Tensor) -> Tensor:
        """The inverse Hessian times a vector."""
        if self._matrices is None:
            return g
        S, Y, inverse, curvatures = (matrix[: self._count] for matrix in self._matrices)
        inverse = inverse[:, : self._count]
        alpha = inverse @ (S @ g)
        r = torch.addmv(g, Y.T, alpha, alpha=-1).mul_(self.gamma)
        c = inverse.T @ torch.addcmul(Y @ r, curvatures, alpha, value=-1)
        return r.addmv_(S.T, c, alpha=-1)

    def in_order(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """s, y and sᵀy of each pair, the oldest first, as parts of the matrices."""
        if self._matrices is None:
            return []
        S, Y, _, curvatures = self._matrices
        first = self._next % self._count
        return [(S[at], Y[at], curvatures[at]) for at in (*range(first, self._count), *range(first))]

    def clear(self) -> None:
        """Forget them all."""
        self._matrices, self.gamma, self._count, self._next = None, 1.0, 0, 0

    def state(self) -> dict[str, Any]:
        """As of all that remember, with copies of the matrices, which are written over."""
        copies = self._matrices and tuple(matrix.clone() for matrix in self._matrices)
        return {**super().state(), "matrices": copies}

    def restore(self, state: Mapping[str, Any]) -> None:
        """As of all that remember, with copies of the matrices."""
        super().restore(state)
        super().restore(self.state())

    def _with_room(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The matrices, with room for one more row."""
        if self._matrices is None:
            rows = like.new_empty((0, like.numel()))
            self._matrices = (rows, rows, rows.new_empty((0, 0)), rows.new_empty(0))
        steps, changes, inverse, curvatures = self._matrices
        height = len(steps)
        if self._next < height:
            return self._matrices
        more = min(self.memory, max(_FIRST, 2 * height)) - height
        return (
            torch.nn.functional.pad(steps, (0, 0, 0, more)),
            torch.nn.functional.pad(changes, (0, 0, 0, more)),
            torch.nn.functional.pad(inverse, (0, more, 0, more)),
            torch.nn.functional.pad(curvatures, (0, more)),
        )
