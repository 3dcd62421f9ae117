"""The Goldstein–Price function: values from 3 to a million within a few units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def goldstein_price() -> Surface:
    """The Goldstein–Price function."""
    return Surface(
        name="goldstein_price",
        title="Goldstein–Price",
        function=_value,
        formula=r"\left(1 + (x + y + 1)^2 (19 - 14 x + 3 x^2 - 14 y + 6 x y + 3 y^2)\right) "
        r"\left(30 + (2 x - 3 y)^2 (18 - 32 x + 12 x^2 + 48 y - 36 x y + 27 y^2)\right)",
        minima=(
            CriticalPoint((0.0, -1.0), 3.0, is_global=True),
            CriticalPoint((-0.6, -0.4), 30.0),
            CriticalPoint((1.8, 0.2), 84.0),
            CriticalPoint((1.2, 0.8), 840.0),
        ),
        saddles=(
            CriticalPoint((-0.4, -0.6), 35.0),
            CriticalPoint((1.2, -0.2), 99.0),
            CriticalPoint((1.4, 0.6), 980.0),
            CriticalPoint((0.6, 0.4), 990.0),
        ),
        maxima=(CriticalPoint((0.8, 0.2), 1155.0),),
        starts=((1.5, -2.0),),
        window=((-2.0, 2.0), (-3.0, 1.5)),
        source="A. A. Goldstein and J. F. Price, On descent from local minima, Mathematics of Computation "
        "25(115), 1971",
        remark="The curvature falls by orders of magnitude between the start and the minimum: a learning "
        "rate that survives the first step is far too small for the last, unless the method adapts "
        "it.",
    )


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    ridge = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    trough = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return ridge * trough
