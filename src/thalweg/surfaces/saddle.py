"""A saddle with a minimum on either side: the simplest surface on which descent can get stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def saddle() -> Surface:
    """A saddle, bounded below.

    The textbook's saddle x² − y² has no minimum, so that whoever leaves it first wins without end. The
    quartic term closes it with two minima and leaves the curvature at the saddle as it is. The start lies
    a thousandth beside the axis that leads into the saddle: on the axis itself no gradient points out.
    """
    return Surface(
        name="saddle",
        title="Saddle",
        function=_value,
        formula=r"\tfrac{1}{2} x^2 - \tfrac{1}{2} y^2 + \tfrac{1}{4} y^4",
        minima=(
            CriticalPoint((0.0, 1.0), -0.25, is_global=True),
            CriticalPoint((0.0, -1.0), -0.25, is_global=True),
        ),
        saddles=(CriticalPoint((0.0, 0.0), 0.0),),
        starts=((-1.5, 1e-3),),
        window=((-2.0, 2.0), (-1.75, 1.75)),
        source="our own",
        remark="Near the saddle the gradient is small. Gradient descent lingers there until the thousandth "
        "has grown; methods that scale each coordinate by the size of its gradient need not; "
        "Newton's method goes to the saddle and stays.",
    )


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    return x**2 / 2 - y**2 / 2 + y**4 / 4
