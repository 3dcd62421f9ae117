"""AdaGrad, element by element, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class EpsOutside:
    """r ← r + g²; p ← p − αg/(√r + δ).

    Duchi, Hazan and Singer, JMLR 12 (2011), Figure 1 with diagonal matrices: H = δI + diag(‖g₁:ₜ,ᵢ‖₂); decks
    A and D; Goodfellow, Bengio and Courville, Algorithm 8.4 (deck B), whose δ = 1e-7 is the default here.
    """

    def __init__(
        self, p0: ArrayLike, lr: float | Callable[[int], float], *, eps: float = 1e-7, initial: float = 0.0
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.eps = eps
        self.r = np.full_like(self.p, initial)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.r + g**2
        self.p = self.p - alpha * g / (np.sqrt(self.r) + self.eps)
        return self.p.copy()


class EpsInside:
    """r ← r + g²; p ← p − αg/√(r + δ), and no step where r is still 0.

    Deck D's second AdaGrad slide, as its text was extracted; `optax.adagrad`, whose defaults (r₀ = 0.1,
    δ = 1e-7) are those here.
    """

    def __init__(
        self, p0: ArrayLike, lr: float | Callable[[int], float], *, eps: float = 1e-7, initial: float = 0.1
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.eps = eps
        self.r = np.full_like(self.p, initial)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.r = self.r + g**2
        d = np.zeros_like(g)
        seen = self.r > 0
        d[seen] = g[seen] / np.sqrt(self.r[seen] + self.eps)
        self.p = self.p - alpha * d
        return self.p.copy()


class Torch:
    """α_t = α/(1 + (t − 1)η); r ← r + g²; p ← p − α_t g/(√r + ε).

    `torch.optim.Adagrad(lr_decay=η, initial_accumulator_value=r₀, eps=ε)`: its documentation's pseudo-code
    and defaults.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float],
        *,
        eps: float = 1e-10,
        initial: float = 0.0,
        lr_decay: float = 0.0,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.eps, self.lr_decay = eps, lr_decay
        self.r = np.full_like(self.p, initial)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        alpha_t = alpha / (1 + (self.t - 1) * self.lr_decay)
        self.r = self.r + g**2
        self.p = self.p - alpha_t * g / (np.sqrt(self.r) + self.eps)
        return self.p.copy()
