"""Rprop, by hand, element by element as its papers tell it.

There is no learning rate: `lr` is Δ₀, the first size of every element's step. The names are those of Igel and
Hüsken, "Improving the Rprop learning algorithm", NC 2000, whose four listings these are. The defaults are
Riedmiller and Braun's (1993): η⁺ = 1.2, η⁻ = 0.5, Δ₀ = 0.1, Δmax = 50; Δmin = 1e-6 is Riedmiller's of 1994.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, float64

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class RpropMinus:
    """Without weight-backtracking: whatever the sign does, p ← p − sign(g)Δ.

    Riedmiller, "Rprop - Description and implementation details", 1994; Igel and Hüsken's Rprop⁻; deck C.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float = 0.1,
        *,
        eta_plus: float = 1.2,
        eta_minus: float = 0.5,
        delta_min: float = 1e-6,
        delta_max: float = 50.0,
    ) -> None:
        self.p = float64(p0)
        self.eta_plus, self.eta_minus = eta_plus, eta_minus
        self.delta_min, self.delta_max = delta_min, delta_max
        self.delta = np.full_like(self.p, lr)
        self.g_prev = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        for i in np.ndindex(self.p.shape):
            agreement = np.sign(g[i]) * np.sign(self.g_prev[i])
            if agreement > 0:
                self.delta[i] = min(self.delta[i] * self.eta_plus, self.delta_max)
            elif agreement < 0:
                self.delta[i] = max(self.delta[i] * self.eta_minus, self.delta_min)
            self.p[i] = self.p[i] - np.sign(g[i]) * self.delta[i]
            self.g_prev[i] = g[i]
        return self.p.copy()


class IRpropMinus:
    """As Rprop⁻, but after a change of sign the gradient is 0: no step now, no adaptation at the next.

    Igel and Hüsken 2000, iRprop⁻; `torch.optim.Rprop`. What `optax.rprop` prints is this one step late.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float = 0.1,
        *,
        eta_plus: float = 1.2,
        eta_minus: float = 0.5,
        delta_min: float = 1e-6,
        delta_max: float = 50.0,
    ) -> None:
        self.p = float64(p0)
        self.eta_plus, self.eta_minus = eta_plus, eta_minus
        self.delta_min, self.delta_max = delta_min, delta_max
        self.delta = np.full_like(self.p, lr)
        self.g_prev = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        for i in np.ndindex(self.p.shape):
            agreement = np.sign(g[i]) * np.sign(self.g_prev[i])
            if agreement > 0:
                self.delta[i] = min(self.delta[i] * self.eta_plus, self.delta_max)
            elif agreement < 0:
                self.delta[i] = max(self.delta[i] * self.eta_minus, self.delta_min)
                g[i] = 0.0
            self.p[i] = self.p[i] - np.sign(g[i]) * self.delta[i]
            self.g_prev[i] = g[i]
        return self.p.copy()


class RpropPlus:
    """With weight-backtracking: a change of sign takes the last step back, and the next adapts nothing.

    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm",
    ICNN 1993; Igel and Hüsken's Rprop⁺.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float = 0.1,
        *,
        eta_plus: float = 1.2,
        eta_minus: float = 0.5,
        delta_min: float = 1e-6,
        delta_max: float = 50.0,
    ) -> None:
        self.p = float64(p0)
        self.eta_plus, self.eta_minus = eta_plus, eta_minus
        self.delta_min, self.delta_max = delta_min, delta_max
        self.delta = np.full_like(self.p, lr)
        self.g_prev = np.zeros_like(self.p)
        self.move = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        for i in np.ndindex(self.p.shape):
            agreement = np.sign(g[i]) * np.sign(self.g_prev[i])
            if agreement < 0:
                self.delta[i] = max(self.delta[i] * self.eta_minus, self.delta_min)
                self.move[i] = -self.move[i]
                self.g_prev[i] = 0.0
            else:
                if agreement > 0:
                    self.delta[i] = min(self.delta[i] * self.eta_plus, self.delta_max)
                self.move[i] = -np.sign(g[i]) * self.delta[i]
                self.g_prev[i] = g[i]
            self.p[i] = self.p[i] + self.move[i]
        return self.p.copy()


class IRpropPlus:
    """As Rprop⁺, but the last step is taken back only if the loss has risen; `step` takes the loss too.

    Igel and Hüsken 2000, iRprop⁺. At the first step there is no earlier loss and no earlier sign, so nothing
    to take back.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float = 0.1,
        *,
        eta_plus: float = 1.2,
        eta_minus: float = 0.5,
        delta_min: float = 1e-6,
        delta_max: float = 50.0,
    ) -> None:
        self.p = float64(p0)
        self.eta_plus, self.eta_minus = eta_plus, eta_minus
        self.delta_min, self.delta_max = delta_min, delta_max
        self.delta = np.full_like(self.p, lr)
        self.g_prev = np.zeros_like(self.p)
        self.move = np.zeros_like(self.p)
        self.loss_prev = np.inf

    def step(self, g: ArrayLike, loss: float) -> Array:
        g = float64(g)
        for i in np.ndindex(self.p.shape):
            agreement = np.sign(g[i]) * np.sign(self.g_prev[i])
            if agreement < 0:
                self.delta[i] = max(self.delta[i] * self.eta_minus, self.delta_min)
                self.move[i] = -self.move[i] if loss > self.loss_prev else 0.0
                self.g_prev[i] = 0.0
            else:
                if agreement > 0:
                    self.delta[i] = min(self.delta[i] * self.eta_plus, self.delta_max)
                self.move[i] = -np.sign(g[i]) * self.delta[i]
                self.g_prev[i] = g[i]
            self.p[i] = self.p[i] + self.move[i]
        self.loss_prev = loss
        return self.p.copy()
