"""A bowl with two pits, one deeper than the other: which minimum does a method find?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def two_basins() -> Surface:
    """A bowl with two pits, one deeper than the other."""
    return Surface(
        name="two_basins",
        title="Two basins",
        function=_value,
        formula=r"0.1 (x^2 + y^2) - 2 \exp(-((x - 1.5)^2 + (y - 1)^2) / 0.6) "
        r"- 1.2 \exp(-((x + 1.2)^2 + (y + 0.8)^2) / 1.2)",
        minima=(
            CriticalPoint((1.4559525839942211, 0.9706350559961474), -1.6847335285645552, is_global=True),
            CriticalPoint((-1.0894403246682386, -0.7262935497788258), -1.0110351143010558),
        ),
        saddles=(CriticalPoint((0.30622442151174053, 0.20414961434116035), -0.12937335737356564),),
        starts=((-2.0, 2.0), (2.5, -1.5)),
        window=((-3.0, 3.0), (-2.5, 2.5)),
        source="our own, fixed before any method was run on it",
        remark="The gradient flow ends in the local minimum from (−2, 2) and in the global one, the deeper "
        "and narrower pit, from (2.5, −1.5). One start proves nothing about a method: only a grid "
        "of them does.",
    )


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    bowl = 0.1 * (x**2 + y**2)
    deep = 2 * (-((x - 1.5) ** 2 + (y - 1) ** 2) / 0.6).exp()
    shallow = 1.2 * (-((x + 1.2) ** 2 + (y + 0.8) ** 2) / 1.2).exp()
    return bowl - deep - shallow
