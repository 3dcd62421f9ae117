"""What one step does: to the loss, under damping, and in the end with momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import CurvatureError, HyperparameterError
from thalweg.theory.inputs import FRACTION, number, symmetric, vector

if TYPE_CHECKING:
    from torch import Tensor


def loss_change(g: Any, H: Any, alpha: float) -> float:  # noqa: ANN401  # tensors, arrays, lists
    """½α²gᵀHg − αgᵀg: by how much a step of gradient descent changes the loss, exactly on a quadratic.

    It is lowest at α = gᵀg/gᵀHg, Cauchy's exact step. Goodfellow, Bengio and Courville, Deep Learning, equation (4.9).

    >>> loss_change([1.0, 0.0], [[4.0, 0.0], [0.0, 1.0]], alpha=0.25)
    -0.125
    """
    slope, curvature = vector(g), symmetric(H, "H")
    return float(0.5 * alpha**2 * slope @ curvature @ slope - alpha * slope @ slope)


def damped_newton_step(g: Any, H: Any, damping: float) -> Tensor:  # noqa: ANN401  # as above
    """−(H + λI)⁻¹g. It tends to −g/λ, a step of gradient descent with the rate 1/λ, as λ grows.

    Raises `CurvatureError` where H + λI is singular.

    >>> damped_newton_step([1.0, 2.0], [[1.0, 0.0], [0.0, 3.0]], damping=1.0)
    tensor([-0.5000, -0.5000], dtype=torch.float64)
    """
    curvature = symmetric(H, "H")
    d, info = torch.linalg.solve_ex(curvature + damping * torch.eye(len(curvature), dtype=curvature.dtype), -vector(g))
    if int(info) or not bool(d.isfinite().all()):
        raise CurvatureError(f"H + λI is singular for λ = {damping:g}; damp more")
    return d


def distance_from_gradient_descent(H: Any, damping: float) -> float:  # noqa: ANN401  # as above
    """The largest size of h/(h + λ), with h H's eigenvalues: how far λ times the damped step can be from −g, over ‖g‖.

    It falls as ‖H‖/λ. Raises `HyperparameterError` for a λ at which H + λI is not positive definite.

    >>> distance_from_gradient_descent([[1.0, 0.0], [0.0, 3.0]], damping=97.0)
    0.03
    """
    eigenvalues = torch.linalg.eigvalsh(symmetric(H, "H"))
    if not damping > -float(eigenvalues[0]):
        raise HyperparameterError(
            f"the damping is {damping!r}, and H's smallest eigenvalue {float(eigenvalues[0]):.3g}; their sum must be "
            "above 0"
        )
    return float((eigenvalues / (eigenvalues + damping)).abs().max())


def momentum_gain(beta: float) -> float:
    """1/(1 − β): by how much momentum multiplies the steps along a gradient that stays the same.

    After k steps it is (1 − βᵏ)/(1 − β). Raises `HyperparameterError` for a β outside [0, 1).

    >>> momentum_gain(0.75)
    4.0
    """
    return 1 / (1 - number("beta", beta, FRACTION))
