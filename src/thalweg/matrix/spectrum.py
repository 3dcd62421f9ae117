"""Functions of symmetric matrices, through their eigenvalues.

Statistics are sums of squares: their eigenvalues are not negative, but some are zero until as many gradients have been
seen as there are dimensions, and rounding gives those either sign. What lies below rounding is raised to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thalweg.errors import GradientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def eigen(S: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (b, n), ascending, and eigenvectors (b, n, n), in columns, of a stack of symmetric matrices.

    Where the solver fails in the stack's dtype it tries float64, then with a trace of damping. Raises `GradientError`
    if that fails too.
    """
    for attempt in (_as_they_are, _in_float64, _damped):
        try:
            values, vectors = torch.linalg.eigh(attempt(S))
        except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]  # documented there
            continue
        if bool(torch.isfinite(values).all()):
            return values.to(S.dtype), vectors.to(S.dtype)
    message = (
        f"the eigenvalues of a gradient's statistics, {S.shape[-1]} × {S.shape[-1]}, were not found, "
        "in float64 neither; the gradients have probably grown beyond all bounds: clip them, or lower the learning rate"
    )
    raise GradientError(message)


def spectral(S: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """U f(λ) Uᵀ for S = U λ Uᵀ, S (b, n, n) not negative and f positive; zero where S is zero: it says nothing yet."""
    values, vectors = eigen(S)
    top = values[..., -1:].clamp(min=0)
    rounding = torch.finfo(S.dtype).eps * S.shape[-1] * top
    weights = torch.where(top > 0, function(torch.maximum(values, rounding)), 0)
    half = vectors * weights.sqrt().unsqueeze(-2)
    return half @ half.mT


def _as_they_are(S: Tensor) -> Tensor:
    return S


def _in_float64(S: Tensor) -> Tensor:
    return S.double()


def _damped(S: Tensor) -> Tensor:
    wide = S.double()
    mean = torch.diagonal(wide, dim1=-2, dim2=-1).mean(-1)
    return wide + 1e-10 * mean[..., None, None] * torch.eye(S.shape[-1], dtype=wide.dtype, device=S.device)
