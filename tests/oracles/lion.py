"""Lion, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Paper:
    """c = β₁m + (1 − β₁)g; p ← p − α sign(c); then m ← β₂m + (1 − β₂)g.

    Chen et al., arXiv:2302.06675, Algorithm 2 without its decay: the direction takes the average of the step
    before, with β₁ = 0.9; the average itself moves afterwards, with β₂ = 0.99. `optax.lion`.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 1e-4,
        *,
        beta1: float = 0.9,
        beta2: float = 0.99,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2 = beta1, beta2
        self.m = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        c = self.beta1 * self.m + (1 - self.beta1) * g
        self.p = self.p - alpha * np.sign(c)
        self.m = self.beta2 * self.m + (1 - self.beta2) * g
        return self.p.copy()
