"""D-Adaptation, by hand: SGD and Adam that estimate from below how far the solution is, and step accordingly.

Defazio and Mishchenko, arXiv:2301.07733. `lr` is γ, 1 as it comes: a schedule around 1 is what it is for. The
estimate is the attribute `d`; it starts at `d0`, never falls, and grows by no more than `growth_rate` a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, norm, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class SGD:
    """λ = dγ/‖g₀‖; s' = s + λg; z = x₀ − s'; x ← βx + (1 − β)z; d̂ = 2Σλ⟨g, s⟩/‖s'‖; d ← max(d, d̂).

    The paper's SGD with D-Adaptation; `dadaptation.DAdaptSGD(momentum=β)`. Norms and products are over the
    model; the product takes the s before the step. While no gradient has differed from 0 nothing moves: there is
    nothing yet to divide by, and ‖g₀‖ is taken at the first that does.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1.0,
        *,
        momentum: float = 0.0,
        d0: float = 1e-6,
        growth_rate: float = np.inf,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.momentum, self.growth_rate, self.d = momentum, growth_rate, d0
        self.x0 = float64s(p0)
        self.s = zeros_for(self.p)
        self.g0_norm, self.numerator = 0.0, 0.0

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        g = float64s(gradients)
        gamma = at(self.lr, self.t)
        self.t += 1
        if self.g0_norm == 0:
            self.g0_norm = norm(g)
        if self.g0_norm == 0:
            return float64s(self.p)
        rate = self.d * gamma / self.g0_norm
        self.numerator += rate * dot(g, self.s)
        self.s = [s + rate * g_i for s, g_i in zip(self.s, g, strict=True)]
        if norm(self.s) > 0:
            d_hat = 2 * self.numerator / norm(self.s)
            self.d = max(self.d, min(d_hat, self.d * self.growth_rate))
        for i, x0 in enumerate(self.x0):
            z = x0 - self.s[i]
            self.p[i] = self.momentum * self.p[i] + (1 - self.momentum) * z
        return float64s(self.p)


class Adam:
    """λ = dγ; m' = β₁m + (1 − β₁)λg; v' as Adam's; x ← x − m'/(√v' + ε); s' = √β₂s + (1 − √β₂)λg.

    r' = √β₂r + (1 − √β₂)λ⟨g, s/(√v' + ε)⟩; d̂ = r'/((1 − √β₂)‖s'‖₁); d ← max(d, d̂): the paper's Adam with
    D-Adaptation, which weighs the product with the second moment after this step's gradient.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1.0,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        d0: float = 1e-6,
        growth_rate: float = np.inf,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.eps, self.growth_rate, self.d = beta1, beta2, eps, growth_rate, d0
        self.m, self.v, self.s = zeros_for(self.p), zeros_for(self.p), zeros_for(self.p)
        self.r = 0.0

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        g = float64s(gradients)
        rate = self.d * at(self.lr, self.t)
        self.t += 1
        root = np.sqrt(self.beta2)
        for i in range(len(g)):
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * rate * g[i]
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * g[i] ** 2
            self.p[i] = self.p[i] - self.m[i] / (np.sqrt(self.v[i]) + self.eps)
        weighted = [s / (np.sqrt(v) + self.eps) for s, v in zip(self.s, self.v, strict=True)]
        self.r = root * self.r + (1 - root) * rate * dot(g, weighted)
        self.s = [root * s + (1 - root) * rate * g_i for s, g_i in zip(self.s, g, strict=True)]
        size = norm(self.s, 1)
        if size > 0:
            d_hat = self.r / ((1 - root) * size)
            self.d = max(self.d, min(d_hat, self.d * self.growth_rate))
        return float64s(self.p)


class AdamOfCode:
    """As `Adam`, but the product is weighed with the second moment before this step's gradient, √v + ε.

    `dadaptation.DAdaptAdam`, whose other options are here too: `use_bias_correction` multiplies λ by
    √(1 − β₂ᵗ)/(1 − β₁ᵗ), and the decay is decoupled, x ← x − λwx, as with `decouple=True`. With the correction
    it is `optax.contrib.dadapt_adamw`. A step at γ = 0, or before any gradient
    differs from 0, does nothing and does not count for the correction.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1.0,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        d0: float = 1e-6,
        growth_rate: float = np.inf,
        weight_decay: float = 0.0,
        use_bias_correction: bool = False,
    ) -> None:
        self.p, self.lr, self.t, self.k = float64s(p0), lr, 0, 0
        self.beta1, self.beta2, self.eps, self.growth_rate, self.d = beta1, beta2, eps, growth_rate, d0
        self.weight_decay, self.use_bias_correction = weight_decay, use_bias_correction
        self.m, self.v, self.s = zeros_for(self.p), zeros_for(self.p), zeros_for(self.p)
        self.r = 0.0

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        g = float64s(gradients)
        gamma = at(self.lr, self.t)
        self.t += 1
        if gamma == 0 or (self.k == 0 and norm(g) == 0):
            return float64s(self.p)
        self.k += 1
        rate = self.d * gamma
        if self.use_bias_correction:
            rate *= np.sqrt(1 - self.beta2**self.k) / (1 - self.beta1**self.k)
        root = np.sqrt(self.beta2)
        weighted = [s / (np.sqrt(v) + self.eps) for s, v in zip(self.s, self.v, strict=True)]
        self.r = root * self.r + (1 - root) * rate * dot(g, weighted)
        for i in range(len(g)):
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * rate * g[i]
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * g[i] ** 2
            self.s[i] = root * self.s[i] + (1 - root) * rate * g[i]
        d_hat = self.r / ((1 - root) * norm(self.s, 1))
        self.d = max(self.d, min(d_hat, self.d * self.growth_rate))
        for i in range(len(g)):
            decayed = self.p[i] - self.weight_decay * rate * self.p[i]
            self.p[i] = decayed - self.m[i] / (np.sqrt(self.v[i]) + self.eps)
        return float64s(self.p)


def dot(a: Sequence[Array], b: Sequence[Array]) -> float:
    """The scalar product over all tensors."""
    return float(sum(np.sum(x * y) for x, y in zip(a, b, strict=True)))
