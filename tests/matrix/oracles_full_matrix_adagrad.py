"""Full-matrix AdaGrad by hand, in float64 NumPy: Duchi, Hazan and Singer 2011, figure 2; and its bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FullMatrixAdagrad:
    """x ← x − α H⁻¹g, H = δI + (s₀I + Σ ggᵀ)^½; with the gradients as the rows of A = UσVᵀ, Σ ggᵀ = Vσ²Vᵀ."""

    def __init__(self, size: int, *, delta: float, s0: float = 0.0) -> None:
        self.delta, self.s0, self.size = delta, s0, size
        self.gradients: list[NDArray] = []

    def direction(self, g: NDArray) -> NDArray:
        flat = g.reshape(-1)
        self.gradients.append(flat)
        _, sigma, vt = np.linalg.svd(np.stack(self.gradients), full_matrices=True)
        sigma = np.pad(sigma, (0, self.size - len(sigma)))
        h = self.delta * np.eye(self.size) + vt.T @ np.diag(np.sqrt(sigma**2 + self.s0)) @ vt
        return np.linalg.solve(h, flat).reshape(g.shape)


def regret_bound(gradients: list[NDArray], *, radius: float, rate: float, delta: float = 0.0) -> float:
    """Theorem 7: (δ + tr S^½) D²/(2α) + α tr S^½, the trace from the singular values of all gradients side by side."""
    trace = float(np.linalg.svd(np.stack([g.reshape(-1) for g in gradients]), compute_uv=False).sum())
    return radius**2 / (2 * rate) * (delta + trace) + rate * trace
