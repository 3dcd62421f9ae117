"""How ill-conditioned a quadratic is, as it stands and behind a preconditioner."""

from __future__ import annotations

from typing import Any

import torch

from thalweg.errors import CurvatureError
from thalweg.theory.inputs import positive_definite, symmetric


def condition_number(Q: Any) -> float:  # noqa: ANN401  # a tensor, an array, nested lists
    """κ(Q) = λmax/λmin of a symmetric, positive definite matrix.

    Raises `CurvatureError` for a matrix that is not.

    >>> condition_number([[2.0, 0.0], [0.0, 18.0]])
    9.0
    """
    eigenvalues, _ = positive_definite(Q, "Q")
    return float(eigenvalues[-1] / eigenvalues[0])


def effective_condition_number(Q: Any, D: Any) -> float:  # noqa: ANN401  # as above; D may be its diagonal
    """κ(D^½ Q D^½): what gradient descent with steps −αDg sees of a quadratic with the Hessian Q.

    With y = D^−½ x it is plain gradient descent on ½ yᵀ D^½QD^½ y. D is positive definite, a matrix or its diagonal;
    it is best at Q⁻¹, where this is 1. Bertsekas, Nonlinear Programming, 2nd edition, section 1.3.2.

    Raises `CurvatureError` for matrices that are not symmetric and positive definite, or of different sizes.

    >>> round(effective_condition_number([[2.0, 0.0], [0.0, 18.0]], [1.0, 0.5]), 12)
    4.5
    """
    hessian, given = symmetric(Q, "Q"), torch.as_tensor(D, dtype=torch.float64)
    eigenvalues, V = positive_definite(torch.diag(given) if given.ndim == 1 else given, "D")
    if len(V) != len(hessian):
        raise CurvatureError(f"Q is {len(hessian)} × {len(hessian)} and D {len(V)} × {len(V)}; make them alike")
    root = V @ torch.diag(eigenvalues.sqrt()) @ V.T
    return condition_number(root @ hessian @ root)
