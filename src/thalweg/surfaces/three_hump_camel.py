"""The three-hump camel: one good minimum between two poor ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def three_hump_camel() -> Surface:
    """The three-hump camel function."""
    return Surface(
        name="three_hump_camel",
        title="Three-hump camel",
        function=_value,
        formula=r"2 x^2 - 1.05 x^4 + \tfrac{1}{6} x^6 + x y + y^2",
        minima=(
            CriticalPoint((0.0, 0.0), 0.0, is_global=True),
            CriticalPoint((-1.7475523458302889, 0.8737761729151444), 0.29863844223685982),
            CriticalPoint((1.7475523458302889, -0.8737761729151444), 0.29863844223685982),
        ),
        saddles=(
            CriticalPoint((-1.07054229182366, 0.53527114591183), 0.8773615577631402),
            CriticalPoint((1.07054229182366, -0.53527114591183), 0.8773615577631402),
        ),
        starts=((1.2, 2.0),),
        window=((-2.5, 2.5), (-2.5, 2.5)),
        source="M. Jamil and X.-S. Yang, A literature survey of benchmark functions for global "
        "optimization problems, arXiv:1308.4008",
        remark="Three basins side by side. From the start the gradient flow ends in the middle one, the "
        "global minimum.",
    )


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2
