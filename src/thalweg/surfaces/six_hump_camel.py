"""The six-hump camel: two global minima among six, in point symmetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def six_hump_camel() -> Surface:
    """The six-hump camel function."""
    return Surface(
        name="six_hump_camel",
        title="Six-hump camel",
        function=_value,
        formula=r"(4 - 2.1 x^2 + \tfrac{1}{3} x^4) x^2 + x y + (-4 + 4 y^2) y^2",
        minima=(
            *_pair((0.08984201310031806, -0.7126564030207396), -1.0316284534898774, is_global=True),
            *_pair((1.7036067149699809, -0.7960835686726251), -0.21546382438371764),
            *_pair((1.6071047529201972, 0.5686514548841314), 2.1042503103112583),
        ),
        saddles=(
            CriticalPoint((0.0, 0.0), 0.0),
            *_pair((1.1092053368047865, -0.7682680925095398), 0.5437186009781851),
            *_pair((1.6380679841897786, 0.22867406904439407), 2.2293571975307147),
            *_pair((1.2960702671671092, 0.6050843880386585), 2.2294708180298599),
        ),
        maxima=_pair((1.2302298765166526, 0.16233458445899498), 2.496295351023577),
        starts=((-0.8, -1.0),),
        window=((-2.0, 2.0), (-1.2, 1.2)),
        source="L. C. W. Dixon and G. P. Szegő, Towards Global Optimisation 2, North-Holland, 1978",
        remark="f(−x, −y) = f(x, y): every minimum has a twin of equal depth. The saddle at the origin "
        "lies between the two global ones; from the start the gradient flow ends in the lower one "
        "in the picture.",
    )


def _pair(x: tuple[float, float], value: float, *, is_global: bool = False) -> tuple[CriticalPoint, CriticalPoint]:
    return CriticalPoint(x, value, is_global), CriticalPoint((-x[0], -x[1]), value, is_global)


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (-4 + 4 * y**2) * y**2
