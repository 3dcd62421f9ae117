"""How a surface is differentiated: its gradient, its Hessian and the eigenvalues of that, by PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thalweg.errors import ParameterError
from thalweg.surfaces.points import Curvature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    Function = Callable[[Tensor], Tensor]


def gradient(function: Function, points: Tensor) -> Tensor:
    """The gradient at each point, of the shape of `points`."""
    return torch.func.grad(lambda x: function(x).sum())(points)


def hessian(function: Function, points: Tensor) -> Tensor:
    """The Hessian at each point, of shape `(..., dimension, dimension)`."""

    def gradients_added_up(x: Tensor) -> Tensor:
        # Each gradient depends on its own point alone, so that one Jacobian of the sum holds all Hessians.
        return gradient(function, x).reshape(-1, x.shape[-1]).sum(0)

    return torch.func.jacrev(gradients_added_up)(points).movedim(0, -2)


def curvature(function: Function, point: Tensor) -> Curvature:
    """The eigenvalues of the Hessian at one point."""
    eigenvalues: list[float] = torch.linalg.eigvalsh(hessian(function, point)).tolist()
    return Curvature(tuple(eigenvalues))


def as_points(points: Tensor | Sequence[float], name: str, dimension: int) -> Tensor:
    """The points as a tensor: a floating one as it is, plain numbers and arrays in float64.

    Raises:
        ParameterError: the tensor is not a floating one, or its last dimension is not the surface's.
    """
    if not isinstance(points, torch.Tensor):
        points = torch.as_tensor(points, dtype=torch.float64)
    if not points.is_floating_point():
        raise ParameterError(
            f"surface `{name}` cannot be evaluated at points of dtype {points.dtype}; "
            f"convert them with `.to(torch.float64)`"
        )
    if points.ndim == 0 or points.shape[-1] != dimension:
        raise ParameterError(
            f"surface `{name}` has {dimension} coordinates, but the points have shape {tuple(points.shape)}; "
            f"give them the shape (..., {dimension})"
        )
    return points


def as_point(point: Tensor | Sequence[float], name: str, dimension: int) -> Tensor:
    """One point as a float64 tensor.

    Raises:
        ParameterError: there are several points, or a point of another dimension.
    """
    tensor = as_points(point, name, dimension)
    if tensor.ndim != 1:
        raise ParameterError(
            f"surface `{name}`: the curvature is that of one point, but the points have shape "
            f"{tuple(tensor.shape)}; give one of them, or use `hessian` for all"
        )
    return tensor.detach().to(torch.float64)
