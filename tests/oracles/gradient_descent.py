"""Gradient descent, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class GradientDescent:
    """p ← p − αg. Cauchy 1847; decks A, B, C, D, E; `torch.optim.SGD` without momentum."""

    def __init__(self, p0: ArrayLike, lr: float | Callable[[int], float]) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.p = self.p - alpha * g
        return self.p.copy()
