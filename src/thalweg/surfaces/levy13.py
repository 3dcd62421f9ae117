"""Lévy's function no. 13: a bowl with ripples across it and very many minima."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

from thalweg.surfaces.points import CriticalPoint
from thalweg.surfaces.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def levy13() -> Surface:
    """Lévy's function no. 13."""
    return Surface(
        name="levy13",
        title="Lévy no. 13",
        function=_value,
        formula=r"\sin^2(3 \pi x) + (x - 1)^2 (1 + \sin^2(3 \pi y)) + (y - 1)^2 (1 + \sin^2(2 \pi y))",
        minima=(
            CriticalPoint((1.0, 1.0), 0.0, is_global=True),
            CriticalPoint((0.6703805254516863, 1.0), 0.10987365835883795),
            CriticalPoint((1.3296194745483137, 1.0), 0.10987365835883795),
        ),
        saddles=(
            CriticalPoint((0.8314352416485596, 1.0), 1.0280940922572972),
            CriticalPoint((1.1685647583514404, 1.0), 1.0280940922572972),
        ),
        starts=((2.5, 2.5),),
        window=((-1.0, 3.0), (-1.0, 3.0)),
        source="A. V. Lévy and A. Montalvo, The tunneling algorithm for the global minimization of "
        "functions, SIAM Journal on Scientific and Statistical Computing 6(1), 1985; numbered so by "
        "Surjanovic and Bingham, Virtual Library of Simulation Experiments",
        remark="Only the global minimum, its two nearest neighbours and the saddles on the way to them are "
        "listed, of very many. From the start the gradient flow ends in a local minimum close by.",
    )


def _value(point: Tensor) -> Tensor:
    x, y = point.unbind(-1)
    across = (3 * pi * x).sin() ** 2
    along = (x - 1) ** 2 * (1 + (3 * pi * y).sin() ** 2) + (y - 1) ** 2 * (1 + (2 * pi * y).sin() ** 2)
    return across + along
