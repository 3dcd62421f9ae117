"""AdEMAMix, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class Constant:
    """m₁ and v as Adam's, m₂ ← β₃m₂ + (1 − β₃)g; p ← p − η(m̂₁ + αm₂)/(√v̂ + ε).

    Pagliardini, Ablin and Grangier, arXiv:2409.03137, Algorithm 1 with constant α and β₃ and without decay: m₂ is
    not corrected for its start. `optax.contrib.ademamix`, whose α is 6 by default.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        beta3: float = 0.9999,
        alpha_slow: float = 2.0,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.beta3, self.alpha_slow, self.eps = beta1, beta2, beta3, alpha_slow, eps
        self.m1 = np.zeros_like(self.p)
        self.m2 = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        eta = at(self.lr, self.t)
        self.t += 1
        self.m1 = self.beta1 * self.m1 + (1 - self.beta1) * g
        self.m2 = self.beta3 * self.m2 + (1 - self.beta3) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        m1_hat = self.m1 / (1 - self.beta1**self.t)
        v_hat = self.v / (1 - self.beta2**self.t)
        self.p = self.p - eta * (m1_hat + self.alpha_slow * self.m2) / (np.sqrt(v_hat) + self.eps)
        return self.p.copy()


class WarmedUp:
    """As `Constant`, with α growing in a straight line, and β₃ so that its half-life does.

    The same paper, Algorithm 1's f_α and f_β₃: α(t) = min(tα/T, α), and β₃(t) goes from `beta_start` to β₃. An
    average that keeps β halves in t steps where β^(t + 1) = 1/2, as the authors' code has it.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        beta3: float = 0.9999,
        alpha_slow: float = 2.0,
        eps: float = 1e-8,
        alpha_warmup: float = 50.0,
        beta3_warmup: float = 50.0,
        beta_start: float = 0.9,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        (
            self.beta1,
            self.beta2,
            self.beta3,
            self.alpha_slow,
            self.eps,
            self.alpha_warmup,
            self.beta3_warmup,
            self.beta_start,
        ) = beta1, beta2, beta3, alpha_slow, eps, alpha_warmup, beta3_warmup, beta_start
        self.m1 = np.zeros_like(self.p)
        self.m2 = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        eta = at(self.lr, self.t)
        self.t += 1
        alpha = min(self.t / self.alpha_warmup * self.alpha_slow, self.alpha_slow)
        beta3 = self.beta3
        if self.t < self.beta3_warmup:
            first, last = np.log(0.5) / np.log(self.beta_start) - 1, np.log(0.5) / np.log(self.beta3) - 1
            half_life = first + (last - first) * self.t / self.beta3_warmup
            beta3 = 0.5 ** (1 / (half_life + 1))
        self.m1 = self.beta1 * self.m1 + (1 - self.beta1) * g
        self.m2 = beta3 * self.m2 + (1 - beta3) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        m1_hat = self.m1 / (1 - self.beta1**self.t)
        v_hat = self.v / (1 - self.beta2**self.t)
        self.p = self.p - eta * (m1_hat + alpha * self.m2) / (np.sqrt(v_hat) + self.eps)
        return self.p.copy()
