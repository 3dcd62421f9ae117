"""ESGD, equilibrated gradient descent, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Paper:
    """D ← D + (Hv)²; p ← p − α g/(√(D/i) + λ), with v normal and i the number of products so far.

    Dauphin, de Vries and Bengio, arXiv:1502.04390, Algorithm 1. The squares (Hv)² are given from outside, with
    every step or, as the paper does to save time, with every 20th; until the first, D/i is 0. The damping λ is
    what the paper tunes; the default is ours.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float],
        *,
        damping: float = 1e-4,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.damping, self.i = damping, 0
        self.D = zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike], squares: Sequence[ArrayLike] | None = None) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        if squares is not None:
            self.i += 1
            self.D = [D + square for D, square in zip(self.D, float64s(squares), strict=True)]
        for k, g in enumerate(float64s(gradients)):
            scale = np.sqrt(self.D[k] / max(self.i, 1)) + self.damping
            self.p[k] = self.p[k] - alpha * g / scale
        return float64s(self.p)
