"""Nesterov's momentum and Nesterov's acceleration, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oracles.protocol import Array, at, float64

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike


class LookAhead:
    """v ← βv − α∇f(p + βv); p ← p + v. Here `step` takes the gradient as a function, and asks it at p + βv.

    Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep learning",
    ICML 2013, Eq. 3 and 4; deck D, "Nesterov momentum"; deck C, "NAG", with its missing μv put back.
    """

    def __init__(self, p0: ArrayLike, lr: float | Callable[[int], float], *, beta: float = 0.9) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta = beta
        self.v = np.zeros_like(self.p)

    @property
    def ahead(self) -> Array:
        """P + βv: where the next gradient is taken, and where the change of variables stands."""
        return self.p + self.beta * self.v

    def step(self, gradient: Callable[[Array], ArrayLike]) -> Array:
        g = float64(gradient(self.ahead))
        alpha = at(self.lr, self.t)
        self.t += 1
        self.v = self.beta * self.v - alpha * g
        self.p = self.p + self.v
        return self.p.copy()


class ChangeOfVariables:
    """v' ← βv − αg; p ← p + v' + β(v' − v), with v = 0 at first.

    Deck D's derivation and code: the look-ahead form seen at p + βv, where the gradient is taken.
    """

    def __init__(self, p0: ArrayLike, lr: float | Callable[[int], float], *, beta: float = 0.9) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta = beta
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        v_old = self.v
        v_new = self.beta * v_old - alpha * g
        self.p = self.p + v_new + self.beta * (v_new - v_old)
        self.v = v_new
        return self.p.copy()


class RateOutside:
    """v ← βv + g, with v ← g at the first step; p ← p − α(g + βv).

    `torch.optim.SGD(momentum=β, nesterov=True)`: its documentation's pseudo-code;
    `optax.sgd(momentum=β, nesterov=True)` is the same.
    """

    def __init__(self, p0: ArrayLike, lr: float | Callable[[int], float], *, beta: float = 0.9) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta = beta
        self.v = np.zeros_like(self.p)

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        self.v = g if self.t == 1 else self.beta * self.v + g
        self.p = self.p - alpha * (g + self.beta * self.v)
        return self.p.copy()


class Acceleration:
    """x' ← p − αg; p ← x' + k/(k+3)·(x' − x), with x = p at first and k from 0.

    Nesterov 1983, in the form of Su, Boyd and Candès, arXiv:1503.01243, Eq. 1, where k − 1 over k + 2 counts
    k from 1; deck B, "Nesterov's acceleration". The point p is theirs y, where the gradient is taken.
    """

    def __init__(self, p0: ArrayLike, lr: float | Callable[[int], float]) -> None:
        self.p, self.lr, self.k = float64(p0), lr, 0
        self.x = self.p.copy()

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.k)
        x_new = self.p - alpha * g
        self.p = x_new + self.k / (self.k + 3) * (x_new - self.x)
        self.x = x_new
        self.k += 1
        return self.p.copy()


class ConstantAcceleration:
    """x' ← p − αg; p ← x' + β(x' − x), with x = p at first.

    Nesterov, "Introductory Lectures on Convex Optimization", scheme 2.2.11: for a strongly convex function,
    β = (√κ − 1)/(√κ + 1).
    """

    def __init__(self, p0: ArrayLike, lr: float | Callable[[int], float], *, beta: float = 0.9) -> None:
        self.p, self.lr, self.t = float64(p0), lr, 0
        self.beta = beta
        self.x = self.p.copy()

    def step(self, g: ArrayLike) -> Array:
        g = float64(g)
        alpha = at(self.lr, self.t)
        self.t += 1
        x_new = self.p - alpha * g
        self.p = x_new + self.beta * (x_new - self.x)
        self.x = x_new
        return self.p.copy()
