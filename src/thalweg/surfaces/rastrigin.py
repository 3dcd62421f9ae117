"""Rastrigin's function: a bowl under a regular grid of deep pits."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

from thalweg.errors import HyperparameterError
from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface, name_of

if TYPE_CHECKING:
    from torch import Tensor

# Along one axis, x² + 10(1 − cos 2πx) is critical at 0, and next at these places with these values:
NEXT_MAXIMUM = 0.5025460365546746, 20.251272990990113
NEXT_MINIMUM = 0.9949586376523348, 0.9949590570932914


def rastrigin(dimensions: int = 2) -> Surface:
    """Rastrigin's function in any number of dimensions.

    Raises:
        HyperparameterError: there are fewer than two dimensions.
    """
    if dimensions < 2:
        raise HyperparameterError(f"surface `rastrigin`: it takes at least 2 dimensions, not {dimensions}")
    return Surface(
        name=name_of(rastrigin, dimensions=dimensions),
        title="Rastrigin",
        function=_value,
        formula=rf"\sum_{{i=1}}^{{{dimensions}}} (x_i^2 - 10 \cos(2 \pi x_i) + 10)",
        minima=(
            CriticalPoint((0.0,) * dimensions, 0.0, is_global=True),
            *_along_each_axis(*NEXT_MINIMUM, dimensions=dimensions),
        ),
        saddles=_along_each_axis(*NEXT_MAXIMUM, dimensions=dimensions),
        starts=(((3.4, -2.6) * dimensions)[:dimensions],),
        window=((-5.12, 5.12),) * dimensions,
        source="L. A. Rastrigin, Systems of Extremal Control, Nauka, 1974; in n dimensions Mühlenbein, "
        "Schomisch and Born, Parallel Computing 17(6–7), 1991",
        remark="Only the global minimum, the nearest minima along each axis and the saddles on the way to "
        "them are listed. From the start the gradient flow ends in a local minimum close by, far "
        "above the global one.",
    )


def _along_each_axis(distance: float, value: float, *, dimensions: int) -> tuple[CriticalPoint, ...]:
    origin = (0.0,) * dimensions
    return tuple(
        CriticalPoint((*origin[:axis], sign * distance, *origin[axis + 1 :]), value)
        for axis in range(dimensions)
        for sign in (-1, 1)
    )


def _value(point: Tensor) -> Tensor:
    return (point**2 - 10 * (2 * pi * point).cos() + 10).sum(-1)
