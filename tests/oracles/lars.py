"""LARS, by hand: every tensor's rate is a share of the tensor's own norm over its gradient's.

The norms are of the tensor before the step. The ratio is 1 where either of them is 0, as in timm and optax; the
paper does not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oracles.protocol import Array, at, float64s, norm, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Paper:
    """λ = η‖p‖/(‖g‖ + β‖p‖); v ← mv + γλ(g + βp); p ← p − v, with the weight decay β.

    You, Gitman and Ginsburg, arXiv:1708.03888, Algorithm 1 with the coefficient η of Eq. 6: the rates, the global
    γ and the local λ, stand inside the momentum.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float],
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0005,
        eta: float = 0.001,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.momentum, self.weight_decay, self.eta = momentum, weight_decay, eta
        self.v = zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        gamma = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            w_norm, g_norm = norm([self.p[i]]), norm([g])
            ratio = 1.0
            if w_norm > 0 and g_norm > 0:
                ratio = self.eta * w_norm / (g_norm + self.weight_decay * w_norm)
            self.v[i] = self.momentum * self.v[i] + gamma * ratio * (g + self.weight_decay * self.p[i])
            self.p[i] = self.p[i] - self.v[i]
        return float64s(self.p)


class RateOutside:
    """λ = η‖p‖/(‖g‖ + β‖p‖ + ε); v ← mv + λ(g + βp); p ← p − γv: the local rate inside, the global one outside.

    `timm.optim.Lars` with its ε = 1e-8 (which adapts only where β ≠ 0, unless `always_adapt`).
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float],
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0005,
        eta: float = 0.001,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.momentum, self.weight_decay, self.eta, self.eps = momentum, weight_decay, eta, eps
        self.v = zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        gamma = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            w_norm, g_norm = norm([self.p[i]]), norm([g])
            ratio = 1.0
            if w_norm > 0 and g_norm > 0:
                ratio = self.eta * w_norm / (g_norm + self.weight_decay * w_norm + self.eps)
            self.v[i] = self.momentum * self.v[i] + ratio * (g + self.weight_decay * self.p[i])
            self.p[i] = self.p[i] - gamma * self.v[i]
        return float64s(self.p)


class NormOfSum:
    """u = g + βp; λ = η‖p‖/(‖u‖ + ε); v ← mv + γλu; p ← p − v: the norm of the sum, not the sum of the norms.

    `optax.lars(learning_rate=γ, weight_decay=β, trust_coefficient=η, eps=ε, momentum=m)`, which has ε = 0.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float],
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eta: float = 0.001,
        eps: float = 0.0,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.momentum, self.weight_decay, self.eta, self.eps = momentum, weight_decay, eta, eps
        self.v = zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        gamma = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            u = g + self.weight_decay * self.p[i]
            w_norm, u_norm = norm([self.p[i]]), norm([u])
            ratio = self.eta * w_norm / (u_norm + self.eps) if w_norm > 0 and u_norm > 0 else 1.0
            self.v[i] = self.momentum * self.v[i] + gamma * ratio * u
            self.p[i] = self.p[i] - self.v[i]
        return float64s(self.p)
