"""The ends of a spectrum: largest and smallest eigenvalues, and condition numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch

from thalweg.curvature.lanczos import tridiagonal
from thalweg.curvature.operator import Operator
from thalweg.curvature.vectors import Draws, refuse_below
from thalweg.errors import CurvatureError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from thalweg.curvature.operator import Symmetric

_DENSE = 128
"""Up to which size a matrix is taken whole: that is no more products than its ends are likely to take."""
_STEPS = 10
"""Of Lanczos's recurrence, that say how large a matrix is."""


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Eigenvalues, in ascending order, and their eigenvectors as columns: (k,) and (n, k)."""

    values: Tensor
    vectors: Tensor


def top(A: Symmetric, k: int = 1, *, tol: float | None = None, max_products: int = 1000, seed: int = 0) -> Eigenpairs:
    """The k largest eigenvalues, in ascending order, and their eigenvectors.

    By ARPACK's implicitly restarted Lanczos method (Lehoucq, Sorensen and Yang 1998), which needs products only. `tol`
    is how long a residual Av − λv may be beside the largest eigenvalue, 10⁻⁶ in float64 and 10⁻⁴ in float32 unless you
    say: an eigenvalue is then off by that at the most, and by about its square where it stands alone. A small matrix is
    taken whole.

    Raises `CurvatureError` where `max_products` do not suffice.

    >>> top(torch.diag(torch.tensor([3.0, -5.0, 2.0])), 2).values
    tensor([2., 3.])
    """
    return _end(A, k, "LA", tol, max_products, seed)


def bottom(
    A: Symmetric, k: int = 1, *, tol: float | None = None, max_products: int = 1000, seed: int = 0
) -> Eigenpairs:
    """The k smallest eigenvalues, in ascending order, and their eigenvectors; as `top`.

    Those of a positive matrix near zero take many products where the largest are much larger.
    """
    return _end(A, k, "SA", tol, max_products, seed)


def condition_number(A: Symmetric, *, tol: float | None = None, max_products: int = 1000) -> float:
    """κ = λmax/λmin of a positive definite matrix.

    Raises `CurvatureError` for another one, or where λmin cannot be told from zero with this `tol`, as of `top`.

    >>> condition_number(torch.diag(torch.tensor([3.0, 12.0])))
    4.0
    """
    largest = float(top(A, tol=tol, max_products=max_products).values[-1])
    smallest = float(bottom(A, tol=tol, max_products=max_products).values[0])
    least = (tol or _tolerance(A)) * abs(largest)
    if smallest <= least:
        raise CurvatureError(
            "a condition number is that of a positive definite matrix, and this one's eigenvalues go from "
            f"{smallest:.3g} to {largest:.3g}, where less than {least:.1g} counts as zero; take Fisher, "
            "not the Hessian, add damping, or lower `tol`"
        )
    return largest / smallest


def effective_condition_number(Q: Symmetric, D: Tensor, *, tol: float | None = None, max_products: int = 1000) -> float:
    """κ(D^½ Q D^½), which is what descent preconditioned by D ≻ 0 feels; D is its diagonal (n,), or whole (n, n).

    Raises `CurvatureError` where D or Q is not positive definite.

    >>> Q = torch.diag(torch.tensor([3.0, 12.0]))
    >>> effective_condition_number(Q, 1 / Q.diagonal())  # Jacobi's
    1.0
    """
    return condition_number(preconditioned(Q, D), tol=tol, max_products=max_products)


def preconditioned(Q: Symmetric, D: Tensor) -> Operator:
    """D^½ Q D^½ as an operator. Raises `CurvatureError` for a D of another shape, or not positive definite."""
    n = Q.shape[0]
    if D.shape not in ((n,), (n, n)) or D.dtype != Q.dtype or D.device != Q.device:
        raise CurvatureError(
            f"the preconditioner has the shape {tuple(D.shape)}, {D.dtype}, on {D.device}; for this matrix it is its "
            f"diagonal ({n},), or ({n}, {n}), {Q.dtype}, on {Q.device}"
        )
    if D.ndim == 1:
        if not bool((D > 0).all()):
            raise CurvatureError("the preconditioner's diagonal has an element that is not positive")
        half = D.sqrt()
        return Operator(
            "preconditioned matrix", n, Q.dtype, Q.device, lambda V: half[:, None] * (Q @ (half[:, None] * V))
        )
    values, vectors = torch.linalg.eigh(D)
    if not bool((D - D.T).abs().max() <= 1e-6 * D.abs().max()) or not bool(values[0] > 0):
        raise CurvatureError("the preconditioner is not symmetric and positive definite")
    root = vectors * values.sqrt() @ vectors.T
    return Operator("preconditioned matrix", n, Q.dtype, Q.device, lambda V: root @ (Q @ (root @ V)))


def _tolerance(A: Symmetric) -> float:
    return {torch.float64: 1e-6, torch.float32: 1e-4}.get(A.dtype, torch.finfo(A.dtype).eps)


def _end(
    A: Symmetric, k: int, which: Literal["LA", "SA"], tol: float | None, max_products: int, seed: int
) -> Eigenpairs:
    n = A.shape[0]
    refuse_below("k", k, 1)
    refuse_below("max_products", max_products, 1)
    if k > n:
        raise CurvatureError(f"the matrix has {n} eigenvalues, and {k} are asked for")
    if n <= max(_DENSE, 2 * k):
        values, vectors = torch.linalg.eigh(A @ torch.eye(n, dtype=A.dtype, device=A.device))
        chosen = slice(n - k, n) if which == "LA" else slice(k)
        return Eigenpairs(values[chosen], vectors[:, chosen])
    start = Draws(A, seed).normal(1)[:, 0]
    diagonal, off = tridiagonal(A, start, _STEPS)
    scale = float((torch.diag(diagonal) + torch.diag(off, 1) + torch.diag(off, -1)).abs().sum(0).max())
    if not scale:  # the matrix is zero, which ARPACK does not take
        return Eigenpairs(start.new_zeros(k), torch.eye(n, k, dtype=start.dtype, device=start.device))
    return _by_arpack(A, k, which, tol or _tolerance(A), max_products - _STEPS, start, 2 * scale)


def _by_arpack(
    A: Symmetric, k: int, which: Literal["LA", "SA"], tol: float, most: int, start: Tensor, shift: float
) -> Eigenpairs:
    """The ends of A + shift·I, less the shift: ARPACK's tolerance is relative, and would never be met near zero."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh  # noqa: PLC0415 (where it is needed)

    dtype = torch.float64 if A.dtype == torch.float64 else torch.float32
    products = 0

    def multiply(v: NDArray[Any]) -> NDArray[Any]:
        nonlocal products
        products += 1
        if products > most:
            raise CurvatureError(
                f"{most + _STEPS} products do not suffice for {k} eigenvalues; raise `max_products`, or `tol`"
            )
        here = torch.as_tensor(v).reshape(-1).to(A.device, A.dtype)
        return (A @ here + shift * here).cpu().to(dtype).numpy()

    name = str(dtype).removeprefix("torch.")
    operator = cast("Any", LinearOperator)(A.shape, matvec=multiply, dtype=name)
    settings: Any = {"ncv": min(len(start), max(40, 3 * k)), "tol": tol / 3, "v0": start.cpu().double().numpy()}
    try:
        values, vectors = eigsh(operator, k=k, which=which, **settings)
    except ArpackNoConvergence as failure:
        raise CurvatureError(f"ARPACK found {len(failure.eigenvalues)} of {k} eigenvalues; raise `tol`") from failure
    order = values.argsort()
    found = (values[order] - shift, vectors[:, order])
    return Eigenpairs(*(torch.as_tensor(each).to(A.device, A.dtype) for each in found))
