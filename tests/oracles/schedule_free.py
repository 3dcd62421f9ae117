"""Schedule-free descent, by hand: three points, where it steps (z), evaluates (x) and takes its gradient (y).

y = (1 − β)z + βx; z ← z − γ_t·(direction at y); x ← (1 − c)x + cz with c = w_t/Σw. Defazio et al.,
arXiv:2405.15682. The parameter is y, as in the authors' code (facebookresearch/schedule_free) while it trains;
the point to evaluate is the attribute `x`. γ_t is the rate times min(1, t/warmup_steps), and w_t = tʳ times the
greatest γ so far to the power `weight_lr_power`: with constant γ and r = 0, x is the plain average of the z.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Average:
    """The weights w_t of the average and their sum: `next` gives c = w_t/Σw."""

    def __init__(self, r: float, weight_lr_power: float) -> None:
        self.r, self.weight_lr_power = r, weight_lr_power
        self.gamma_max, self.total = 0.0, 0.0

    def next(self, t: int, gamma: float) -> float:
        self.gamma_max = max(self.gamma_max, gamma)
        weight = t**self.r * self.gamma_max**self.weight_lr_power
        self.total += weight
        return weight / self.total if self.total > 0 else 0.0


class SGD:
    """z ← z − γ_t(g + λy).

    The paper's Schedule-Free SGD; `schedulefree.SGDScheduleFree(momentum=β)` and its defaults.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1.0,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.momentum, self.weight_decay, self.warmup_steps = momentum, weight_decay, warmup_steps
        self.average = Average(r, weight_lr_power)
        self.x, self.z = float64s(p0), float64s(p0)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        gamma = at(self.lr, self.t)
        self.t += 1
        if self.t < self.warmup_steps:
            gamma *= self.t / self.warmup_steps
        c = self.average.next(self.t, gamma)
        for i, g in enumerate(float64s(gradients)):
            self.z[i] = self.z[i] - gamma * (g + self.weight_decay * self.p[i])
            self.x[i] = (1 - c) * self.x[i] + c * self.z[i]
            self.p[i] = (1 - self.momentum) * self.z[i] + self.momentum * self.x[i]
        return float64s(self.p)


class AdamW:
    """v Adam's second moment, v̂ = v/(1 − β₂ᵗ); z ← z − γ_t(g/(√v̂ + ε) + λy), with β₁ as β.

    `schedulefree.AdamWScheduleFree` and its defaults: the correction stands in v̂.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 0.0025,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.weight_decay, self.warmup_steps = weight_decay, warmup_steps
        self.average = Average(r, weight_lr_power)
        self.x, self.z = float64s(p0), float64s(p0)
        self.v = zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        gamma = at(self.lr, self.t)
        self.t += 1
        if self.t < self.warmup_steps:
            gamma *= self.t / self.warmup_steps
        c = self.average.next(self.t, gamma)
        for i, g in enumerate(float64s(gradients)):
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * g**2
            v_hat = self.v[i] / (1 - self.beta2**self.t)
            self.z[i] = self.z[i] - gamma * (g / (np.sqrt(v_hat) + self.eps) + self.weight_decay * self.p[i])
            self.x[i] = (1 - c) * self.x[i] + c * self.z[i]
            self.p[i] = (1 - self.beta1) * self.z[i] + self.beta1 * self.x[i]
        return float64s(self.p)


class AdamWPaper:
    """As `AdamW`, but γ_t takes the correction: γ_t = γ√(1 − β₂ᵗ)min(1, t/warmup_steps); z ← z − γ_t(g/(√v + ε) + λy).

    The paper's Algorithm 1; `schedulefree.AdamWScheduleFreePaper`. The weights of the average contain the
    correction then, and ε is as if divided by it.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 0.0025,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.weight_decay, self.warmup_steps = weight_decay, warmup_steps
        self.average = Average(r, weight_lr_power)
        self.x, self.z = float64s(p0), float64s(p0)
        self.v = zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        gamma = at(self.lr, self.t)
        self.t += 1
        gamma *= np.sqrt(1 - self.beta2**self.t)
        if self.t < self.warmup_steps:
            gamma *= self.t / self.warmup_steps
        c = self.average.next(self.t, gamma)
        for i, g in enumerate(float64s(gradients)):
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * g**2
            self.z[i] = self.z[i] - gamma * (g / (np.sqrt(self.v[i]) + self.eps) + self.weight_decay * self.p[i])
            self.x[i] = (1 - c) * self.x[i] + c * self.z[i]
            self.p[i] = (1 - self.beta1) * self.z[i] + self.beta1 * self.x[i]
        return float64s(self.p)
