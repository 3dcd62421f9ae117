"""AdaDelta, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class RateOutside:
    """r ← ρr + (1 − ρ)g²; d = √(q + ε)/√(r + ε)·g; q ← ρq + (1 − ρ)d²; p ← p − αd.

    Zeiler, arXiv:1212.5701, Algorithm 1, whose α is 1 and whose experiments have ρ = 0.95, ε = 1e-6;
    `torch.optim.Adadelta` (ρ = 0.9, ε = 1e-6, the defaults here); `optax.adadelta`.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 1.0,
        *,
        rho: float = 0.9,
        eps: float = 1e-6,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho, self.eps = rho, eps
        self.r = np.zeros_like(self.p)
        self.q = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho * self.r + (1 - self.rho) * g**2
        d = np.sqrt(self.q + self.eps) / np.sqrt(self.r + self.eps) * g
        self.q = self.rho * self.q + (1 - self.rho) * d**2
        self.p = self.p - alpha * d
        return self.p.copy()


class RateInside:
    """r ← ρ₁r + (1 − ρ₁)g²; v = α√(q + ε)/√(r + ε)·g; p ← p − v; q ← ρ₂q + (1 − ρ₂)v².

    Deck C, "AdaDelta Update Rule", with the ε of Zeiler's paper that the deck leaves out: the rate is part of
    the update that is accumulated, and the two averages have their own decay rates.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 1.0,
        *,
        rho1: float = 0.9,
        rho2: float = 0.9,
        eps: float = 1e-6,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho1, self.rho2, self.eps = rho1, rho2, eps
        self.r = np.zeros_like(self.p)
        self.q = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho1 * self.r + (1 - self.rho1) * g**2
        v = alpha * np.sqrt(self.q + self.eps) / np.sqrt(self.r + self.eps) * g
        self.p = self.p - v
        self.q = self.rho2 * self.q + (1 - self.rho2) * v**2
        return self.p.copy()
