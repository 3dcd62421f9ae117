"""Matyas's function: a shallow quadratic valley along the diagonal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def matyas() -> Surface:
    """Matyas's function."""
    return Surface(
        name="matyas",
        title="Matyas",
        function=_value,
        formula=r"0.26 (x^2 + y^2) - 0.48 x y",
        minima=(CriticalPoint((0.0, 0.0), 0.0, is_global=True),),
        starts=((-8.0, 4.0),),
        window=((-10.0, 10.0), (-10.0, 10.0)),
        source="M. Jamil and X.-S. Yang, A literature survey of benchmark functions for global "
        "optimization problems, arXiv:1308.4008",
        remark="Condition number 25. The axes of the valley lie at 45° to the coordinates, which curve "
        "alike: scaling each coordinate by itself changes nothing.",
    )


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    return 0.26 * (x**2 + y**2) - 0.48 * x * y
