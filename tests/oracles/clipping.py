"""Gradient clipping by a norm, followed by plain gradient descent, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oracles.protocol import Array, at, float64s, norm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


def coefficient(size: float, max_norm: float, eps: float) -> float:
    """What a gradient of norm `size` is multiplied with: min(1, max_norm/(size + eps)), and 1 where it is 0."""
    return 1.0 if size == 0 else min(1.0, max_norm / (size + eps))


class OverModel:
    """g ← g·min(1, c/(‖g‖ + ε)), with one norm over all parameters; p ← p − αg.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", arXiv:1211.5063,
    Algorithm 1 (which has no ε), over the model as decks A and D have it. With ε = 1e-6 it is
    `torch.nn.utils.clip_grad_norm_(max_norm, norm_type)`; with ε = 0 it is `optax.clip_by_global_norm`.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float],
        *,
        max_norm: float = 1.0,
        norm_type: float = 2.0,
        eps: float = 1e-6,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.max_norm, self.norm_type, self.eps = max_norm, norm_type, eps

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        g = float64s(gradients)
        alpha = at(self.lr, self.t)
        self.t += 1
        factor = coefficient(norm(g, self.norm_type), self.max_norm, self.eps)
        self.p = [p - alpha * factor * g_i for p, g_i in zip(self.p, g, strict=True)]
        return float64s(self.p)


class PerTensor:
    """g ← g·min(1, c/(‖g‖ + ε)) for each tensor with its own norm; p ← p − αg.

    As `torch.nn.utils.clip_grad_norm_` called with one parameter at a time (ε = 1e-6), or exact with ε = 0.
    """

    def __init__(
        self,
        p0: Sequence[ArrayLike],
        lr: float | Callable[[int], float],
        *,
        max_norm: float = 1.0,
        norm_type: float = 2.0,
        eps: float = 1e-6,
    ) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0
        self.max_norm, self.norm_type, self.eps = max_norm, norm_type, eps

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        for i, g in enumerate(float64s(gradients)):
            factor = coefficient(norm([g], self.norm_type), self.max_norm, self.eps)
            self.p[i] = self.p[i] - alpha * factor * g
        return float64s(self.p)
