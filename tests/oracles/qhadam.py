"""QHAdam, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Paper:
    """p ← p − α((1 − ν₁)g + ν₁m̂)/(√((1 − ν₂)g² + ν₂v̂) + ε), with Adam's m̂ and v̂.

    Ma and Yarats, arXiv:1810.06801. The averages are kept corrected, as weighted means of the gradients seen: the
    weight of the newest of them is (1 − β)/(1 − βᵗ).
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        nu1: float = 0.8,
        nu2: float = 1.0,
        beta1: float = 0.99,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.nu1, self.nu2, self.beta1, self.beta2, self.eps = nu1, nu2, beta1, beta2, eps
        self.m_hat = np.zeros_like(self.p)
        self.v_hat = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        newest1 = (1 - self.beta1) / (1 - self.beta1**self.t)
        newest2 = (1 - self.beta2) / (1 - self.beta2**self.t)
        self.m_hat = (1 - newest1) * self.m_hat + newest1 * g
        self.v_hat = (1 - newest2) * self.v_hat + newest2 * g**2
        numerator = (1 - self.nu1) * g + self.nu1 * self.m_hat
        denominator = np.sqrt((1 - self.nu2) * g**2 + self.nu2 * self.v_hat) + self.eps
        self.p = self.p - alpha * numerator / denominator
        return self.p.copy()
