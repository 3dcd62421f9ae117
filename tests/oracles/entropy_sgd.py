"""Entropy-SGD, by hand: the step goes towards where a Langevin walk around the parameter spends its time.

`step` takes a function that gives the model's gradients at given parameters, asked at each of L points of the walk,
and the walk's noise: L lists of standard normal arrays, one for each tensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Paper:
    """x', μ = x; L times: x' ← x' − η'(∇f(x') − γ(x − x')) + √η'·ε·N(0, I), μ ← (1 − α)μ + αx'; x ← x − ηγ(x − μ).

    Chaudhari et al., arXiv:1611.01838, Algorithm 1. `lr` is η, `eta_inner` is η', `gamma` the scope, a number or a
    function of the steps already done (the paper's scoping raises it: γ₀(1 + γ₁)ᵗ). L is the length of the noise. The
    paper's experiments have η' = 0.1, α = 0.75 and ε = 1e-4.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1.0,
        *,
        eta_inner: float = 0.1,
        gamma: float | Callable[[int], float] = 1e-4,
        eps: float = 1e-4,
        alpha: float = 0.75,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.eta_inner, self.gamma, self.eps, self.alpha = eta_inner, gamma, eps, alpha

    def step(
        self,
        gradient: Callable[[list[Array]], Sequence[ArrayLike]],
        noise: Sequence[Sequence[ArrayLike]],
    ) -> list[Array]:
        eta, gamma = at(self.lr, self.t), at(self.gamma, self.t)
        self.t += 1
        walk, mu = float64s(self.p), float64s(self.p)
        for xi in noise:
            g = float64s(gradient(float64s(walk)))
            for i, xi_i in enumerate(float64s(xi)):
                pull = g[i] - gamma * (self.p[i] - walk[i])
                walk[i] = walk[i] - self.eta_inner * pull + np.sqrt(self.eta_inner) * self.eps * xi_i
                mu[i] = (1 - self.alpha) * mu[i] + self.alpha * walk[i]
        self.p = [p - eta * gamma * (p - mu_i) for p, mu_i in zip(self.p, mu, strict=True)]
        return float64s(self.p)


class OfCode:
    """As `Paper`, but the noise is −√(2η')·ε·N(0, I), μ ← βμ + (1 − β)x', and x ← x − η(x − μ) without γ.

    The authors' code (ucla-vision/entropy-sgd, python/optim.py) without its momentum: β = 0.75, η' = 0.1, ε = 1e-4,
    and a scope γ₀ = 1e-2 that only the walk feels.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 0.01,
        *,
        eta_inner: float = 0.1,
        gamma: float | Callable[[int], float] = 1e-2,
        eps: float = 1e-4,
        beta: float = 0.75,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.eta_inner, self.gamma, self.eps, self.beta = eta_inner, gamma, eps, beta

    def step(
        self,
        gradient: Callable[[list[Array]], Sequence[ArrayLike]],
        noise: Sequence[Sequence[ArrayLike]],
    ) -> list[Array]:
        eta, gamma = at(self.lr, self.t), at(self.gamma, self.t)
        self.t += 1
        walk, mu = float64s(self.p), float64s(self.p)
        for xi in noise:
            g = float64s(gradient(float64s(walk)))
            for i, xi_i in enumerate(float64s(xi)):
                pull = g[i] - gamma * (self.p[i] - walk[i]) + self.eps / np.sqrt(0.5 * self.eta_inner) * xi_i
                walk[i] = walk[i] - self.eta_inner * pull
                mu[i] = self.beta * mu[i] + (1 - self.beta) * walk[i]
        self.p = [p - eta * (p - mu_i) for p, mu_i in zip(self.p, mu, strict=True)]
        return float64s(self.p)
