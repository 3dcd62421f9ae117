"""RMSProp, by hand, plain and centred."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class EpsOutside:
    """r ← ρr + (1 − ρ)g²; p ← p − αg/(√r + δ).

    Tieleman and Hinton, Coursera 2012, lecture 6.5 (ρ = 0.9, no δ; also deck C); deck A;
    `torch.optim.RMSprop`, whose ρ = 0.99 and δ = 1e-8 are the defaults here.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        rho: float = 0.99,
        eps: float = 1e-8,
        initial: float = 0.0,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho, self.eps = rho, eps
        self.r = np.full_like(self.p, initial)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho * self.r + (1 - self.rho) * g**2
        self.p = self.p - alpha * g / (np.sqrt(self.r) + self.eps)
        return self.p.copy()


class EpsInside:
    """r ← ρr + (1 − ρ)g²; p ← p − αg/√(r + δ).

    Goodfellow, Bengio and Courville, Algorithm 8.5 (deck B, δ = 1e-6); deck D (ρ = 0.99, δ = 1e-7, the
    defaults here); `optax.rmsprop` (ρ = 0.9, δ = 1e-8).
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        rho: float = 0.99,
        eps: float = 1e-7,
        initial: float = 0.0,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho, self.eps = rho, eps
        self.r = np.full_like(self.p, initial)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho * self.r + (1 - self.rho) * g**2
        self.p = self.p - alpha * g / np.sqrt(self.r + self.eps)
        return self.p.copy()


class Centred:
    """r ← ρr + (1 − ρ)g²; m ← ρm + (1 − ρ)g; p ← p − αg/(√(r − m²) + δ).

    `torch.optim.RMSprop(centered=True)`: its documentation's pseudo-code and defaults.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        rho: float = 0.99,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho, self.eps = rho, eps
        self.r = np.zeros_like(self.p)
        self.m = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho * self.r + (1 - self.rho) * g**2
        self.m = self.rho * self.m + (1 - self.rho) * g
        self.p = self.p - alpha * g / (np.sqrt(self.r - self.m**2) + self.eps)
        return self.p.copy()


class CentredEpsInside:
    """r ← ρr + (1 − ρ)g²; m ← ρm + (1 − ρ)g; p ← p − αg/√(r − m² + δ).

    Graves, arXiv:1308.0850, Eq. 38 to 40 without their momentum (ρ = 0.95, δ = 1e-4, the defaults here);
    `optax.rmsprop(centered=True)`.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        rho: float = 0.95,
        eps: float = 1e-4,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho, self.eps = rho, eps
        self.r = np.zeros_like(self.p)
        self.m = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho * self.r + (1 - self.rho) * g**2
        self.m = self.rho * self.m + (1 - self.rho) * g
        self.p = self.p - alpha * g / np.sqrt(self.r - self.m**2 + self.eps)
        return self.p.copy()
