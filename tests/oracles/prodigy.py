"""Prodigy, by hand: Adam that estimates the distance to the solution, and faster than D-Adaptation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.d_adaptation import dot
from oracles.protocol import Array, at, float64s, norm, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Adam:
    """m' = β₁m + (1 − β₁)dg; v' = β₂v + (1 − β₂)d²g²; x ← x − γd(m'/(√v' + d'ε) + λx).

    r' = β₃r + γ(d²/d₀)⟨g, x₀ − x⟩; s' = β₃s + γ(d²/d₀)g; d̂ = d_coef·r'/‖s'‖₁; d' = max(d, d̂), which grows by no
    more than `growth_rate` a step; β₃ = √β₂ if not given. Mishchenko and Defazio, arXiv:2306.06101, the Adam
    version of Prodigy, as the authors' code says it, `prodigyopt.Prodigy`: r and s over d₀, which cancels in d̂; the
    new d in the ε's term; the decay decoupled. `use_bias_correction` multiplies γ by √(1 − β₂ᵗ)/(1 − β₁ᵗ), in r and
    s too; `safeguard_warmup` leaves γ (so multiplied) out of s. With the correction it is `optax.contrib.prodigy`.
    The estimate is the attribute `d`. A step at γ = 0, or before any gradient differs from 0, does nothing and does
    not count for the correction, as in the code.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1.0,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        beta3: float | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        d0: float = 1e-6,
        d_coef: float = 1.0,
        growth_rate: float = np.inf,
        use_bias_correction: bool = False,
        safeguard_warmup: bool = False,
    ) -> None:
        self.p, self.lr, self.t, self.k = float64s(p0), lr, 0, 0
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        self.beta3 = np.sqrt(beta2) if beta3 is None else beta3
        self.d0, self.d, self.d_max, self.d_coef, self.growth_rate = d0, d0, d0, d_coef, growth_rate
        self.use_bias_correction, self.safeguard_warmup = use_bias_correction, safeguard_warmup
        self.x0 = float64s(p0)
        self.m, self.v, self.s = zeros_for(self.p), zeros_for(self.p), zeros_for(self.p)
        self.r = 0.0

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        g = float64s(gradients)
        gamma, d = at(self.lr, self.t), self.d
        self.t += 1
        if gamma == 0 or (self.k == 0 and norm(g) == 0):
            return float64s(self.p)
        self.k += 1
        rate = d * gamma
        if self.use_bias_correction:
            rate *= np.sqrt(1 - self.beta2**self.k) / (1 - self.beta1**self.k)
        gone = [x0 - p for x0, p in zip(self.x0, self.p, strict=True)]
        self.r = self.beta3 * self.r + d / self.d0 * rate * dot(g, gone)
        weight = d / self.d0 * (d if self.safeguard_warmup else rate)
        for i in range(len(g)):
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * d * g[i]
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * d**2 * g[i] ** 2
            self.s[i] = self.beta3 * self.s[i] + weight * g[i]
        d_hat = self.d_coef * self.r / norm(self.s, 1)
        self.d_max = max(self.d_max, d_hat)
        first = max(d, d_hat) if d == self.d0 else d  # from d₀ it may leap, whatever `growth_rate` says
        self.d = min(self.d_max, first * self.growth_rate)
        for i in range(len(g)):
            decayed = self.p[i] - self.weight_decay * rate * self.p[i]
            self.p[i] = decayed - rate * self.m[i] / (np.sqrt(self.v[i]) + self.d * self.eps)
        return float64s(self.p)
