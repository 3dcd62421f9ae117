"""vSGD, by hand: every element's rate from the mean, the variance and the curvature of its own past.

Schaul, Zhang and LeCun, "No more pesky learning rates", arXiv:1206.1106. `lr` multiplies the rate that the method
finds; the paper has none, so 1. The diagonal curvature is given from outside, at every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class ElementWise:
    """ḡ, v̄, h̄ move by 1/τ towards g, g², |h|; η = ḡ²/(h̄v̄); τ ← (1 − ḡ²/v̄)τ + 1; p ← p − ηg.

    vSGD-l, Algorithm 1. The paper's slow start: the averages begin as the means over a few samples at the
    start, taken without moving, with τ as many as those; v̄ and h̄ are made `slow_start` times as large, so that
    the first rates are small. `bootstrap` holds those samples, each a list of gradients and one of curvatures. The
    first author's code (schaul/py-optim, vsgd.py) takes 10 samples and a `slow_start` of 2.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1.0,
        *,
        bootstrap: Sequence[tuple[Sequence[ArrayLike], Sequence[ArrayLike]]],
        slow_start: float = 2.0,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        samples = [(float64s(g), float64s(h)) for g, h in bootstrap]
        tensors = range(len(self.p))
        self.g = [np.mean([g[i] for g, _ in samples], axis=0) for i in tensors]
        self.v = [slow_start * np.mean([g[i] ** 2 for g, _ in samples], axis=0) for i in tensors]
        self.h = [slow_start * np.mean([np.abs(h[i]) for _, h in samples], axis=0) for i in tensors]
        self.tau = [np.full_like(p, len(samples)) for p in self.p]

    def step(self, gradients: Sequence[ArrayLike], hessians: Sequence[ArrayLike]) -> list[Array]:
        scale = at(self.lr, self.t)
        self.t += 1
        curvatures = float64s(hessians)
        for i, g in enumerate(float64s(gradients)):
            keep = 1 - 1 / self.tau[i]
            self.g[i] = keep * self.g[i] + (1 - keep) * g
            self.v[i] = keep * self.v[i] + (1 - keep) * g**2
            self.h[i] = keep * self.h[i] + (1 - keep) * np.abs(curvatures[i])
            certainty = self.g[i] ** 2 / self.v[i]
            self.tau[i] = (1 - certainty) * self.tau[i] + 1
            self.p[i] = self.p[i] - scale * certainty / self.h[i] * g
        return float64s(self.p)


class FiniteDifferences:
    """vSGD-fd with one sample a step: η = (ḡ²/v̄)·(h̄/q̄), where q̄ is the mean of h²; an outlier makes τ longer by 1.

    Schaul and LeCun, arXiv:1301.3764, and the first author's code (schaul/py-optim, vsgd.py). An outlier is a gradient
    or a curvature further from its mean than `outlier` of its standard deviations. What is given as curvature is the
    difference of two gradients over the distance between them. Samples at the start are taken as in `ElementWise`, with
    `slow_start` squared for q̄, as in the authors' other code (optim.vsgdfd for Lua's Torch).
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1.0,
        *,
        bootstrap: Sequence[tuple[Sequence[ArrayLike], Sequence[ArrayLike]]],
        slow_start: float = 2.0,
        outlier: float = 2.0,
        eps: float = 1e-9,
    ) -> None:
        self.p, self.lr, self.t, self.outlier, self.eps = float64s(p0), lr, 0, outlier, eps
        n = len(bootstrap)
        self.mean_g = [sum(np.asarray(g[i]) for g, _ in bootstrap) / n for i in range(len(self.p))]
        self.mean_g2 = [sum(np.asarray(g[i]) ** 2 for g, _ in bootstrap) / n * slow_start for i in range(len(self.p))]
        self.mean_h = [sum(np.abs(h[i]) for _, h in bootstrap) / n * slow_start for i in range(len(self.p))]
        self.mean_h2 = [sum(np.square(h[i]) for _, h in bootstrap) / n * slow_start**2 for i in range(len(self.p))]
        self.tau = [np.full_like(p, n) for p in self.p]

    def _is_outlier(self, value: Array, mean: Array, mean_square: Array) -> Array:
        return (value - mean) ** 2 > self.outlier**2 * (mean_square - mean**2)

    def step(self, gradients: Sequence[ArrayLike], hessians: Sequence[ArrayLike]) -> list[Array]:
        scale = at(self.lr, self.t)
        self.t += 1
        for i, (g, h) in enumerate(zip(float64s(gradients), map(np.abs, float64s(hessians)), strict=True)):
            strange = self._is_outlier(g, self.mean_g[i], self.mean_g2[i])
            strange |= self._is_outlier(h, self.mean_h[i], self.mean_h2[i])
            self.tau[i] = np.where(strange, self.tau[i] + 1, self.tau[i])
            pull = 1 / self.tau[i]
            self.mean_g[i] = self.mean_g[i] + pull * (g - self.mean_g[i])
            self.mean_g2[i] = self.mean_g2[i] + pull * (g**2 - self.mean_g2[i])
            self.mean_h[i] = self.mean_h[i] + pull * (h - self.mean_h[i])
            self.mean_h2[i] = self.mean_h2[i] + pull * (h**2 - self.mean_h2[i])
            certainty = self.mean_g[i] ** 2 / self.mean_g2[i]
            self.p[i] = self.p[i] - scale * certainty * (self.mean_h[i] + self.eps) / (self.mean_h2[i] + self.eps) * g
            self.tau[i] = (1 - certainty) * self.tau[i] + 1
        return float64s(self.p)
