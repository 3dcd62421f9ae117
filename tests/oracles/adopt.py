"""ADOPT, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Clipped:
    """v₀ = g₀²; from t = 1 on m ← β₁m + (1 − β₁) clip(g/max(√v, ε), ±t^(1/4)); p ← p − αm; v ← β₂v + (1 − β₂)g².

    Taniguchi et al., arXiv:2411.02853, Algorithm 2: the first gradient starts v and moves nothing, and v takes a
    gradient only after it has been used. `optax.contrib.adopt`.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.9999,
        eps: float = 1e-6,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        if self.t == 1:
            self.v = g**2
            return self.p.copy()
        bound = (self.t - 1) ** 0.25
        scaled = np.clip(g / np.maximum(np.sqrt(self.v), self.eps), -bound, bound)
        self.m = self.beta1 * self.m + (1 - self.beta1) * scaled
        self.p = self.p - alpha * self.m
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        return self.p.copy()
