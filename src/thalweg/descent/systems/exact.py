"""(B + λI) d = −g solved exactly: from B itself, or from rows A with B = AᵀA where those are fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import dot

from thalweg.descent.directions.newton import positive_definite
from thalweg.descent.failures import NoStepError, Status

if TYPE_CHECKING:
    from torch import Tensor


def solve_by_columns(B: Tensor, g: Tensor, damping: float) -> tuple[Tensor, float]:
    """The direction d, and gᵀd + ½dᵀBd. More than `damping` is added if it takes that to make B positive definite."""
    _, L = positive_definite(_finite(B), damping)
    d = torch.cholesky_solve(-g[:, None], L)[:, 0]
    return d, float(dot(g + B @ d / 2, d))


def solve_by_rows(A: Tensor, g: Tensor, damping: float, penalty: Tensor | float) -> tuple[Tensor, float]:
    """The same for B = AᵀA + diag(penalty), A of shape (m, n), and λ above 0: what is solved are m equations.

    With D = diag(penalty) + λI, (AᵀA + D)⁻¹ = D⁻¹ − D⁻¹Aᵀ(I + AD⁻¹Aᵀ)⁻¹AD⁻¹, by Sherman, Morrison and Woodbury.
    """
    D = torch.zeros_like(g) + penalty + damping
    R = _finite(A / D.sqrt())
    _, L = positive_definite(R @ R.T, 1.0)
    h = g / D.sqrt()
    d = -(h - R.T @ torch.cholesky_solve((R @ h)[:, None], L)[:, 0]) / D.sqrt()
    return d, float(dot(g, d) - damping * dot(d, d)) / 2  # as dᵀ(B + λI)d = −gᵀd


def _finite(matrix: Tensor) -> Tensor:
    if not bool(matrix.isfinite().all()):
        raise NoStepError(Status.NOT_FINITE, "the curvature has a NaN or an infinity in it")
    return matrix
