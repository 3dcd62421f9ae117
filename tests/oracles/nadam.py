"""NAdam, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Torch:
    """μ_t = β₁(1 − ½·0.96^(tψ)); p ← p − α(μ_{t+1}m/(1 − Π_{i≤t+1}μ_i) + (1 − μ_t)g/(1 − Π_{i≤t}μ_i))/(√v̂ + ε).

    Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016, Algorithm 2 with the schedule of
    its section 4, where the average m has β₁ as in `torch.optim.NAdam`'s documentation; its defaults. The products are
    taken anew at each step.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.002,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        momentum_decay: float = 0.004,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps, self.psi = beta1, beta2, eps, momentum_decay
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def mu(self, t: float | Array) -> Array:
        """The momentum of step t."""
        return float64(self.beta1 * (1 - 0.5 * 0.96 ** (t * self.psi)))

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        all_of_them = self.mu(np.arange(1.0, self.t + 2))
        m_bar = all_of_them[-1] * self.m / (1 - np.prod(all_of_them))
        g_hat = (1 - all_of_them[-2]) * g / (1 - np.prod(all_of_them[:-1]))
        v_hat = self.v / (1 - self.beta2**self.t)
        self.p = self.p - alpha * (m_bar + g_hat) / (np.sqrt(v_hat) + self.eps)
        return self.p.copy()
