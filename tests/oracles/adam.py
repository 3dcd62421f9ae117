"""Adam and AMSGrad, by hand. Defaults, where no other source is named: arXiv:1412.6980, Algorithm 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class EpsOutside:
    """m, v averages of g, g²; m̂ = m/(1 − β₁ᵗ); v̂ = v/(1 − β₂ᵗ); p ← p − αm̂/(√v̂ + ε).

    Kingma and Ba, arXiv:1412.6980, Algorithm 1; decks A, B (Goodfellow, Bengio and Courville, Algorithm 8.7),
    C, D's code (β₂ = 0.99, ε = 1e-7) and E with its missing powers; `torch.optim.Adam`; `optax.adam`.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        m_hat = self.m / (1 - self.beta1**self.t)
        v_hat = self.v / (1 - self.beta2**self.t)
        self.p = self.p - alpha * m_hat / (np.sqrt(v_hat) + self.eps)
        return self.p.copy()


class EpsInside:
    """As Algorithm 1, but p ← p − αm̂/√(v̂ + ε).

    Deck D's slide "Adam" with its code's β₂ = 0.99 and ε = 1e-7; `optax.adam(eps=0, eps_root=ε)`.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.99,
        eps: float = 1e-7,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        m_hat = self.m / (1 - self.beta1**self.t)
        v_hat = self.v / (1 - self.beta2**self.t)
        self.p = self.p - alpha * m_hat / np.sqrt(v_hat + self.eps)
        return self.p.copy()


class Uncorrected:
    """m, v averages of g, g²; p ← p − αm/(√v + ε): no correction of the bias, ε outside."""

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        self.p = self.p - alpha * self.m / (np.sqrt(self.v) + self.eps)
        return self.p.copy()


class UncorrectedEpsInside:
    """m, v averages of g, g²; p ← p − αm/√(v + ν).

    Deck D, "Adam with no bias correction" (β₁ = 0.9, β₂ = 0.999; ν = 1e-7 as elsewhere in the deck).
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-7,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        self.p = self.p - alpha * self.m / np.sqrt(self.v + self.eps)
        return self.p.copy()


class Efficient:
    """α_t = α√(1 − β₂ᵗ)/(1 − β₁ᵗ); p ← p − α_t m/(√v + ε̂).

    Kingma and Ba, arXiv:1412.6980, end of section 2. It is Algorithm 1 with ε = ε̂/√(1 − β₂ᵗ), a different ε
    at each step; the two agree to the last bits only where ε is 0.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        alpha_t = alpha * np.sqrt(1 - self.beta2**self.t) / (1 - self.beta1**self.t)
        self.p = self.p - alpha_t * self.m / (np.sqrt(self.v) + self.eps)
        return self.p.copy()


class L2:
    """g ← g + λp, then Algorithm 1.

    Loshchilov and Hutter, arXiv:1711.05101, Algorithm 2 with the L₂ line (deck B);
    `torch.optim.Adam(weight_decay=λ)`.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.adam = EpsOutside(p0, lr, beta1=beta1, beta2=beta2, eps=eps)
        self.weight_decay = weight_decay

    def step(self, g: ArrayLike) -> Array:
        return self.adam.step(float64(g) + self.weight_decay * self.adam.p)


class AMSGrad:
    """m, v averages of g, g²; v̂ ← max(v̂, v); p ← p − αm/(√v̂ + ε).

    Reddi, Kale and Kumar, arXiv:1904.09237, Algorithm 2: no correction of the bias. The paper has no ε; 0 is
    the default here, so that every element's first gradient must differ from 0.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 0.0,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)
        self.v_max = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        self.v_max = np.maximum(self.v_max, self.v)
        self.p = self.p - alpha * self.m / (np.sqrt(self.v_max) + self.eps)
        return self.p.copy()


class AMSGradTorch:
    """v_max ← max(v_max, v); p ← p − αm̂/(√(v_max/(1 − β₂ᵗ)) + ε): the greatest v first, its correction after.

    `torch.optim.Adam(amsgrad=True)`: its documentation's pseudo-code.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)
        self.v_max = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        self.v_max = np.maximum(self.v_max, self.v)
        m_hat = self.m / (1 - self.beta1**self.t)
        v_hat = self.v_max / (1 - self.beta2**self.t)
        self.p = self.p - alpha * m_hat / (np.sqrt(v_hat) + self.eps)
        return self.p.copy()


class AMSGradOfCorrected:
    """v̂_max ← max(v̂_max, v/(1 − β₂ᵗ)); p ← p − αm̂/(√v̂_max + ε): the correction first, the greatest after.

    `optax.amsgrad`: `scale_by_amsgrad` with both corrections, as it comes.
    """

    def __init__(
        self,
        p0: ArrayLike,
        lr: float | Callable[[int], float] = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.m = np.zeros_like(self.p)
        self.v = np.zeros_like(self.p)
        self.v_hat_max = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        m_hat = self.m / (1 - self.beta1**self.t)
        v_hat = self.v / (1 - self.beta2**self.t)
        self.v_hat_max = np.maximum(self.v_hat_max, v_hat)
        self.p = self.p - alpha * m_hat / (np.sqrt(self.v_hat_max) + self.eps)
        return self.p.copy()
