"""Muon by hand, in float64 NumPy, one matrix: what the iteration does to the singular values, and to nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COEFFICIENTS = (3.4445, -4.775, 2.0315)


def polynomial(sigma: NDArray, steps: int = 5, coefficients: tuple[float, float, float] = COEFFICIENTS) -> NDArray:
    """σ ← aσ + bσ³ + cσ⁵, iterated: X ← aX + b(XXᵀ)X + c(XXᵀ)²X leaves the singular vectors alone."""
    a, b, c = coefficients
    for _ in range(steps):
        sigma = sigma * (a + sigma**2 * (b + c * sigma**2))
    return sigma


class Muon:
    """Jordan's post, with the momentum averaged as in his code and in torch's."""

    def __init__(self, *, momentum: float = 0.95, nesterov: bool = True, eps: float = 1e-7, steps: int = 5) -> None:
        self.mu, self.nesterov, self.eps, self.steps = momentum, nesterov, eps, steps
        self.buffer: NDArray | float = 0.0

    def direction(self, g: NDArray) -> NDArray:
        self.buffer = self.mu * self.buffer + (1 - self.mu) * g
        ahead = (1 - self.mu) * g + self.mu * self.buffer if self.nesterov else self.buffer
        u, sigma, vt = np.linalg.svd(ahead, full_matrices=False)
        norm = max(np.sqrt(np.sum(ahead**2)), self.eps)
        orthogonal = sum(
            value * np.outer(u[:, i], vt[i]) for i, value in enumerate(polynomial(sigma / norm, self.steps))
        )
        rows, columns = g.shape
        return orthogonal * np.sqrt(max(1.0, rows / columns))
