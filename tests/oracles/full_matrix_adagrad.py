"""AdaGrad with the full matrix, by hand: each tensor flattened, with a matrix of its size squared.

G ← G + ggᵀ with G = 0 at first. Duchi, Hazan and Singer, "Adaptive subgradient methods", JMLR 12, 2011, Figure 2;
deck B. The dialects differ in where the damping δ stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


def power(matrix: Array, exponent: float) -> Array:
    """A symmetric positive semi-definite matrix to a power, by its eigenvalues; what rounding made negative is 0."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.maximum(values, 0.0) ** exponent) @ vectors.T


class DampedOutside:
    """p ← p − α(δI + G^½)⁻¹g: Duchi, Hazan and Singer's."""

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float], *, delta: float = 1e-8) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.delta = delta
        self.G = [np.zeros((p.size, p.size)) for p in self.p]

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            flat = g.ravel()
            self.G[i] = self.G[i] + np.outer(flat, flat)
            H = self.delta * np.eye(g.size) + power(self.G[i], 0.5)
            self.p[i] = self.p[i] - alpha * np.linalg.solve(H, flat).reshape(g.shape)
        return float64s(self.p)


class DampedInside:
    """p ← p − α(δI + G)^(−½)g. For a vector it is Shampoo of order 1."""

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float], *, delta: float = 1e-8) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.delta = delta
        self.G = [np.zeros((p.size, p.size)) for p in self.p]

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            flat = g.ravel()
            self.G[i] = self.G[i] + np.outer(flat, flat)
            H = self.delta * np.eye(g.size) + self.G[i]
            self.p[i] = self.p[i] - alpha * (power(H, -0.5) @ flat).reshape(g.shape)
        return float64s(self.p)
