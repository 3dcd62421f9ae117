"""Sharpness-aware minimisation, by hand: the gradient is taken where, close by, the loss is about worst.

`step` takes a function that gives the model's gradients at given parameters, and asks it twice. The step itself is
plain gradient descent, p ← p − α∇f(p + e).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, norm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class SAM:
    """e = ρg/‖g‖ with the Euclidean norm over the model; e = 0 where the gradient is.

    Foret, Kleiner, Mobahi and Neyshabur, arXiv:2010.01412, Algorithm 1 with Eq. 2 for p = 2; ρ = 0.05.
    `optax.contrib.sam` with `normalize`.
    """

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float], *, rho: float = 0.05) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.rho = rho

    def step(self, gradient: Callable[[list[Array]], Sequence[ArrayLike]]) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        g = float64s(gradient(float64s(self.p)))
        size = norm(g)
        ahead = [p + (self.rho * g_i / size if size > 0 else 0.0) for p, g_i in zip(self.p, g, strict=True)]
        worst = float64s(gradient(ahead))
        self.p = [p - alpha * g_i for p, g_i in zip(self.p, worst, strict=True)]
        return float64s(self.p)


class ASAM:
    """e = ρT²g/‖Tg‖ with T = |p| + η: the neighbourhood scales with the parameter.

    Kwon, Kim, Park and Choi, arXiv:2102.11600, Algorithm 1 with T_w = diag(|w|) + ηI; ρ = 0.5, η = 0.01.
    """

    def __init__(
        self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float], *, rho: float = 0.5, eta: float = 0.01
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.rho, self.eta = rho, eta

    def step(self, gradient: Callable[[list[Array]], Sequence[ArrayLike]]) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        g = float64s(gradient(float64s(self.p)))
        T = [np.abs(p) + self.eta for p in self.p]
        size = norm([T_i * g_i for T_i, g_i in zip(T, g, strict=True)])
        ahead = [
            p + (self.rho * T_i**2 * g_i / size if size > 0 else 0.0) for p, T_i, g_i in zip(self.p, T, g, strict=True)
        ]
        worst = float64s(gradient(ahead))
        self.p = [p - alpha * g_i for p, g_i in zip(self.p, worst, strict=True)]
        return float64s(self.p)
