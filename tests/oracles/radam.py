"""RAdam, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Rectified:
    """As Adam where ρ_t > 5, with l_t = √(1 − β₂ᵗ)/(√v + ε) and p ← p − αr_t m̂ l_t; before that p ← p − αm̂.

    ρ∞ = 2/(1 − β₂) − 1; ρ_t = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ);
    r_t = √((ρ_t − 4)(ρ_t − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ_t)).

    Liu et al., arXiv:1908.03265, Algorithm 2, whose threshold is 4 and which has no ε; both as
    `torch.optim.RAdam` has them, and its defaults.
    """

    threshold = 5.0

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
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        m_hat = self.m / (1 - self.beta1**self.t)
        longest = 2 / (1 - self.beta2) - 1
        power = self.beta2**self.t
        length = longest - 2 * self.t * power / (1 - power)
        if length > self.threshold:
            inverse = np.sqrt(1 - power) / (np.sqrt(self.v) + self.eps)
            above, below = (length - 4) * (length - 2) * longest, (longest - 4) * (longest - 2) * length
            self.p = self.p - alpha * np.sqrt(above / below) * m_hat * inverse
        else:
            self.p = self.p - alpha * m_hat
        return self.p.copy()
