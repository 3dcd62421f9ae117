"""AdaMax, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Paper:
    """m average of g; u ← max(β₂u, |g|); p ← p − α/(1 − β₁ᵗ)·m/u.

    Kingma and Ba, arXiv:1412.6980, Algorithm 2, with its α = 0.002; deck C. There is no ε: an element whose
    gradients have all been 0 has 0/0, which the paper leaves open; here it stays where it is.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.002,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2 = beta1, beta2
        self.m = np.zeros_like(self.p)
        self.u = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.u = np.maximum(self.beta2 * self.u, np.abs(g))
        seen = self.u > 0
        d = np.zeros_like(g)
        d[seen] = self.m[seen] / self.u[seen]
        self.p = self.p - alpha / (1 - self.beta1**self.t) * d
        return self.p.copy()


class Eps:
    """As the paper's, with u ← max(β₂u, |g| + ε).

    `torch.optim.Adamax`: its documentation's pseudo-code; `optax.adamax`.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.002,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.u = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.u = np.maximum(self.beta2 * self.u, np.abs(g) + self.eps)
        self.p = self.p - alpha / (1 - self.beta1**self.t) * self.m / self.u
        return self.p.copy()
