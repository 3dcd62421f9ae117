"""Adan, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Corrected:
    """p ← (p − α(m̂ + (1 − β₂)v̂)/(√n̂ + ε))/(1 + αλ).

    With Δ = g − g_prev: m ← (1 − β₁)m + β₁g; v ← (1 − β₂)v + β₂Δ; n ← (1 − β₃)n + β₃(g + (1 − β₂)Δ)².
    Xie et al., arXiv:2208.06677, Algorithm 1, in the paper's letters: a β is the weight of the new value. As in the
    authors' code the averages start at zero and are corrected for it, and the first Δ is zero.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.02,
        beta2: float = 0.08,
        beta3: float = 0.01,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.beta3, self.eps, self.weight_decay = beta1, beta2, beta3, eps, weight_decay
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)
        self.n = np.zeros_like(self.p)
        self.g_prev = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        difference = g - self.g_prev if self.t > 1 else np.zeros_like(g)
        self.m = (1 - self.beta1) * self.m + self.beta1 * g
        self.v = (1 - self.beta2) * self.v + self.beta2 * difference
        self.n = (1 - self.beta3) * self.n + self.beta3 * (g + (1 - self.beta2) * difference) ** 2
        m_hat = self.m / (1 - (1 - self.beta1) ** self.t)
        v_hat = self.v / (1 - (1 - self.beta2) ** self.t)
        n_hat = self.n / (1 - (1 - self.beta3) ** self.t)
        eta = alpha / (np.sqrt(n_hat) + self.eps)
        self.p = (self.p - eta * (m_hat + (1 - self.beta2) * v_hat)) / (1 + self.weight_decay * alpha)
        self.g_prev = g
        return self.p.copy()
