"""Shampoo, by hand: a matrix for each dimension of a tensor, in place of one for all its elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.full_matrix_adagrad import power
from oracles.protocol import Array, at, float64s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Paper:
    """L ← L + GGᵀ, R ← R + GᵀG, both εI at first; p ← p − ηL^(−¼)GR^(−¼).

    Gupta, Koren and Singer, arXiv:1802.09568, Algorithm 1 for matrices. A tensor of k dimensions has k matrices,
    each to the power −1/(2k): Algorithm 2; so a vector has one, to the power −½.
    """

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float], *, eps: float = 1e-4) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.H = [[eps * np.eye(n) for n in p.shape] for p in self.p]

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        eta = at(self.lr, self.t)
        self.t += 1
        for i, G in enumerate(float64s(gradients)):
            direction = G
            for axis in range(G.ndim):
                unfolded = np.moveaxis(G, axis, 0).reshape(G.shape[axis], -1)
                self.H[i][axis] = self.H[i][axis] + unfolded @ unfolded.T
                root = power(self.H[i][axis], -1 / (2 * G.ndim))
                direction = np.moveaxis(np.tensordot(root, direction, axes=(1, axis)), 0, axis)
            self.p[i] = self.p[i] - eta * direction
        return float64s(self.p)
