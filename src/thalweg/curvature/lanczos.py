"""Lanczos's recurrence: a matrix as a small tridiagonal one, on the Krylov space of a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.curvature.operator import Symmetric


def tridiagonal(A: Symmetric, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The diagonal (m,) and the off-diagonal (m − 1,) of T = QᵀAQ, in float64; m < steps where the space is exhausted.

    Every new vector is made orthogonal to all that came before, twice, since the recurrence alone loses that to
    rounding and then finds eigenvalues again that it has: Golub and Van Loan, Matrix Computations, 2013, section 10.3.
    It costs m products, and m vectors of memory.
    """
    steps = min(steps, len(start))
    Q = start.new_zeros(steps + 1, len(start))
    Q[0] = start / start.norm()
    alphas: list[float] = []
    betas: list[float] = []
    size = 0.0
    for i in range(steps):
        w = A @ Q[i]
        alphas.append(float(torch.dot(w, Q[i])))
        size = max(size, float(w.norm()))
        for _ in range(2):
            w = w - Q[: i + 1].T @ (Q[: i + 1] @ w)
        betas.append(float(w.norm()))
        if betas[-1] <= 10 * torch.finfo(w.dtype).eps * len(w) ** 0.5 * size:
            break
        Q[i + 1] = w / betas[-1]
    diagonal, off_diagonal = (torch.tensor(found, dtype=torch.float64) for found in (alphas, betas))
    return diagonal, off_diagonal[:-1]
