"""Averages of the points that a descent walks through, by hand, around plain gradient descent p ← p − αg.

`step` gives the parameters back, which no average touches; the average is the attribute `x`. Before anything is
averaged, `x` is the parameter itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oracles.protocol import Array, at, float64s, zeros_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike


class Descent:
    """The plain gradient descent that the averages watch."""

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float]) -> None:
        self.p, self.lr, self.t = float64s(p0), lr, 0

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        alpha = at(self.lr, self.t)
        self.t += 1
        self.p = [p - alpha * g for p, g in zip(self.p, float64s(gradients), strict=True)]
        return float64s(self.p)


class EMA:
    """x ← δx + (1 − δ)p after every step, with x = p₀ at first."""

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float], *, decay: float = 0.999) -> None:
        self.descent, self.decay = Descent(p0, lr), decay
        self.x = float64s(p0)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        p = self.descent.step(gradients)
        self.x = [self.decay * x + (1 - self.decay) * p_i for x, p_i in zip(self.x, p, strict=True)]
        return p


class EMAFromFirstPoint:
    """As `EMA`, but x is p after the first step.

    `torch.optim.swa_utils.AveragedModel(multi_avg_fn=get_ema_multi_avg_fn(δ))`, updated after every step: its
    first update copies.
    """

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float], *, decay: float = 0.999) -> None:
        self.descent, self.decay = Descent(p0, lr), decay
        self.x = float64s(p0)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        p = self.descent.step(gradients)
        if self.descent.t == 1:
            self.x = float64s(p)
        else:
            self.x = [self.decay * x + (1 - self.decay) * p_i for x, p_i in zip(self.x, p, strict=True)]
        return p


class EMACorrected:
    """a ← δa + (1 − δ)p with a = 0 at first; x = a/(1 − δᵗ), as Adam corrects its moments. `optax.ema(δ)`."""

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float], *, decay: float = 0.999) -> None:
        self.descent, self.decay = Descent(p0, lr), decay
        self.x = float64s(p0)
        self.a = zeros_for(self.x)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        p = self.descent.step(gradients)
        self.a = [self.decay * a + (1 - self.decay) * p_i for a, p_i in zip(self.a, p, strict=True)]
        self.x = [a / (1 - self.decay**self.descent.t) for a in self.a]
        return p


class Polyak:
    """x ← x + (p − x)/t after step t: the mean of all points after p₀.

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992;
    `torch.optim.swa_utils.AveragedModel`, updated after every step. The mean that counts p₀ too is `SWA` with
    `start=0, every=1`.
    """

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float]) -> None:
        self.descent = Descent(p0, lr)
        self.x = float64s(p0)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        p = self.descent.step(gradients)
        self.x = [x + (p_i - x) / self.descent.t for x, p_i in zip(self.x, p, strict=True)]
        return p


class PolynomialDecay:
    """x ← (1 − a)x + ap with a = (1 + γ)/(t + γ) after step t: later points weigh more; γ = 0 is `Polyak`.

    Shamir and Zhang, "Stochastic gradient descent for non-smooth optimization", ICML 2013, arXiv:1212.1824,
    polynomial-decay averaging; `dog.PolynomialDecayAverager(gamma=8)`.
    """

    def __init__(self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float], *, gamma: float = 8.0) -> None:
        self.descent, self.gamma = Descent(p0, lr), gamma
        self.x = float64s(p0)

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        p = self.descent.step(gradients)
        a = (1 + self.gamma) / (self.descent.t + self.gamma)
        self.x = [(1 - a) * x + a * p_i for x, p_i in zip(self.x, p, strict=True)]
        return p


class SWA:
    """The mean of the points after `start`, `start` + c, `start` + 2c, … steps, with c `every`; until then x is p.

    x ← (nx + p)/(n + 1), n points being in it. Izmailov et al., arXiv:1803.05407, Algorithm 1, where the point
    that averaging starts from counts and `start` steps of training went before;
    `torch.optim.swa_utils.AveragedModel`, updated at those steps.
    """

    def __init__(
        self, p0: Sequence[ArrayLike], lr: float | Callable[[int], float], *, start: int = 0, every: int = 1
    ) -> None:
        self.descent, self.start, self.every = Descent(p0, lr), start, every
        self.n = 0
        self.x = float64s(p0)
        self.take(self.x)

    def take(self, p: list[Array]) -> None:
        done = self.descent.t - self.start
        if done < 0:
            self.x = float64s(p)
        elif done % self.every == 0:
            self.x = [(self.n * x + p_i) / (self.n + 1) for x, p_i in zip(self.x, p, strict=True)]
            self.n += 1

    def step(self, gradients: Sequence[ArrayLike]) -> list[Array]:
        p = self.descent.step(gradients)
        self.take(p)
        return p
