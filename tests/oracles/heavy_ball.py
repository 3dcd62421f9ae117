"""Heavy-ball momentum, by hand, in its four dialects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class RateInside:
    """v ← βv − αg; p ← p + v, with v = 0 at first.

    Polyak 1964, "Some methods of speeding up the convergence of iteration methods", as in Goodfellow, Bengio
    and Courville, Algorithm 8.2; decks A, D, E, and C with the sign of v turned. β = 0.9 is deck D's typical
    value.
    """

    def __init__(self, p0: ArrayLike, lr: float | Callable[[int], float], *, beta: float = 0.9) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta = beta
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.v = self.beta * self.v - alpha * g
        self.p = self.p + self.v
        return self.p.copy()


class RateOutside:
    """v ← βv + (1 − τ)g, but v ← g at the first step; p ← p − αv.

    `torch.optim.SGD(momentum=β, dampening=τ)`: its documentation's pseudo-code, where the first buffer is the
    undamped gradient. `optax.sgd(momentum=β)` is the same with τ = 0.
    """

    def __init__(
        self, p0: ArrayLike, lr: float | Callable[[int], float], *, beta: float = 0.9, dampening: float = 0.0
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta, self.dampening = beta, dampening
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.v = g if self.t == 1 else self.beta * self.v + (1 - self.dampening) * g
        self.p = self.p - alpha * self.v
        return self.p.copy()


class DampedAverage:
    """v ← βv + (1 − β)g; p ← p − αv, with v = 0 at first.

    The exponential moving average of the gradient: Adam's first moment (arXiv:1412.6980, Algorithm 1) without
    its correction; deck A's words "an exponentially decaying moving average of past gradients".
    """

    def __init__(self, p0: ArrayLike, lr: float | Callable[[int], float], *, beta: float = 0.9) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta = beta
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.v = self.beta * self.v + (1 - self.beta) * g
        self.p = self.p - alpha * self.v
        return self.p.copy()


class TwoSequences:
    """u ← u − β_t g; p ← p + γ_t u, with u = 0 at first and t from 0.

    Deck B, "momentum". `lr` is the sequence β_t, `gamma` the sequence γ_t. Nothing damps u but what γ_t does.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        gamma: float | Callable[[int], float] = 1.0,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.gamma = gamma
        self.u = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        beta_t, gamma_t = at(self.lr, self.t), at(self.gamma, self.t)
        self.t += 1
        self.u = self.u - beta_t * g
        self.p = self.p + gamma_t * self.u
        return self.p.copy()
