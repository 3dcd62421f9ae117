"""Sophia, by hand: momentum over a diagonal of the Hessian, clipped element by element.

Liu et al., arXiv:2305.14342, Algorithm 3. The estimate of the diagonal is given from outside, every k steps as
the caller likes: Hutchinson's for Sophia-H, Gauss–Newton–Bartlett's for Sophia-G. A step with a new estimate
averages it in first, h ← β₂h + (1 − β₂)ĥ, and then steps; h starts at 0, without correction, and until it is
positive the clipping makes the step one of signs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Paper:
    """m ← β₁m + (1 − β₁)g; p ← p − ηλp; p ← p − η clip(m/max(γh, ε), 1).

    Algorithm 3; the paper's experiments have β₁ = 0.96, β₂ = 0.99, ε = 1e-12, λ = 0.2, and γ = 0.01 for
    Sophia-H (the default here) or 0.05 for Sophia-G.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float],
        *,
        beta1: float = 0.96,
        beta2: float = 0.99,
        gamma: float = 0.01,
        eps: float = 1e-12,
        weight_decay: float = 0.2,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.gamma, self.eps, self.weight_decay = beta1, beta2, gamma, eps, weight_decay
        self.m, self.h = zeros_for(self.p), zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike], hessians: Sequence[ArrayLike] | None = None) -> list[Array]:
        eta = at(self.lr, self.t)
        self.t += 1
        if hessians is not None:
            for i, h_hat in enumerate(float64s(hessians)):
                self.h[i] = self.beta2 * self.h[i] + (1 - self.beta2) * h_hat
        for i, g in enumerate(float64s(gradients)):
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * g
            self.p[i] = self.p[i] - eta * self.weight_decay * self.p[i]
            ratio = self.m[i] / np.maximum(self.gamma * self.h[i], self.eps)
            self.p[i] = self.p[i] - eta * np.clip(ratio, -1.0, 1.0)
        return float64s(self.p)


class GaussNewtonOfCode:
    """p ← (1 − ηλ)p; p ← p − η sign(m)min(1, |m|/(ρBh + 1e-15)): B the batch size, ρ the paper's γ.

    `SophiaG` of the authors' code (Liuhong99/Sophia, sophia.py) with its defaults. What it is given as ĥ is the
    square of the gradient of a sampled loss; the estimator's factor B stands in the denominator. The code averages
    a new estimate in after its step, where it is the next step's.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1e-4,
        *,
        beta1: float = 0.965,
        beta2: float = 0.99,
        rho: float = 0.04,
        batch_size: float = 5120,
        weight_decay: float = 0.1,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.rho = beta1, beta2, rho
        self.batch_size, self.weight_decay = batch_size, weight_decay
        self.m, self.h = zeros_for(self.p), zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike], hessians: Sequence[ArrayLike] | None = None) -> list[Array]:
        eta = at(self.lr, self.t)
        self.t += 1
        if hessians is not None:
            for i, h_hat in enumerate(float64s(hessians)):
                self.h[i] = self.beta2 * self.h[i] + (1 - self.beta2) * h_hat
        for i, g in enumerate(float64s(gradients)):
            self.p[i] = (1 - eta * self.weight_decay) * self.p[i]
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * g
            ratio = np.abs(self.m[i]) / (self.rho * self.batch_size * self.h[i] + 1e-15)
            self.p[i] = self.p[i] - eta * np.sign(self.m[i]) * np.minimum(ratio, 1.0)
        return float64s(self.p)
