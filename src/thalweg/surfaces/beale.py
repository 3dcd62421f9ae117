"""Beale's function: a long flat valley, and one start from which no way downhill leads to the minimum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def beale() -> Surface:
    """Beale's function."""
    return Surface(
        name="beale",
        title="Beale",
        function=_value,
        formula=r"(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2",
        minima=(CriticalPoint((3.0, 0.5), 0.0, is_global=True),),
        saddles=(
            CriticalPoint((0.0, 1.0), 14.203125),
            CriticalPoint((0.10053793732415836, -2.644513585023125), 9.86451228475556),
        ),
        starts=((2.0, -2.0), (-3.0, 3.0)),
        window=((-4.5, 4.5), (-4.5, 4.5)),
        source="E. M. L. Beale, On an iterative method for finding a local minimum of a function of more "
        "than one variable, Princeton University, Statistical Techniques Research Group, report 25, "
        "1958; no. 5 of Moré, Garbow and Hillstrom, ACM Transactions on Mathematical Software 7(1), "
        "1981",
        remark="From (2, −2) the gradient flow turns the corner and ends in the minimum. From (−3, 3) it "
        "runs off along the valley x(1 − y) = 0.99 towards x = −∞, where f tends to 0.452, and "
        "never reaches the minimum.",
    )


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2
