"""Nonlinear conjugate gradients: the last direction is kept in part, and five formulas say how much of it."""

# A direction's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import dot

from thalweg.descent.directions.direction import Direction, Guide
from thalweg.descent.part import number, whole
from thalweg.formula import Range

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.trial import Trial

_SUFFICIENT = 0.01
"""σ: a direction with dᵀg > −σ‖g‖² hardly descends (Gilbert and Nocedal 1992), and is given up for −g."""


@dataclass(frozen=True, repr=False)
class Conjugate(Direction):
    """d = −g + β·(the last d); β from the gradients here and there, y their difference.

    The direction is −g again after `restart` steps, if that is given, and where it would hardly descend.
    """

    keeps: ClassVar[str] = "2n numbers: the last direction and the last gradient"
    _: KW_ONLY
    restart: int | None = whole(1, default=None, source="ours: only where it hardly descends")

    @abstractmethod
    def beta(self, g: Tensor, last: Tensor, d: Tensor) -> Tensor:
        """How much of the last direction `d` is kept, from the gradient here and the last one."""

    def start(self) -> Guide:
        """A guide for one descent."""
        return _Conjugate(self)


@dataclass(frozen=True, repr=False)
class fletcher_reeves(Conjugate):
    """β = ‖g‖²/‖g_last‖². Fletcher and Reeves 1964. It wants an exact search; bad steps make more of them."""

    when: ClassVar[str] = "To see the oldest of the five; where it makes a small step, it makes more of them."

    def beta(self, g: Tensor, last: Tensor, d: Tensor) -> Tensor:  # noqa: ARG002
        """How much of the last direction is kept."""
        return dot(g, g) / dot(last, last)


@dataclass(frozen=True, repr=False)
class polak_ribiere(Conjugate):
    """β = max(gᵀy/‖g_last‖², 0), known as PR⁺. Polak and Ribière 1969; Powell 1984. The usual choice."""

    when: ClassVar[str] = "Very many variables, for which L-BFGS keeps too much: the usual one of the five."

    def beta(self, g: Tensor, last: Tensor, d: Tensor) -> Tensor:  # noqa: ARG002
        """How much of the last direction is kept."""
        return (dot(g, g - last) / dot(last, last)).clamp(min=0)


@dataclass(frozen=True, repr=False)
class hestenes_stiefel(Conjugate):
    """β = gᵀy/dᵀy. Hestenes and Stiefel 1952: whatever the search, dᵀy = 0."""

    when: ClassVar[str] = "As Polak and Ribière's, with directions that stay conjugate under an inexact search."

    def beta(self, g: Tensor, last: Tensor, d: Tensor) -> Tensor:
        """How much of the last direction is kept."""
        return dot(g, g - last) / dot(d, g - last)


@dataclass(frozen=True, repr=False)
class dai_yuan(Conjugate):
    """β = ‖g‖²/dᵀy. Dai and Yuan 1999: descends wherever the search meets the weak Wolfe conditions."""

    when: ClassVar[str] = "Where descent must be certain whatever the search does."

    def beta(self, g: Tensor, last: Tensor, d: Tensor) -> Tensor:
        """How much of the last direction is kept."""
        return dot(g, g) / dot(d, g - last)


@dataclass(frozen=True, repr=False)
class hager_zhang(Conjugate):
    """β = (y − 2d‖y‖²/dᵀy)ᵀg/dᵀy, from below bounded by −1/(‖d‖ min(η, ‖g_last‖)). Its search: `approximate_wolfe`.

    Hager and Zhang 2005, SIAM Journal on Optimization 16(1), equations (1.3), (1.5) and (1.6).
    """

    when: ClassVar[str] = "Very many variables, and a minimum that is wanted to more digits than values can tell."
    eta: float = number(Range(0, low_included=False), default=0.01, source="Hager and Zhang 2005", kw_only=True)

    def beta(self, g: Tensor, last: Tensor, d: Tensor) -> Tensor:
        """How much of the last direction is kept."""
        y = g - last
        slope = dot(d, y)
        beta = dot(y - 2 * d * dot(y, y) / slope, g) / slope
        bound = -1 / (torch.linalg.vector_norm(d) * torch.linalg.vector_norm(last).clamp(max=self.eta))
        return torch.maximum(beta, bound)


class _Conjugate(Guide):
    remembers = ("_last", "_age")

    def __init__(self, formula: Conjugate) -> None:
        self._formula = formula
        self._last: tuple[Tensor, Tensor] | None = None
        self._age = 0

    def toward(self, here: Trial) -> Tensor:
        g = here.g
        d = -g
        if self._last is not None and self._age != self._formula.restart:
            d = self._bend(g)
            if not _descends(d, g):
                d = -g
                self._age = 0
        else:
            self._age = 0
        self._age += 1
        self._last = (g, d)
        return d

    def could_go_on(self, here: Trial, there: Trial) -> bool:  # noqa: ARG002
        """Whether its direction from there would descend."""
        return _descends(self._bend(there.g), there.g)

    def _bend(self, g: Tensor) -> Tensor:
        return -g if self._last is None else -g + self._formula.beta(g, *self._last) * self._last[1]

    def forget(self) -> bool:
        had = self._age > 1
        self._last, self._age = None, 0
        return had


def _descends(d: Tensor, g: Tensor) -> bool:
    return bool(dot(d, g) <= -_SUFFICIENT * dot(g, g))  # a NaN does not
