"""Normalised gradient descent, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, norm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class OverModel:
    """p ← p − α g/‖g‖, with the Euclidean norm over all parameters; no step where it is 0.

    Deck E; Hazan, Levy and Shalev-Shwartz, "Beyond convexity:
    stochastic quasi-convex optimization", arXiv:1507.02030, Algorithm 1; `optax.normalize_by_update_norm` before
    plain descent is the same where its ε is 0.
    """

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float]) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        g = float64s(gradients)
        alpha = at(self.lr, self.t)
        self.t += 1
        size = norm(g)
        if size > 0:
            self.p = [p - alpha * g_i / size for p, g_i in zip(self.p, g, strict=True)]
        return float64s(self.p)


class PerTensor:
    """p ← p − α g/‖g‖ for each tensor with its own norm; no step for a tensor whose gradient is 0.

    The layer-wise form of the same; Yu et al., "Block-normalized gradient method", arXiv:1707.04822.
    """

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float]) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            size = np.sqrt(np.sum(g**2))
            if size > 0:
                self.p[i] = self.p[i] - alpha * g / size
        return float64s(self.p)
