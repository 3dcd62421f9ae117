"""AdaBelief, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Paper:
    """m ← β₁m + (1 − β₁)g; s ← β₂s + (1 − β₂)(g − m)² + ε; p ← p − α m̂/(√ŝ + ε).

    Zhuang et al., arXiv:2010.07468, Algorithm 2, without projection: the m of the new step stands in s, and ε is
    added to s before its correction, at every step. `optax.adabelief` with both its ε alike.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.s = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.s = self.beta2 * self.s + (1 - self.beta2) * (g - self.m) ** 2 + self.eps
        m_hat = self.m / (1 - self.beta1**self.t)
        s_hat = self.s / (1 - self.beta2**self.t)
        self.p = self.p - alpha * m_hat / (np.sqrt(s_hat) + self.eps)
        return self.p.copy()
