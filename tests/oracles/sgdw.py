"""Momentum with weight decay, coupled (L₂) and decoupled (SGDW), by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oracles.protocol import Array, at, float64s, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Decoupled:
    """m ← β₁m + η_t αg; p ← p − m − η_t λp, with m = 0 at first.

    Loshchilov and Hutter, arXiv:1711.05101, Algorithm 1 with the decoupled decay (deck B, whose m starts at θ).
    `lr` is α, `eta` is η_t; either may be a function of the steps already done.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float],
        *,
        beta1: float = 0.9,
        weight_decay: float = 0.01,
        eta: float | Callable[[int], float] = 1.0,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.weight_decay, self.eta = beta1, weight_decay, eta
        self.m = zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        alpha, eta = at(self.lr, self.t), at(self.eta, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            self.m[i] = self.beta1 * self.m[i] + eta * alpha * g
            self.p[i] = self.p[i] - self.m[i] - eta * self.weight_decay * self.p[i]
        return float64s(self.p)


class L2:
    """g ← g + λp; m ← β₁m + η_t αg; p ← p − m: Algorithm 1 with the L₂ line.

    With a constant rate it is `torch.optim.SGD(momentum=β₁, weight_decay=λ)`.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float],
        *,
        beta1: float = 0.9,
        weight_decay: float = 0.01,
        eta: float | Callable[[int], float] = 1.0,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.beta1, self.weight_decay, self.eta = beta1, weight_decay, eta
        self.m = zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        alpha, eta = at(self.lr, self.t), at(self.eta, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            self.m[i] = self.beta1 * self.m[i] + eta * alpha * (g + self.weight_decay * self.p[i])
            self.p[i] = self.p[i] - self.m[i]
        return float64s(self.p)
