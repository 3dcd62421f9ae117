"""The cautious variant of a rule, by hand: an element whose step goes against its gradient does not move.

Liang, Chen, Liu and Liu, arXiv:2411.16085, Algorithm 1: the step u is multiplied with the mask u·g > 0, and what is
left is scaled up for what is gone, tensor by tensor. Two scales are about: `by_mean`, by the mask's mean but by no
less than 1e-3, in the authors' later code (kyleliang919/C-Optim) and in timm; `by_count`, n/(k + 1) where k of n
elements are left, the paper's own, in the authors' first code and in pytorch-optimizer. Which one is the argument
`mask`. Weight decay comes before the step and is not masked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


def by_mean(u: Array, g: Array) -> Array:
    """The mask over its mean, of which at least 1e-3 is taken."""
    mask = np.where(u * g > 0, 1.0, 0.0)
    return mask / max(float(np.mean(mask)), 1e-3)


def by_count(u: Array, g: Array) -> Array:
    """The mask times n/(k + 1), where k of n elements are left."""
    mask = np.where(u * g > 0, 1.0, 0.0)
    return mask * mask.size / (np.sum(mask) + 1)


class AdamW:
    """u = m̂/(√v̂ + ε); p ← p − αλp − α·mask(u, g)·u.

    C-AdamW. `by_mean`: `timm.optim.AdamWLegacy(caution=True)`.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        mask: Callable[[Array, Array], Array] = by_mean,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.eps, self.weight_decay, self.mask = beta1, beta2, eps, weight_decay, mask
        self.m, self.v = zeros_for(self.p), zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * g
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * g**2
            m_hat = self.m[i] / (1 - self.beta1**self.t)
            v_hat = self.v[i] / (1 - self.beta2**self.t)
            u = m_hat / (np.sqrt(v_hat) + self.eps)
            self.p[i] = self.p[i] - alpha * self.weight_decay * self.p[i] - alpha * self.mask(u, g) * u
        return float64s(self.p)


class Lion:
    """u = sign(β₁m + (1 − β₁)g); p ← p − αλp − α·mask(u, g)·u; then m ← β₂m + (1 − β₂)g.

    C-Lion. `by_mean`: `timm.optim.Lion(caution=True)`.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1e-4,
        *,
        beta1: float = 0.9,
        beta2: float = 0.99,
        weight_decay: float = 0.0,
        mask: Callable[[Array, Array], Array] = by_mean,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.weight_decay, self.mask = beta1, beta2, weight_decay, mask
        self.m = zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            u = np.sign(self.beta1 * self.m[i] + (1 - self.beta1) * g)
            self.p[i] = self.p[i] - alpha * self.weight_decay * self.p[i] - alpha * self.mask(u, g) * u
            self.m[i] = self.beta2 * self.m[i] + (1 - self.beta2) * g
        return float64s(self.p)


class Momentum:
    """v ← βv + g, with v = g at the first step; p ← p − αλp − α·mask(v, g)·v.

    Torch's momentum made cautious. `by_mean`: `timm.optim.SGDW(momentum=β, caution=True)`.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float],
        *,
        beta: float = 0.9,
        weight_decay: float = 0.0,
        mask: Callable[[Array, Array], Array] = by_mean,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta, self.weight_decay, self.mask = beta, weight_decay, mask
        self.v = zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            self.v[i] = self.beta * self.v[i] + g
            self.p[i] = self.p[i] - alpha * self.weight_decay * self.p[i] - alpha * self.mask(self.v[i], g) * self.v[i]
        return float64s(self.p)
