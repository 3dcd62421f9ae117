"""McCormick's function: a corrugated valley that descends for ever."""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def mccormick() -> Surface:
    """McCormick's function."""
    # With u = x + y and v = x − y it is sin u + u/2 + (v − 1)²: critical where v = 1 and cos u = −1/2.
    third = pi / 3
    return Surface(
        name="mccormick",
        title="McCormick",
        function=_value,
        formula=r"\sin(x + y) + (x - y)^2 - 1.5 x + 2.5 y + 1",
        minima=(
            CriticalPoint((0.5 - third, -0.5 - third), -sqrt(3) / 2 - third, is_global=True),
            CriticalPoint((0.5 + 2 * third, -0.5 + 2 * third), -sqrt(3) / 2 + 2 * third),
        ),
        saddles=(
            CriticalPoint((0.5 + third, -0.5 + third), sqrt(3) / 2 + third),
            CriticalPoint((0.5 - 2 * third, -0.5 - 2 * third), sqrt(3) / 2 - 2 * third),
        ),
        starts=((3.5, -2.0),),
        window=((-2.5, 4.0), (-3.5, 4.0)),
        source="M. Jamil and X.-S. Yang, A literature survey of benchmark functions for global "
        "optimization problems, arXiv:1308.4008",
        remark="Its customary domain is −1.5 ≤ x ≤ 4, −3 ≤ y ≤ 4, and only there is the global minimum "
        "global: every 2π further down the diagonal lies another minimum, lower by π. A step that "
        "is too long finds one of them.",
    )


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    return (x + y).sin() + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1
