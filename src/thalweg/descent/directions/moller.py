"""The direction of Møller's scaled conjugate gradients."""

# A direction's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import dot

from thalweg.descent.directions.direction import Direction, Guide

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.trial import Trial


@dataclass(frozen=True, repr=False)
class moller(Direction):
    """d = −g + β·(the last d), β = (‖g‖² − gᵀg_last)/−dᵀg_last, with −g again every n steps. Its step size: `scaled()`.

    Møller 1993, A scaled conjugate gradient algorithm for fast supervised learning, Neural Networks 6, steps 1 and 7.
    """

    needs_curvature: ClassVar[bool] = True
    when: ClassVar[str] = "Full-batch training of small networks without a line search, as its paper has it."
    keeps: ClassVar[str] = "2n numbers: the last direction and the last gradient"

    def start(self) -> Guide:
        """A guide for one descent."""
        return _Moller()


class _Moller(Guide):
    remembers = ("_last", "_steps")

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._steps = 0

    def toward(self, here: Trial) -> Tensor:
        g = here.g
        d = -g
        if self._last is not None and self._steps % len(g):
            last, before = self._last
            d = -g + (dot(g, g) - dot(g, last)) / -dot(before, last) * before
        self._steps += 1
        self._last = (g, d)
        return d

    def forget(self) -> bool:
        had = self._steps > 1
        self._last, self._steps = None, 0
        return had
