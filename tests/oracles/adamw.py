"""Adam with decoupled weight decay, by hand: what the decay is multiplied with makes the dialects.

The decay acts on the parameter before the step in all three; Adam itself is Algorithm 1 of arXiv:1412.6980.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class CoupledToRate:
    """p ← p − α_t λ p − α_t m̂/(√v̂ + ε): the decay scales with the rate.

    `torch.optim.AdamW`: its documentation's pseudo-code and defaults (λ = 0.01); `optax.adamw` (λ = 1e-4).
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        m_hat = self.m / (1 - self.beta1**self.t)
        v_hat = self.v / (1 - self.beta2**self.t)
        self.p = self.p - alpha * self.weight_decay * self.p - alpha * m_hat / (np.sqrt(v_hat) + self.eps)
        return self.p.copy()


class Paper:
    """p ← p − η_t(α m̂/(√v̂ + ε) + λp): the decay scales with the schedule's multiplier alone.

    Loshchilov and Hutter, arXiv:1711.05101, Algorithm 2, line 12 with the decoupled decay (deck B). `lr` is
    α, a number; `eta` is η_t, a number or a function of the steps already done.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        eta: float | Callable[[int], float] = 1.0,
    ) -> None:
        self.p, self.alpha, self.eta, self.t = float64(p0), lr, eta, 0
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        eta_t = at(self.eta, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        m_hat = self.m / (1 - self.beta1**self.t)
        v_hat = self.v / (1 - self.beta2**self.t)
        self.p = self.p - eta_t * (self.alpha * m_hat / (np.sqrt(v_hat) + self.eps) + self.weight_decay * self.p)
        return self.p.copy()


class FullyDecoupled:
    """p ← p − λp − α_t m̂/(√v̂ + ε): the decay is what it is, whatever the rate or its schedule do.

    Loshchilov and Hutter's proposal taken at its word (section 3, where λ is the rate of decay per step), as
    deck B's claim that it separates the best λ from the best α needs it. With η_t = 1 it is the paper's.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        m_hat = self.m / (1 - self.beta1**self.t)
        v_hat = self.v / (1 - self.beta2**self.t)
        self.p = self.p - self.weight_decay * self.p - alpha * m_hat / (np.sqrt(v_hat) + self.eps)
        return self.p.copy()
