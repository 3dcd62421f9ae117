"""LAMB, by hand: Adam's direction with the decay added, scaled to the norm of the tensor it moves.

φ(z) = min(max(z, γₗ), γᵤ), the identity with γₗ = 0 and γᵤ = ∞. The trust ratio φ(‖p‖)/‖u‖ is 1 where ‖p‖ or
‖u‖ is 0, as in `optax.lamb` and `timm.optim.Lamb`; the paper does not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, norm, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Corrected:
    """m̂, v̂ Adam's; u = m̂/(√v̂ + ε) + λp; p ← p − η φ(‖p‖)/‖u‖·u, for each tensor.

    You et al., arXiv:1904.00962, Algorithm 2. `optax.lamb` (ε = 1e-6, λ = 0 as it comes);
    `timm.optim.Lamb(max_grad_norm=None, always_adapt=True)` (ε = 1e-6, λ = 0.01).
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        phi_min: float = 0.0,
        phi_max: float = np.inf,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        self.phi_min, self.phi_max = phi_min, phi_max
        self.m, self.v = zeros_for(self.p), zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        eta = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * g
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * g**2
            m_hat = self.m[i] / (1 - self.beta1**self.t)
            v_hat = self.v[i] / (1 - self.beta2**self.t)
            u = m_hat / (np.sqrt(v_hat) + self.eps) + self.weight_decay * self.p[i]
            self.p[i] = self.p[i] - eta * trust_ratio(self.p[i], u, self.phi_min, self.phi_max) * u
        return float64s(self.p)


class Uncorrected:
    """u = m/(√v + ε) + λp; p ← p − η φ(‖p‖)/‖u‖·u: Algorithm 2 without the lines that correct the bias.

    With λ = 0 and ε = 0 it takes the very steps of `Corrected`, since the ratio takes out any common factor.
    `timm.optim.Lamb(bias_correction=False)`.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        phi_min: float = 0.0,
        phi_max: float = np.inf,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        self.phi_min, self.phi_max = phi_min, phi_max
        self.m, self.v = zeros_for(self.p), zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        eta = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * g
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * g**2
            u = self.m[i] / (np.sqrt(self.v[i]) + self.eps) + self.weight_decay * self.p[i]
            self.p[i] = self.p[i] - eta * trust_ratio(self.p[i], u, self.phi_min, self.phi_max) * u
        return float64s(self.p)


def trust_ratio(p: Array, u: Array, phi_min: float, phi_max: float) -> float:
    """φ(‖p‖)/‖u‖, and 1 where either norm is 0."""
    p_norm, u_norm = norm([p]), norm([u])
    if p_norm == 0 or u_norm == 0:
        return 1.0
    return min(max(p_norm, phi_min), phi_max) / u_norm
