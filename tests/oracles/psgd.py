"""PSGD with a Kronecker-factored preconditioner, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Kron:
    """p ← p − α(QₗᵀQₗ)G(QᵣᵀQᵣ), with upper triangular Qₗ, Qᵣ that learn from pairs of a probe V and its image H.

    A = QₗHQᵣᵀ, B = Qₗ⁻ᵀVQᵣ⁻¹; E = triu(AAᵀ − BBᵀ), Qₗ ← Qₗ − μE/max|E|·Qₗ, and with AᵀA − BᵀB for Qᵣ; before that
    both are scaled so that their greatest diagonal entries agree. Li, "Preconditioned stochastic gradient descent",
    arXiv:1512.04202, the Kronecker product preconditioner on the group of triangular matrices with its normalised
    step, as the author's code has it (lixilinx/psgd_torch, preconditioned_stochastic_gradient_descent.py, dense and
    dense). Every tensor is a matrix; Q starts at `scale` times the identity, in each factor its root.

    `step` takes the gradients and the probes V, standard normal, one for each tensor, and learns before it steps.
    Without `images` the gradient is its own image: the whitening form. With them, H = ∂²f·V: the Newton form. A step
    without probes learns nothing.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float],
        *,
        mu: float = 0.01,
        scale: float = 1.0,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.mu = mu
        self.Ql = [np.sqrt(scale) * np.eye(p.shape[0]) for p in self.p]
        self.Qr = [np.sqrt(scale) * np.eye(p.shape[1]) for p in self.p]

    def step(
        self,
        gradients: Sequence[ArrayLike],
        probes: Sequence[ArrayLike] | None = None,
        images: Sequence[ArrayLike] | None = None,
    ) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        G = float64s(gradients)
        if probes is not None:
            for i, (V, H) in enumerate(zip(float64s(probes), float64s(images or G), strict=True)):
                self.learn(i, V, H)
        for i, g in enumerate(G):
            Pl, Pr = self.Ql[i].T @ self.Ql[i], self.Qr[i].T @ self.Qr[i]
            self.p[i] = self.p[i] - alpha * Pl @ g @ Pr
        return float64s(self.p)

    def learn(self, i: int, V: Array, H: Array) -> None:
        """Move tensor `i`'s factors along the relative gradient of tr(HᵀPH) + tr(VᵀP⁻¹V)."""
        rho = np.sqrt(np.max(np.diag(self.Ql[i])) / np.max(np.diag(self.Qr[i])))
        Ql, Qr = self.Ql[i] / rho, self.Qr[i] * rho
        A = Ql @ H @ Qr.T
        B = np.linalg.inv(Ql).T @ V @ np.linalg.inv(Qr)
        left = np.triu(A @ A.T - B @ B.T)
        right = np.triu(A.T @ A - B.T @ B)
        self.Ql[i] = Ql - self.mu * left @ Ql / max(np.max(np.abs(left)), 1.2e-38)
        self.Qr[i] = Qr - self.mu * right @ Qr / max(np.max(np.abs(right)), 1.2e-38)
