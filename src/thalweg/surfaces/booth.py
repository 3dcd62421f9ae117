"""Booth's function: a well-conditioned quadratic whose axes are turned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def booth() -> Surface:
    """Booth's function."""
    return Surface(
        name="booth",
        title="Booth",
        function=_value,
        formula=r"(x + 2 y - 7)^2 + (2 x + y - 5)^2",
        minima=(CriticalPoint((1.0, 3.0), 0.0, is_global=True),),
        starts=((-8.0, 2.0),),
        window=((-10.0, 10.0), (-10.0, 10.0)),
        source="M. Jamil and X.-S. Yang, A literature survey of benchmark functions for global "
        "optimization problems, arXiv:1308.4008",
        remark="Condition number 9. The axes of the valley lie at 45° to the coordinates, which curve "
        "alike: scaling each coordinate by itself changes nothing.",
    )


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2
