"""Numbers, vectors and matrices of the user's, checked, and as tensors in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

from thalweg.errors import CurvatureError, HyperparameterError
from thalweg.formula import Hyperparameter, Range

if TYPE_CHECKING:
    from torch import Tensor


POSITIVE = Range(0, low_included=False)
FRACTION = Range(0, 1)


def number(name: str, value: Any, allowed: Range) -> float:  # noqa: ANN401  # user code may pass anything
    """The value as a float. Raises `HyperparameterError` if it is none in this range."""
    if value is None or callable(value):
        raise HyperparameterError(f"`{name}` is {value!r}; it must be a number in {allowed}")
    return cast("float", Hyperparameter(name, None, allowed).check(value, "theory"))


def vector(values: Any) -> Tensor:  # noqa: ANN401  # a tensor, an array, a list
    """The values as a vector in float64."""
    return torch.as_tensor(values, dtype=torch.float64).detach().reshape(-1)


def symmetric(matrix: Any, name: str) -> Tensor:  # noqa: ANN401  # as above
    """The matrix in float64. Raises `CurvatureError` if it is not square, finite and symmetric."""
    found = torch.as_tensor(matrix, dtype=torch.float64).detach()
    if found.ndim != 2 or found.shape[0] != found.shape[1] or not found.numel():
        raise CurvatureError(f"{name} has the shape {tuple(found.shape)}; it must be a square matrix")
    if not bool(found.isfinite().all()):
        raise CurvatureError(f"{name} has a NaN or an infinity in it")
    if float((found - found.T).abs().max()) > 1e-6 * float(found.abs().max()):
        raise CurvatureError(f"{name} is not symmetric, as a Hessian is; take ({name} + {name}ᵀ)/2")
    return (found + found.T) / 2


def positive_definite(matrix: Any, name: str) -> tuple[Tensor, Tensor]:  # noqa: ANN401  # as above
    """Its eigenvalues, smallest first, and eigenvectors. Raises `CurvatureError` for one that is not above 0."""
    eigenvalues, V = torch.linalg.eigh(symmetric(matrix, name))
    if not float(eigenvalues[0]) > 0:
        raise CurvatureError(
            f"{name} is not positive definite, its smallest eigenvalue is {float(eigenvalues[0]):.3g}; what is said "
            "here holds of minima"
        )
    return eigenvalues, V
