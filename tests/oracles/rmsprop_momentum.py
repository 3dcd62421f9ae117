"""RMSProp with momentum, by hand: where the rate stands, and where δ stands, makes the dialects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class RateOutside:
    """r ← ρr + (1 − ρ)g²; b ← μb + g/(√r + δ); p ← p − αb.

    `torch.optim.RMSprop(momentum=μ)`: its documentation's pseudo-code; ρ and δ default as there, μ as in deck
    D.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        rho: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.9,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho, self.eps, self.momentum = rho, eps, momentum
        self.r = np.zeros_like(self.p)
        self.b = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho * self.r + (1 - self.rho) * g**2
        self.b = self.momentum * self.b + g / (np.sqrt(self.r) + self.eps)
        self.p = self.p - alpha * self.b
        return self.p.copy()


class RateOutsideCentred:
    """r ← ρr + (1 − ρ)g²; m ← ρm + (1 − ρ)g; b ← μb + g/(√(r − m²) + δ); p ← p − αb.

    `torch.optim.RMSprop(momentum=μ, centered=True)`: its documentation's pseudo-code.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        rho: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.9,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho, self.eps, self.momentum = rho, eps, momentum
        self.r = np.zeros_like(self.p)
        self.m = np.zeros_like(self.p)
        self.b = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho * self.r + (1 - self.rho) * g**2
        self.m = self.rho * self.m + (1 - self.rho) * g
        self.b = self.momentum * self.b + g / (np.sqrt(self.r - self.m**2) + self.eps)
        self.p = self.p - alpha * self.b
        return self.p.copy()


class RateInside:
    """r ← ρr + (1 − ρ)g²; v ← μv − αg/√(r + δ); p ← p + v.

    Deck D's slide "RMSProp with momentum" (μ = 0.9, ρ = 0.99, δ = 1e-7, the defaults here); Goodfellow,
    Bengio and Courville, Algorithm 8.6, without its look-ahead; `optax.rmsprop(momentum=μ)`.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        rho: float = 0.99,
        eps: float = 1e-7,
        momentum: float = 0.9,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho, self.eps, self.momentum = rho, eps, momentum
        self.r = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho * self.r + (1 - self.rho) * g**2
        self.v = self.momentum * self.v - alpha * g / np.sqrt(self.r + self.eps)
        self.p = self.p + self.v
        return self.p.copy()


class RateInsideEpsOutside:
    """r ← ρr + (1 − ρ)g²; v ← μv − αg/(√r + δ); p ← p + v.

    Deck D's code beside that slide, with the defaults it sets.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        rho: float = 0.99,
        eps: float = 1e-7,
        momentum: float = 0.9,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho, self.eps, self.momentum = rho, eps, momentum
        self.r = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho * self.r + (1 - self.rho) * g**2
        self.v = self.momentum * self.v - alpha * g / (np.sqrt(self.r) + self.eps)
        self.p = self.p + self.v
        return self.p.copy()


class Graves:
    """r ← ρr + (1 − ρ)g²; m ← ρm + (1 − ρ)g; v ← μv − αg/√(r − m² + δ); p ← p + v.

    Graves, arXiv:1308.0850, Eq. 38 to 41, with his ρ = 0.95, μ = 0.9 and δ = 1e-4 (and α = 1e-4).
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        rho: float = 0.95,
        eps: float = 1e-4,
        momentum: float = 0.9,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho, self.eps, self.momentum = rho, eps, momentum
        self.r = np.zeros_like(self.p)
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho * self.r + (1 - self.rho) * g**2
        self.m = self.rho * self.m + (1 - self.rho) * g
        self.v = self.momentum * self.v - alpha * g / np.sqrt(self.r - self.m**2 + self.eps)
        self.p = self.p + self.v
        return self.p.copy()


class Nesterov:
    """r ← ρr + (1 − ρ)g²; v' ← μv − αg/√(r + δ); p ← p + v' + μ(v' − v).

    Deck D: "It is also possible to RMSProp with Nesterov momentum", in the change of variables that the same
    deck derives for Nesterov momentum; `optax.rmsprop(momentum=μ, nesterov=True)`.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        rho: float = 0.99,
        eps: float = 1e-7,
        momentum: float = 0.9,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.rho, self.eps, self.momentum = rho, eps, momentum
        self.r = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.rho * self.r + (1 - self.rho) * g**2
        v_old = self.v
        v_new = self.momentum * v_old - alpha * g / np.sqrt(self.r + self.eps)
        self.p = self.p + v_new + self.momentum * (v_new - v_old)
        self.v = v_new
        return self.p.copy()
