"""PSGD-Kron by hand, in float64 NumPy, one matrix: Li, arXiv:2402.11858 and psgd_torch's `KronWhiten`, dQ = E Q.

The factors are kept as square matrices throughout; a diagonal one stays diagonal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def lower_bound(s: NDArray) -> float:
    """The author's bound of ‖S‖₂: take the longest row, go once through S, and see how S stretches the result."""
    s = s / np.abs(s).max() if np.abs(s).max() else s
    rows = [float(row @ row) for row in s]
    x = s @ s[rows.index(max(rows))]
    return float(np.linalg.norm(s.T @ (x / np.linalg.norm(x))))


class PsgdKron:
    """Whitens the gradient, or with `whiten="momentum"` its average."""

    def __init__(
        self,
        rows: int,
        columns: int,
        *,
        scale: float,
        rate: float = 0.1,
        momentum: float | None = None,
        whiten: str = "gradient",
        diagonal: tuple[bool, bool] = (False, False),
    ) -> None:
        self.rate, self.momentum, self.whiten, self.diagonal = rate, momentum, whiten, diagonal
        self.factors = [np.sqrt(scale) * np.eye(rows), np.sqrt(scale) * np.eye(columns)]
        self.ell = [0.0, 0.0]
        self.m = np.zeros((rows, columns))
        self.count = 0

    def direction(self, g: NDArray, v: NDArray | None) -> NDArray:
        """`v` is the random probe, or None where this step fits nothing."""
        beta = 0.0 if self.momentum is None else min(self.count / (1 + self.count), self.momentum)
        self.count += 1
        if self.momentum is not None and self.whiten == "momentum":
            self.m = beta * self.m + (1 - beta) * g
            g = self.m
        left, right = self.factors
        d = left.T @ left @ g @ right.T @ right
        if v is not None:
            self.fit(left @ g @ right.T, np.linalg.inv(left).T @ v @ np.linalg.inv(right))
        if self.momentum is None or self.whiten == "momentum":
            return d
        self.m = beta * self.m + (1 - beta) * d
        return self.m.copy()

    def fit(self, a: NDArray, b: NDArray) -> None:
        for side, (x, y) in enumerate(((a @ a.T, b @ b.T), (a.T @ a, b.T @ b))):
            if self.diagonal[side]:
                norm, difference = float(np.max(np.diag(x + y))), np.diag(np.diag(x - y))
            else:
                scale = np.abs(x + y).max()
                norm, difference = scale * lower_bound(x + y), np.triu(x - y)
            self.ell[side] = max(0.9 * self.ell[side] + 0.1 * norm, norm)
            self.factors[side] = self.factors[side] - self.rate / self.ell[side] * difference @ self.factors[side]

    def balance(self) -> None:
        sizes = [np.abs(factor).max() for factor in self.factors]
        middle = np.sqrt(sizes[0] * sizes[1])
        self.factors = [factor * middle / size for factor, size in zip(self.factors, sizes, strict=True)]
