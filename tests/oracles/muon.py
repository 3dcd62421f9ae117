"""Muon, by hand: momentum whose singular values are all brought near 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from oracles.protocol import Array, at, float64s, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Torch:
    """B ← μB + (1 − μ)G; B̃ = (1 − μ)G + μB, or B without Nesterov; p ← (1 − γλ)p − γs·NS(B̃).

    NS: X = B̃/max(‖B̃‖, ε), as a wide matrix; k times A = XXᵀ, X ← aX + (bA + cA²)X. s = √max(1, rows/columns), or
    0.2√max(rows, columns) with `adjust_lr_fn="match_rms_adamw"`. Jordan et al., "Muon: an optimizer for hidden
    layers in neural networks", 2024; `torch.optim.Muon`, its code and defaults, whose NS however runs in bfloat16,
    so that its numbers agree with these to two digits only. Matrices alone; every tensor must have two dimensions.
    (Where the parameters are bfloat16 too and `nesterov` is off, torch 2.13 divides its own B in place. Not so here.)
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float] = 1e-3,
        *,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: Literal["original", "match_rms_adamw"] = "original",
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.weight_decay, self.momentum, self.nesterov = weight_decay, momentum, nesterov
        self.ns_coefficients, self.eps, self.ns_steps = ns_coefficients, eps, ns_steps
        self.adjust_lr_fn = adjust_lr_fn
        self.B = zeros_for(self.p)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        gamma = at(self.lr, self.t)
        self.t += 1
        mu = self.momentum
        for i, G in enumerate(float64s(gradients)):
            self.B[i] = mu * self.B[i] + (1 - mu) * G
            direction = (1 - mu) * G + mu * self.B[i] if self.nesterov else self.B[i]
            orthogonal = newton_schulz(direction, self.ns_coefficients, self.eps, self.ns_steps)
            rows, columns = G.shape
            s = np.sqrt(max(1.0, rows / columns))
            if self.adjust_lr_fn == "match_rms_adamw":
                s = 0.2 * np.sqrt(max(rows, columns))
            self.p[i] = self.p[i] - gamma * self.weight_decay * self.p[i] - gamma * s * orthogonal
        return float64s(self.p)


def newton_schulz(B: Array, coefficients: tuple[float, float, float], eps: float, steps: int) -> Array:
    """Torch's iteration: B's singular vectors with singular values near 1."""
    a, b, c = coefficients
    X = B.T if B.shape[0] > B.shape[1] else B
    X = X / max(np.sqrt(np.sum(X**2)), eps)
    for _ in range(steps):
        A = X @ X.T
        X = a * X + (b * A + c * A @ A) @ X
    return X.T if B.shape[0] > B.shape[1] else X
