"""Himmelblau's function: four minima of equal depth around one maximum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def himmelblau() -> Surface:
    """Himmelblau's function."""
    return Surface(
        name="himmelblau",
        title="Himmelblau",
        function=_value,
        formula=r"(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
        minima=(
            CriticalPoint((3.0, 2.0), 0.0, is_global=True),
            CriticalPoint((3.5844283403304917, -1.8481265269644036), 0.0, is_global=True),
            CriticalPoint((-2.805118086952745, 3.1313125182505730), 0.0, is_global=True),
            CriticalPoint((-3.779310253377747, -3.2831859912861694), 0.0, is_global=True),
        ),
        saddles=(
            CriticalPoint((3.385154183607021, 0.07385187983774929), 13.31192627040559),
            CriticalPoint((0.08667750455539635, 2.884254701174776), 67.71915008752614),
            CriticalPoint((-3.0730257507643896, -0.08135304428796751), 104.01516291755811),
            CriticalPoint((-0.12796134673068007, -1.9537149802445764), 178.33723920192746),
        ),
        maxima=(CriticalPoint((-0.2708445906673476, -0.9230385564799815), 181.6165215225827),),
        starts=((0.0, 0.0),),
        window=((-5.5, 5.5), (-5.5, 5.5)),
        source="D. M. Himmelblau, Applied Nonlinear Programming, McGraw-Hill, 1972",
        remark="Which of the four minima is reached depends on the method; all are equally deep. From near "
        "the maximum Newton's method climbs to it.",
    )


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2
