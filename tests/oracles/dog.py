"""DoG and LDoG, by hand: the step is the greatest distance from the start over the root of all squared gradients.

Ivgi, Hinder and Carmon, arXiv:2302.12022: η = max(r_ε, max ‖x_i − x₀‖)/√(Σ‖g_i‖² + ε), x ← x − cηg, with the
gradients up to this step's and the points up to the one it is taken at; r_ε = reps_rel·(1 + ‖x₀‖). `lr` is c, 1 as
it comes. The paper evaluates an average of the points, not the last (see `averages.PolynomialDecay`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, norm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class OverModel:
    """DoG: distance and gradients over all parameters. `d` is the greatest distance, r̄.

    The paper's Eq. (DoG), with ε = 0 and r_ε given; `dog.DoG(reps_rel, eps)`, whose defaults these are.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1.0,
        *,
        reps_rel: float = 1e-6,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.x0 = float64s(p0)
        self.d = reps_rel * (1 + norm(self.x0))
        self.G = eps

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        g = float64s(gradients)
        c = at(self.lr, self.t)
        self.t += 1
        self.d = max(self.d, norm([p - x0 for p, x0 in zip(self.p, self.x0, strict=True)]))
        self.G += norm(g) ** 2
        if self.G > 0:
            eta = self.d / np.sqrt(self.G)
            self.p = [p - c * eta * g_i for p, g_i in zip(self.p, g, strict=True)]
        return float64s(self.p)


class PerTensor:
    """LDoG: as DoG, with each tensor's own distance and own gradients. `d` holds one distance for each tensor.

    The paper's layer-wise DoG; `dog.LDoG(reps_rel, eps)`.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1.0,
        *,
        reps_rel: float = 1e-6,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.x0 = float64s(p0)
        self.d = [reps_rel * (1 + norm([x0])) for x0 in self.x0]
        self.G = [eps for _ in self.x0]

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        c = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            self.d[i] = max(self.d[i], norm([self.p[i] - self.x0[i]]))
            self.G[i] += norm([g]) ** 2
            if self.G[i] > 0:
                self.p[i] = self.p[i] - c * self.d[i] / np.sqrt(self.G[i]) * g
        return float64s(self.p)
