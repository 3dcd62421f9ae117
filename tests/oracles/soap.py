"""SOAP, by hand: Adam in the eigenvectors of Shampoo's matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class OfCode:
    """G' = QₗᵀGQᵣ; m averages G, v averages G'²; p ← p − α_t Qₗ((QₗᵀmQᵣ)/(√v + ε))Qᵣᵀ; p ← (1 − αλ)p.

    Then L ← β₃L + (1 − β₃)GGᵀ, R ← β₃R + (1 − β₃)GᵀG, and every `precondition_frequency` steps one power iteration:
    the columns of Q in the order of their falling QᵀLQ, v's rows and columns with them, Q ← the Q of QR(LQ). Vyas
    et al., arXiv:2409.11321, Algorithms 3 and 4; what those leave open as in the authors' code (nikhilvyas/SOAP,
    soap.py) and its defaults: α_t = α√(1 − β₂ᵗ)/(1 − β₁ᵗ); the very first gradient only makes L, R (weighted
    1 − β₃) and their eigenvectors, and moves nothing; vectors have no matrices, i.e. plain Adam, if not
    `precondition_1d`. β₃ is `shampoo_beta`, β₂ if not given.

    The numbers are the method's only where the first gradient leaves no more than one direction without curvature
    (m×n with |m − n| ≤ 1, of full rank): of a larger null space any basis will do, and each gives others.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 3e-3,
        *,
        beta1: float = 0.95,
        beta2: float = 0.95,
        shampoo_beta: float | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        precondition_frequency: int = 10,
        precondition_1d: bool = False,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        self.beta3 = beta2 if shampoo_beta is None else shampoo_beta
        self.frequency = precondition_frequency
        self.m, self.v = zeros_for(self.p), zeros_for(self.p)
        has_matrices = [p.ndim > 1 or precondition_1d for p in self.p]
        self.L = [
            [np.zeros((n, n)) for n in p.shape] if has else [] for p, has in zip(self.p, has_matrices, strict=True)
        ]
        self.Q = [[np.eye(n) for n in p.shape] if has else [] for p, has in zip(self.p, has_matrices, strict=True)]

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        alpha = at(self.lr, self.t)
        k, self.t = self.t, self.t + 1  # k counts the steps that move: one less than all
        for i, G in enumerate(float64s(gradients)):
            if k > 0:
                self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * G
                self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * rotate(G, self.Q[i]) ** 2
                adam = rotate(self.m[i], self.Q[i]) / (np.sqrt(self.v[i]) + self.eps)
                alpha_t = alpha * np.sqrt(1 - self.beta2**k) / (1 - self.beta1**k)
                self.p[i] = self.p[i] - alpha_t * rotate(adam, [Q.T for Q in self.Q[i]])
                self.p[i] = self.p[i] - alpha * self.weight_decay * self.p[i]
            for axis in range(len(self.L[i])):
                unfolded = np.moveaxis(G, axis, 0).reshape(G.shape[axis], -1)
                self.L[i][axis] = self.beta3 * self.L[i][axis] + (1 - self.beta3) * unfolded @ unfolded.T
                if k == 0:
                    self.Q[i][axis] = np.linalg.eigh(self.L[i][axis])[1][:, ::-1]
                elif k % self.frequency == 0:
                    self.turn(i, axis)
        return float64s(self.p)

    def turn(self, i: int, axis: int) -> None:
        """One power iteration of tensor `i`'s basis along one axis."""
        L, Q = self.L[i][axis], self.Q[i][axis]
        order = np.argsort(-np.diag(Q.T @ L @ Q), kind="stable")
        self.v[i] = np.take(self.v[i], order, axis)
        self.Q[i][axis] = np.linalg.qr((L @ Q)[:, order])[0]


def rotate(x: Array, bases: Sequence[Array]) -> Array:
    """`x` in the bases, one for each axis: Qᵀ from the left along every axis."""
    for axis, Q in enumerate(bases):
        x = np.moveaxis(np.tensordot(Q.T, x, axes=(1, axis)), 0, axis)
    return x
