"""MARS-AdamW, by hand: AdamW on a gradient with its own change added to it, shortened to norm 1 in each tensor.

c = g + γβ₁/(1 − β₁)·(g − g'), shortened to c/‖c‖ where ‖c‖ > 1; m, v averages of c, c²;
p ← p − α(m̂/(√v̂ + ε) + λp). Yuan et al., arXiv:2411.10438, Algorithm 1 with AdamW's preconditioner; the
norm is a tensor's as in the authors' code (AGI-Arena/MARS), which gives vectors plain AdamW unless `optimize_1d`.
The dialects differ in what g' is. Defaults of the authors' code: α = 3e-3, β₁ = 0.95, β₂ = 0.99, γ = 0.025.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64s, norm, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Exact:
    """g' is the gradient of this step's sample at the parameters of the step before: `step` takes it too.

    At the first step there is no step before, the paper sets x₁ = x₀ and g' is g; so it is where none is given.
    The authors' `is_approx=False`.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 3e-3,
        *,
        beta1: float = 0.95,
        beta2: float = 0.99,
        eps: float = 1e-8,
        gamma: float = 0.025,
        weight_decay: float = 0.0,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.gamma, self.weight_decay = gamma, weight_decay
        self.m, self.v = zeros_for(self.p), zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike], before: Sequence[ArrayLike] | None = None) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        g_before = float64s(gradients if before is None else before)
        for i, g in enumerate(float64s(gradients)):
            c = g + self.gamma * self.beta1 / (1 - self.beta1) * (g - g_before[i])
            if norm([c]) > 1:
                c = c / norm([c])
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * c
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * c**2
            m_hat = self.m[i] / (1 - self.beta1**self.t)
            v_hat = self.v[i] / (1 - self.beta2**self.t)
            update = m_hat / (np.sqrt(v_hat) + self.eps) + self.weight_decay * self.p[i]
            self.p[i] = self.p[i] - alpha * update
        return float64s(self.p)


class Approximate:
    """g' is the gradient of the step before; at the first step it is g.

    The paper's approximate form: one gradient a step. `timm.optim.Mars(optimize_1d=True)`.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 3e-3,
        *,
        beta1: float = 0.95,
        beta2: float = 0.99,
        eps: float = 1e-8,
        gamma: float = 0.025,
        weight_decay: float = 0.0,
    ) -> None:
        hyper = {"beta1": beta1, "beta2": beta2, "eps": eps, "gamma": gamma, "weight_decay": weight_decay}
        self.exact = Exact(p0, lr, **hyper)
        self.before: list[Array] | None = None

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        p = self.exact.step(gradients, self.before)
        self.before = float64s(gradients)
        return p


class ApproximateFromZero:
    """g' is the gradient of the step before; at the first step it is 0, so that c is (1 + γβ₁/(1 − β₁))g.

    The authors' code, `MARS(is_approx=True, optimize_1d=True)`: AGI-Arena/MARS, mars.py.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 3e-3,
        *,
        beta1: float = 0.95,
        beta2: float = 0.99,
        eps: float = 1e-8,
        gamma: float = 0.025,
        weight_decay: float = 0.0,
    ) -> None:
        hyper = {"beta1": beta1, "beta2": beta2, "eps": eps, "gamma": gamma, "weight_decay": weight_decay}
        self.exact = Exact(p0, lr, **hyper)
        self.before = zeros_for(self.exact.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        p = self.exact.step(gradients, self.before)
        self.before = float64s(gradients)
        return p
