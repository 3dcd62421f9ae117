"""A quadratic valley of a given condition number: the surface on which the theory is exact."""

from __future__ import annotations

from functools import partial
from math import inf, sqrt
from typing import TYPE_CHECKING

from thalweg.errors import HyperparameterError
from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface, name_of

if TYPE_CHECKING:
    from torch import Tensor


def quadratic(condition: float = 100.0) -> Surface:
    """A quadratic valley along the x-axis, `condition` times as strongly curved across as along.

    It starts at (√condition, 1), where half of the loss is along the valley and half across it.

    >>> quadratic(condition=16).starts
    ((4.0, 1.0),)

    Raises:
        HyperparameterError: the condition number is not a finite number of at least 1.
    """
    if not 1 <= condition < inf:
        raise HyperparameterError(
            f"surface `quadratic`: a condition number is a finite number of at least 1, not {condition!r}"
        )
    half_length = sqrt(condition)
    return Surface(
        name=name_of(quadratic, condition=condition),
        title=f"Quadratic, condition number {condition:.15g}",
        function=partial(_value, condition=condition),
        formula=rf"\tfrac{{1}}{{2}} (x^2 + {condition:.15g} y^2)",
        minima=(CriticalPoint((0.0, 0.0), 0.0, is_global=True),),
        starts=((half_length, 1.0),),
        window=(
            (-1.1 * half_length, 1.1 * half_length),
            (-max(1.5, 0.4 * half_length), max(1.5, 0.4 * half_length)),
        ),
        source="S. Boyd and L. Vandenberghe, Convex Optimization, Cambridge University Press, 2004, section 9.3.2",
        remark="Gradient descent at its best rate 2/(λ₁ + λₙ) zig-zags and contracts by (κ − 1)/(κ + 1) a "
        "step; heavy ball, at its own, by (√κ − 1)/(√κ + 1). The axes are those of the coordinates, "
        "which flatters methods that scale each coordinate by itself.",
    )


def _value(point: Tensor, condition: float) -> Tensor:
    x, y = point.unbind(-1)
    return (x**2 + condition * y**2) / 2
