"""Rosenbrock's function: a narrow curved valley, easy to find and slow to follow."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING

from thalweg.errors import HyperparameterError
from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface, name_of

if TYPE_CHECKING:
    from torch import Tensor


def rosenbrock(a: float = 1.0, b: float = 100.0) -> Surface:
    """Rosenbrock's function, with its minimum at (a, a²); the larger `b`, the steeper the valley's sides.

    Raises:
        HyperparameterError: `a` is not finite, or `b` is not positive and finite.
    """
    if not -inf < a < inf:
        raise HyperparameterError(f"surface `rosenbrock`: `a` is the x of the minimum, a finite number, not {a!r}")
    if not 0 < b < inf:
        raise HyperparameterError(f"surface `rosenbrock`: `b` is the steepness, a finite number above 0, not {b!r}")
    reach = max(2.0, 1.25 * abs(a))
    return Surface(
        name=name_of(rosenbrock, a=a, b=b),
        title="Rosenbrock",
        function=partial(_value, a=a, b=b),
        formula=rf"({a:.15g} - x)^2 + {b:.15g} (y - x^2)^2",
        minima=(CriticalPoint((float(a), float(a) ** 2), 0.0, is_global=True),),
        starts=((-1.2, 1.0),),
        window=((-reach, reach), (-1.0, max(3.0, 1.25 * a**2))),
        source="H. H. Rosenbrock, An automatic method for finding the greatest or least value of a "
        "function, The Computer Journal 3(3), 1960; the start is his",
        remark="The valley y = x² is soon found; what is compared is how a method follows its bend to the "
        "minimum. Gradient descent crawls.",
    )


def _value(point: Tensor, a: float, b: float) -> Tensor:
    x, y = point.unbind(-1)
    return (a - x) ** 2 + b * (y - x**2) ** 2
