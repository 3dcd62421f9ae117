"""Lookahead, by hand: every k steps the fast weights go back towards where they set out from.

θ steps by the inner rule; after every k-th step φ ← φ + α(θ − φ), θ ← φ. Zhang, Lucas, Hinton and Ba,
arXiv:1907.08610, Algorithm 1, with α = 0.5 and k = 5; the inner rule keeps its state. `optax.lookahead` and
`pytorch_optimizer.Lookahead` speak it. `step` gives θ, from which the next gradient is taken; φ is the attribute
`x`, which the paper evaluates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Slow:
    """The slow weights φ, and how many fast steps were taken."""

    def __init__(self, p0: Sequence[ArrayLike], alpha: float, k: int) -> None:
        self.phi, self.alpha, self.k, self.t = float64s(p0), alpha, k, 0

    def after(self, theta: list[Array]) -> list[Array]:
        """What the fast weights are after one more step took them to `theta`."""
        self.t += 1
        if self.t % self.k:
            return theta
        self.phi = [phi + self.alpha * (p - phi) for phi, p in zip(self.phi, theta, strict=True)]
        return float64s(self.phi)


class AroundDescent:
    """Around θ ← θ − ηg."""

    def __init__(
        self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float], *, alpha: float = 0.5, k: int = 5
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.slow = Slow(p0, alpha, k)

    @property
    def x(self) -> list[Array]:
        return float64s(self.slow.phi)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        eta = at(self.lr, self.t)
        self.t += 1
        self.p = self.slow.after([p - eta * g for p, g in zip(self.p, float64s(gradients), strict=True)])
        return float64s(self.p)


class AroundAdam:
    """Around Adam, arXiv:1412.6980, Algorithm 1, whose moments go on through the slow steps."""

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        alpha: float = 0.5,
        k: int = 5,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m, self.v = zeros_for(self.p), zeros_for(self.p)
        self.slow = Slow(p0, alpha, k)

    @property
    def x(self) -> list[Array]:
        return float64s(self.slow.phi)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        eta = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * g
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * g**2
            m_hat = self.m[i] / (1 - self.beta1**self.t)
            v_hat = self.v[i] / (1 - self.beta2**self.t)
            self.p[i] = self.p[i] - eta * m_hat / (np.sqrt(v_hat) + self.eps)
        self.p = self.slow.after(self.p)
        return float64s(self.p)
