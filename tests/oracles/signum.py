"""Signum, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Paper:
    """m ← βm + (1 − β)g; p ← p − α sign(m).

    Bernstein et al., arXiv:1802.04434, Algorithm 2, on one machine; `optax.signum`, MXNet's `Signum` (β = 0.9).
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.01,
        *,
        beta: float = 0.9,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta = beta
        self.m = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta * self.m + (1 - self.beta) * g
        self.p = self.p - alpha * np.sign(self.m)
        return self.p.copy()
