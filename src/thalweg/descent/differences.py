"""Hessian products from differences of gradients, for a function that can be differentiated once and not twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from thalweg.curvature.differences import step_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Points = Literal["2-point", "3-point"]
"""SciPy's names: a forward difference, from the gradient here and one ahead; a central one, from two others."""


def difference(gradient: Callable[[Tensor], Tensor], x: Tensor, g: Tensor, v: Tensor, points: Points) -> Tensor:
    """(∇f(x + hv) − ∇f(x))/h, or (∇f(x + hv) − ∇f(x − hv))/2h.

    Its relative error is about √ε with two points and ε^⅔ with three, for the dtype's rounding ε.
    """
    h = step_length(float(torch.linalg.vector_norm(x)), v, points)
    if not h:
        return torch.zeros_like(v)
    if points == "2-point":
        return (gradient(x + h * v) - g) / h
    return (gradient(x + h * v) - gradient(x - h * v)) / (2 * h)
