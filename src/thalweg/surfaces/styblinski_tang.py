"""The Styblinski–Tang function: a double well in every coordinate."""

from __future__ import annotations

from itertools import product
from math import fsum
from typing import TYPE_CHECKING

from thalweg.errors import HyperparameterError
from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

OnAxis = tuple[float, float]

# Along one axis, (x⁴ − 16x² + 5x)/2 is critical at these places, with these values:
DEEP = -2.903534027771177, -39.16616570377142
TOP = 0.1567312567803401, 0.19561235905535807
SHALLOW = 2.746802770990837, -25.029446655283743


def styblinski_tang(dimensions: int = 2) -> Surface:
    """The Styblinski–Tang function in any number of dimensions.

    Raises:
        HyperparameterError: there are fewer than two dimensions.
    """
    if dimensions < 2:
        raise HyperparameterError(f"surface `styblinski_tang`: it takes at least 2 dimensions, not {dimensions}")
    global_minimum = (DEEP,) * dimensions
    # There are 3ⁿ: in more than two dimensions, only those one coordinate away from the global minimum.
    others = product((DEEP, SHALLOW, TOP), repeat=2) if dimensions == 2 else _one_coordinate_away(dimensions)
    counted = [(place, place.count(TOP)) for place in others if place != global_minimum]
    return Surface(
        name=name_of(styblinski_tang, dimensions=dimensions),
        title="Styblinski–Tang",
        function=_value,
        formula=rf"\tfrac{{1}}{{2}} \sum_{{i=1}}^{{{dimensions}}} (x_i^4 - 16 x_i^2 + 5 x_i)",
        minima=(
            _critical(global_minimum, is_global=True),
            *(_critical(place) for place, count in counted if count == 0),
        ),
        saddles=tuple(_critical(place) for place, count in counted if 0 < count < dimensions),
        maxima=tuple(_critical(place) for place, count in counted if count == dimensions),
        starts=(((4.5, -1.0) * dimensions)[:dimensions],),
        window=((-5.0, 5.0),) * dimensions,
        source="M. A. Styblinski and T.-S. Tang, Experiments in nonconvex optimization: stochastic "
        "approximation with function smoothing and simulated annealing, Neural Networks 3(4), 1990",
        remark="In each coordinate a deep and a shallow well. From the start the gradient flow ends in the "
        "shallow well of the first coordinate and the deep one of the second. In more than two "
        "dimensions only those critical points are listed that differ from the global minimum in "
        "one coordinate.",
    )


def _one_coordinate_away(dimensions: int) -> Iterator[tuple[OnAxis, ...]]:
    for axis in range(dimensions):
        for other in (SHALLOW, TOP):
            yield (*(DEEP,) * axis, other, *(DEEP,) * (dimensions - axis - 1))


def _critical(place: tuple[OnAxis, ...], *, is_global: bool = False) -> CriticalPoint:
    return CriticalPoint(tuple(x for x, _ in place), fsum(value for _, value in place), is_global)


def _value(point: Tensor) -> Tensor:
    return (point**4 - 16 * point**2 + 5 * point).sum(-1) / 2
