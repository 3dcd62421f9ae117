"""Easom's function: one narrow pit in an almost flat plain."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def easom() -> Surface:
    """Easom's function."""
    return Surface(
        name="easom",
        title="Easom",
        function=_value,
        formula=r"-\cos(x) \cos(y) \exp(-(x - \pi)^2 - (y - \pi)^2)",
        minima=(CriticalPoint((pi, pi), -1.0, is_global=True),),
        starts=((4.5, 1.8),),
        window=((0.0, 2 * pi), (0.0, 2 * pi)),
        source="E. E. Easom, A survey of global optimization techniques, M. Eng. thesis, University of "
        "Louisville, 1990",
        remark="The gradient at the start is about 0.01 long and further out it vanishes: a plateau, on "
        "which a step proportional to the gradient hardly moves. Only the pit is listed; around it "
        "lie saddles, maxima and minima less than 0.01 high or deep.",
    )


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    return -x.cos() * y.cos() * (-((x - pi) ** 2) - (y - pi) ** 2).exp()
