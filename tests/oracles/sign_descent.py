"""Sign descent, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Sign:
    """p ← p − δ sign(g), where the sign of 0 is 0.

    Bernstein et al., arXiv:1802.04434, Algorithm 1 (signSGD); deck C, "Manhattan update".
    """

    def __init__(self, p0: ArrayLike, lr: float | Callable[[int], float]) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        delta = at(self.lr, self.t)
        self.t += 1
        self.p = self.p - delta * np.sign(g)
        return self.p.copy()
