"""SOAP by hand, in float64 NumPy, one matrix: Vyas et al., arXiv:2409.11321, Algorithms 3 and 4, and the authors' code.

Element by element in the rotated coordinates: qᵢᵀ G qⱼ is the coordinate of G at (i, j).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def gram_schmidt(columns: NDArray) -> NDArray:
    """The Q of a QR decomposition, up to the signs of its columns; twice, for the rounding."""
    q = columns.astype(float).copy()
    for _ in range(2):
        for j in range(q.shape[1]):
            for i in range(j):
                q[:, j] -= (q[:, i] @ q[:, j]) * q[:, i]
            q[:, j] /= np.linalg.norm(q[:, j])
    return q


class Soap:
    """From the second gradient on; the first has given `left` and `right`, the bases, arbitrary in null spaces."""

    def __init__(
        self,
        first: NDArray,
        left: NDArray,
        right: NDArray,
        *,
        beta1: float = 0.95,
        beta2: float = 0.95,
        shampoo_beta: float | None = None,
        eps: float = 1e-8,
        every: int = 10,
    ) -> None:
        self.beta1, self.beta2, self.eps, self.every = beta1, beta2, eps, every
        self.beta3 = beta2 if shampoo_beta is None else shampoo_beta
        self.L, self.R = (1 - self.beta3) * first @ first.T, (1 - self.beta3) * first.T @ first
        self.left, self.right = left.copy(), right.copy()
        self.m, self.v = np.zeros(first.shape), np.zeros(first.shape)
        self.k = 0

    def direction(self, g: NDArray) -> NDArray:
        self.k += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        d = np.zeros(g.shape)
        for i, q in enumerate(self.left.T):
            for j, r in enumerate(self.right.T):
                self.v[i, j] = self.beta2 * self.v[i, j] + (1 - self.beta2) * (q @ g @ r) ** 2
                m_hat = (q @ self.m @ r) / (1 - self.beta1**self.k)
                v_hat = self.v[i, j] / (1 - self.beta2**self.k)
                d += m_hat / (np.sqrt(v_hat) + self.eps) * np.outer(q, r)
        self.L = self.beta3 * self.L + (1 - self.beta3) * g @ g.T
        self.R = self.beta3 * self.R + (1 - self.beta3) * g.T @ g
        if self.k % self.every == 0:
            rows = sorted(range(len(self.L)), key=lambda i: -(self.left[:, i] @ self.L @ self.left[:, i]))
            columns = sorted(range(len(self.R)), key=lambda j: -(self.right[:, j] @ self.R @ self.right[:, j]))
            self.left = gram_schmidt(self.L @ self.left[:, rows])
            self.right = gram_schmidt(self.R @ self.right[:, columns])
            self.v = self.v[np.ix_(rows, columns)]
        return d
