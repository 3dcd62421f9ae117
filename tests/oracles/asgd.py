"""Averaged stochastic gradient descent, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Torch:
    """η_t = α/(1 + λα(t − 1))^power; p ← (1 − λη_t)p − η_t g; ax the mean of the p from step t₀ + 2 on.

    Polyak and Juditsky 1992, doi:10.1137/0330046; the rate as Xu, arXiv:1107.2490; defaults of `torch.optim.ASGD`. The
    mean is kept here as a list of points: before that it is the last one.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.01,
        *,
        lambd: float = 1e-4,
        power: float = 0.75,
        t0: float = 1e6,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.lambd, self.power, self.t0 = lambd, power, t0
        self.points: list[Array] = []

    @property
    def ax(self) -> Array:
        """The averaged parameter."""
        return np.mean(self.points, axis=0)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        eta = alpha / (1 + self.lambd * alpha * self.t) ** self.power
        self.t += 1
        self.p = self.p - eta * (self.lambd * self.p + g)
        self.points = [*(self.points if self.t > self.t0 + 2 else []), self.p]
        return self.p.copy()
