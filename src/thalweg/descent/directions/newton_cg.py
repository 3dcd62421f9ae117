"""Newton's direction without the Hessian: conjugate gradients on products with it, ended as early as they may be."""

# A direction's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import dot

from thalweg.descent.directions.direction import Direction, Guide
from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import whole

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.trial import Trial


@dataclass(frozen=True, repr=False)
class newton_cg(Direction):
    """d ≈ −H⁻¹g by conjugate gradients, until the residual is at most min(½, √‖g‖)·‖g‖ or the curvature negative.

    For many variables: it asks for Hessian products only, `max_products` of them for one direction (20n if not given).
    Nocedal and Wright, Algorithm 7.1, known as the truncated Newton method.
    """

    needs_curvature: ClassVar[bool] = True
    when: ClassVar[str] = "Many variables that are ill-conditioned, where products with the Hessian are cheap."
    spends: ClassVar[str] = (
        "the gradient, and a Hessian product for each inner step of conjugate gradients: few far away, more "
        "near a minimum"
    )
    max_products: int | None = whole(1, default=None, source="ours: 20n", kw_only=True)

    def start(self) -> Guide:
        """A guide for one descent."""
        return _NewtonCG(self.max_products)


def forcing(g: Tensor) -> float:
    """How small a residual ends the conjugate gradients: min(½, √‖g‖)·‖g‖, so that steps near a minimum are Newton's.

    Raises `NoStepError` for a gradient whose square overflows.
    """
    square = float(dot(g, g))
    if not math.isfinite(square):
        raise NoStepError(Status.NOT_FINITE, "the gradient is too large to be squared; scale the function down")
    return min(0.5, square**0.25) * math.sqrt(square)


class _NewtonCG(Guide):
    is_scaled = True

    def __init__(self, max_products: int | None) -> None:
        self._max_products = max_products

    def toward(self, here: Trial) -> Tensor:
        g = here.g
        tolerance = forcing(g)
        z, r, d = torch.zeros_like(g), g, -g
        square = dot(r, r)
        for count in range(self._max_products or 20 * len(g)):
            if square.sqrt() <= tolerance:
                break
            Bd = here.product(d)
            curvature = dot(d, Bd)
            if not bool(curvature.isfinite()):
                raise NoStepError(Status.NOT_FINITE, "a Hessian product has a NaN or an infinity in it")
            rounding = 3 * torch.finfo(g.dtype).eps * torch.linalg.vector_norm(d) * torch.linalg.vector_norm(Bd)
            if curvature <= rounding:
                # downhill all the same: along −g as far as a curvature of that size says, or what was found before it
                return z if count else d * (square / curvature.abs() if curvature < 0 else 1.0)
            alpha = square / curvature
            z = z + alpha * d
            r = r + alpha * Bd
            before, square = square, dot(r, r)
            d = -r + (square / before) * d
        return z
