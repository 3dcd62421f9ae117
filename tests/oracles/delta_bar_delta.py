"""Delta-bar-delta, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Jacobs:
    """δ̄·g > 0: ε ← ε + κ; < 0: ε ← (1 − φ)ε; p ← p − εg; then δ̄ ← (1 − θ)g + θδ̄. Each weight has its own ε.

    Jacobs, "Increased rates of convergence through learning rate adaptation", Neural Networks 1 (1988), Eq. 5 and 6;
    deck C. `lr` is the rate that every weight starts with, and `kappa` counts in it.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        kappa: float = 0.05,
        phi: float = 0.05,
        theta: float = 0.7,
    ) -> None:
        self.p = float64(p0)
        self.kappa, self.phi, self.theta = kappa * at(lr, 0), phi, theta
        self.rates = np.full_like(self.p, at(lr, 0))
        self.mean = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        for i, product in enumerate(self.mean * g):
            if product > 0:
                self.rates[i] += self.kappa
            elif product < 0:
                self.rates[i] -= self.phi * self.rates[i]
        self.p = self.p - self.rates * g
        self.mean = (1 - self.theta) * g + self.theta * self.mean
        return self.p.copy()


class Hinton:
    """Where v and −g agree: w ← w + κ; where they differ: w ← (1 − φ)w; w within bounds; v ← βv − αwg; p ← p + v.

    Tieleman and Hinton, Neural Networks for Machine Learning, lecture 6.4, with the combination with momentum that its
    last slide names (Jacobs: agreement of the gradient with that weight's velocity); deck C's sentence.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        kappa: float = 0.05,
        phi: float = 0.05,
        beta: float = 0.9,
        lowest: float = 0.1,
        highest: float = 10.0,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.kappa, self.phi, self.beta, self.lowest, self.highest = kappa, phi, beta, lowest, highest
        self.gains = np.ones_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        agreeing = np.sign(-g) * np.sign(self.v)
        self.gains[agreeing == 1] += self.kappa
        self.gains[agreeing == -1] *= 1 - self.phi
        self.gains = np.clip(self.gains, self.lowest, self.highest)
        self.v = self.beta * self.v - alpha * self.gains * g
        self.p = self.p + self.v
        return self.p.copy()
