"""Quasi-hyperbolic momentum, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Paper:
    """m ← βm + (1 − β)g; p ← p − α((1 − ν)g + νm).

    Ma and Yarats, arXiv:1810.06801, with their rule of thumb ν = 0.7, β = 0.999.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 1.0,
        *,
        nu: float = 0.7,
        beta: float = 0.999,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.nu, self.beta = nu, beta
        self.m = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta * self.m + (1 - self.beta) * g
        self.p = self.p - alpha * (1 - self.nu) * g - alpha * self.nu * self.m
        return self.p.copy()
