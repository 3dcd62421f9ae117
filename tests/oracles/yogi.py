"""Yogi, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Paper:
    """m ← β₁m + (1 − β₁)g; v ← v − (1 − β₂) sign(v − g²)g²; p ← p − α m/(√v + ε).

    Zaheer et al., Adaptive Methods for Nonconvex Optimization (NeurIPS 2018), Algorithm 2: without correction for
    the start.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.01,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-3,
        v0: float = 1e-6,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.v = np.full_like(self.p, v0)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        toward = np.where(g**2 > self.v, 1.0, np.where(g**2 < self.v, -1.0, 0.0))
        self.v = self.v + (1 - self.beta2) * toward * g**2
        self.p = self.p - alpha * self.m / (np.sqrt(self.v) + self.eps)
        return self.p.copy()


class Corrected:
    """As `Paper`, with m and v divided by 1 − β₁ᵗ and 1 − β₂ᵗ.

    `optax.yogi` and TensorFlow Federated's `build_yogi`, but for optax's m, which starts at 1e-6 as v does.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.01,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-3,
        v0: float = 1e-6,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.v = np.full_like(self.p, v0)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        toward = np.where(g**2 > self.v, 1.0, np.where(g**2 < self.v, -1.0, 0.0))
        self.v = self.v + (1 - self.beta2) * toward * g**2
        m_hat = self.m / (1 - self.beta1**self.t)
        v_hat = self.v / (1 - self.beta2**self.t)
        self.p = self.p - alpha * m_hat / (np.sqrt(v_hat) + self.eps)
        return self.p.copy()
