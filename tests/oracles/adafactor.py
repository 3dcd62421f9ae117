"""Adafactor, by hand: a second moment kept as one number for each row and one for each column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


def relative_step(k: int) -> float:
    """ρ_t = min(10⁻², 1/√t), with t = k + 1: Algorithm 6."""
    return min(1e-2, 1 / np.sqrt(k + 1))


def root_mean_square(x: Array) -> float:
    return float(np.sqrt(np.mean(x**2)))


class Paper:
    """α = max(ε₂, RMS(p))ρ_t; U = g/√V̂; p ← p − αU/max(1, RMS(U)/d), with β̂₂ = 1 − t^(−0.8).

    For a matrix V̂ = RC/1ᵀR, where R, C average the sums over rows and columns of g² + ε₁; for a vector V̂ averages
    g² + ε₁. Shazeer and Stern, arXiv:1804.04235, Algorithm 4 for matrices, Algorithm 5 for vectors, and the
    numbers of Algorithm 6: ε₁ = 1e-30, ε₂ = 1e-3, d = 1. Here `lr` is ρ_t. A tensor of more than two dimensions
    is not in the paper; here as in torch its last two are rows and columns.
    `timm.optim.Adafactor(min_dim_size_to_factor=1)` speaks it for matrices with no side of 1.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = relative_step,
        *,
        beta2_decay: float = 0.8,
        eps1: float = 1e-30,
        eps2: float = 1e-3,
        d: float = 1.0,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta2_decay, self.eps1, self.eps2, self.d = beta2_decay, eps1, eps2, d
        self.R = [np.zeros((*p.shape[:-1], 1)) for p in self.p]
        self.C = [np.zeros((*p.shape[:-2], 1, p.shape[-1])) if p.ndim > 1 else np.zeros(1) for p in self.p]
        self.V = [np.zeros_like(p) for p in self.p]

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        rho = at(self.lr, self.t)
        self.t += 1
        beta2 = 1 - self.t**-self.beta2_decay
        for i, g in enumerate(float64s(gradients)):
            alpha = max(self.eps2, root_mean_square(self.p[i])) * rho
            squares = g**2 + self.eps1
            if g.ndim > 1:
                self.R[i] = beta2 * self.R[i] + (1 - beta2) * np.sum(squares, axis=-1, keepdims=True)
                self.C[i] = beta2 * self.C[i] + (1 - beta2) * np.sum(squares, axis=-2, keepdims=True)
                v_hat = self.R[i] * self.C[i] / np.sum(self.R[i], axis=-2, keepdims=True)
            else:
                self.V[i] = beta2 * self.V[i] + (1 - beta2) * squares
                v_hat = self.V[i]
            u = g / np.sqrt(v_hat)
            self.p[i] = self.p[i] - alpha * u / max(1.0, root_mean_square(u) / self.d)
        return float64s(self.p)


class Torch:
    """As the paper's with ρ_t = min(γ, 1/√t), but ε₁ bounds from below what is divided by, and p ← (1 − γλ)p first.

    V̂ = RC/max(mean of R, ε₁) with R, C averages of the means of g² over rows and columns, or V for a vector;
    U = g/max(√V̂, ε₁). `torch.optim.Adafactor`: its documentation's pseudo-code and notes. There ε₁ is, as it
    comes, the machine's ε of the parameter's dtype; here that of float64. γ is `lr`; RMS(p) is taken before the
    decay.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1e-2,
        *,
        beta2_decay: float = -0.8,
        eps1: float = float(np.finfo(np.float64).eps),
        eps2: float = 1e-3,
        d: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta2_decay, self.eps1, self.eps2, self.d, self.weight_decay = beta2_decay, eps1, eps2, d, weight_decay
        self.R = [np.zeros((*p.shape[:-1], 1)) for p in self.p]
        self.C = [np.zeros((*p.shape[:-2], 1, p.shape[-1])) if p.ndim > 1 else np.zeros(1) for p in self.p]
        self.V = [np.zeros_like(p) for p in self.p]

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        gamma = at(self.lr, self.t)
        self.t += 1
        beta2 = 1 - self.t**self.beta2_decay
        rho = min(gamma, 1 / np.sqrt(self.t))
        for i, g in enumerate(float64s(gradients)):
            alpha = max(self.eps2, root_mean_square(self.p[i])) * rho
            self.p[i] = self.p[i] - gamma * self.weight_decay * self.p[i]
            if g.ndim > 1:
                self.R[i] = beta2 * self.R[i] + (1 - beta2) * np.mean(g**2, axis=-1, keepdims=True)
                self.C[i] = beta2 * self.C[i] + (1 - beta2) * np.mean(g**2, axis=-2, keepdims=True)
                v_hat = self.R[i] * self.C[i] / np.maximum(np.mean(self.R[i], axis=-2, keepdims=True), self.eps1)
            else:
                self.V[i] = beta2 * self.V[i] + (1 - beta2) * g**2
                v_hat = self.V[i]
            u = g / np.maximum(np.sqrt(v_hat), self.eps1)
            self.p[i] = self.p[i] - alpha * u / max(1.0, root_mean_square(u) / self.d)
        return float64s(self.p)
