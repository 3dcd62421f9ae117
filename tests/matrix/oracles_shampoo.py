"""Shampoo by hand, in float64 NumPy, one matrix: Gupta, Koren and Singer, arXiv:1802.09568, Algorithm 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def square_root(a: NDArray) -> NDArray:
    """By the iteration of Denman and Beavers, 1976: Y ← (Y + Z⁻¹)/2, Z ← (Z + Y⁻¹)/2 from A and I."""
    scale = np.abs(a).max()
    y, z = a / scale, np.eye(len(a))
    for _ in range(60):
        y, z = (y + np.linalg.inv(z)) / 2, (z + np.linalg.inv(y)) / 2
    return y * np.sqrt(scale)


def inverse_power(a: NDArray, power: float) -> NDArray:
    """A^(−1/2) or A^(−1/4)."""
    root = square_root(a)
    return np.linalg.inv(root if power == 0.5 else square_root(root))


def adagrad_graft(eps: float) -> Callable[[NDArray], NDArray]:
    total = [0.0]

    def direction(g: NDArray) -> NDArray:
        total[0] = total[0] + g * g
        return g / (np.sqrt(total[0]) + eps)

    return direction


def adam_graft(beta2: float, eps: float) -> Callable[[NDArray], NDArray]:
    seen: list[NDArray] = []

    def direction(g: NDArray) -> NDArray:
        seen.append(g * g)
        weights = [(1 - beta2) * beta2 ** (len(seen) - 1 - i) for i in range(len(seen))]
        average = sum(w * s for w, s in zip(weights, seen, strict=True)) / sum(weights)
        return g / (np.sqrt(average) + eps)

    return direction


class Shampoo:
    """W ← W − α L^(−1/4) G R^(−1/4). With `beta2` an average of GGᵀ, its weights made to sum to one."""

    def __init__(
        self,
        rows: int,
        columns: int,
        *,
        eps: float,
        beta2: float | None = None,
        power: float = 0.25,
        every: int = 1,
        graft: Callable[[NDArray], NDArray] | None = None,
        diagonal: tuple[bool, bool] = (False, False),
    ) -> None:
        self.eps, self.beta2, self.power, self.every, self.graft = eps, beta2, power, every, graft
        self.diagonal = diagonal
        self.gradients: list[NDArray] = []
        self.left, self.right = np.eye(rows), np.eye(columns)

    def _statistic(self, side: int) -> NDArray:
        count = len(self.gradients)
        products = [g @ g.T if side == 0 else g.T @ g for g in self.gradients]
        if self.beta2 is None:
            total = sum(products)
        else:
            weights = [self.beta2 ** (count - 1 - i) for i in range(count)]
            total = sum(w * product for w, product in zip(weights, products, strict=True)) / sum(weights)
        total = total + self.eps * np.eye(len(total))
        return np.diag(np.diag(total)) if self.diagonal[side] else total

    def direction(self, g: NDArray) -> NDArray:
        self.gradients.append(g)
        due = (len(self.gradients) - 1) % self.every == 0
        if due or self.diagonal[0]:
            self.left = inverse_power(self._statistic(0), self.power)
        if due or self.diagonal[1]:
            self.right = inverse_power(self._statistic(1), self.power)
        d = self.left @ g @ self.right
        if self.graft is None:
            return d
        return d * np.linalg.norm(self.graft(g)) / np.linalg.norm(d)
