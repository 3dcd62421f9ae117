"""Closed forms of losses and their curvature, and Martens' method step by step, dense and by hand in float64 NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Regression:
    """Mean loss of N examples, linear in the weights: what torch is given, and the closed forms."""

    name: str
    X: Array
    Y: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.X.shape[1], self.Y.shape[1])

    def __call__(self, w: Tensor) -> tuple[Tensor, Tensor]:
        outputs = torch.from_numpy(self.X) @ w
        Y = torch.from_numpy(self.Y)
        if self.name == "linear":
            return 0.5 * (outputs - Y).square().sum(1).mean(), outputs
        if self.name == "logistic":
            return binary_cross_entropy_with_logits(outputs, Y), outputs
        return cross_entropy(outputs, Y.argmax(1)), outputs

    def value(self, w: Array) -> float:
        z = self.X @ w.reshape(self.shape)
        if self.name == "linear":
            return float(0.5 * ((z - self.Y) ** 2).sum(1).mean())
        if self.name == "logistic":
            return float((np.logaddexp(0, z) - self.Y * z).mean())
        return float((np.logaddexp.reduce(z, 1) - (z * self.Y).sum(1)).mean())

    def predictions(self, w: Array) -> Array:
        z = self.X @ w.reshape(self.shape)
        if self.name == "linear":
            return z
        if self.name == "logistic":
            return 1 / (1 + np.exp(-z))
        e = np.exp(z - z.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def jacobian(self) -> Array:
        """Of all examples: (N, K, P)."""
        K = self.Y.shape[1]
        return np.stack([np.kron(x[None, :], np.eye(K)).reshape(K, -1) for x in self.X])

    def gradients(self, w: Array) -> Array:
        """Of each example's own loss: (N, P)."""
        return np.einsum("nkp,nk->np", self.jacobian(), self.predictions(w) - self.Y)

    def gradient(self, w: Array) -> Array:
        return self.gradients(w).mean(0)

    def fisher(self, w: Array) -> Array:
        p, J = self.predictions(w), self.jacobian()
        if self.name == "linear":
            H = np.broadcast_to(np.eye(p.shape[1]), (len(p), p.shape[1], p.shape[1]))
        elif self.name == "logistic":
            H = (p * (1 - p))[:, :, None]
        else:
            H = p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]
        return np.einsum("nkp,nkl,nlq->pq", J, H, J) / len(p)

    def empirical_fisher(self, w: Array) -> Array:
        g = self.gradients(w)
        return g.T @ g / len(g)


def regression(name: str, examples: int = 40, inputs: int = 5) -> Regression:
    random = np.random.default_rng(len(name))
    X = random.normal(size=(examples, inputs)) * np.geomspace(1, 4, inputs)
    if name == "linear":
        return Regression(name, X, random.normal(size=(examples, 2)))
    if name == "logistic":
        return Regression(name, X, (random.random((examples, 1)) < 0.4).astype(float))
    return Regression(name, X, np.eye(3)[random.integers(0, 3, examples)])


def conjugate_gradients(
    A: Array, g: Array, x: Array, M: Array, tolerance: float, most: int
) -> list[tuple[Array, float]]:
    """Martens' Algorithm 2 with his test; all iterates, with their quadratics."""
    r = A @ x + g
    y = r / M
    d = -y
    found, i = [], 0
    while True:
        i += 1
        alpha = (r @ y) / (d @ A @ d)
        x = x + alpha * d
        r_new = r + alpha * (A @ d)
        y_new = r_new / M
        d = -y_new + (r_new @ y_new) / (r @ y) * d
        r, y = r_new, y_new
        found.append((x, 0.5 * x @ A @ x + g @ x))
        q = [value for _, value in found]
        k = max(10, math.ceil(0.1 * i))
        if i >= most or (i > k and q[-1] < 0 and (q[-1] - q[-1 - k]) / q[-1] < k * tolerance):
            return found


@dataclass
class HessianFree:
    """Martens' method on a regression, with the Gauss–Newton matrix whole."""

    problem: Regression
    w: Array
    damping: float
    warm_start: float = 0.95
    exponent: float = 0.0
    tolerance: float = 5e-4
    most: int = 250
    curvature: Regression | None = None
    evaluations: int = 0
    iterations: int = 0
    last: Array | None = field(default=None)

    def value(self, w: Array) -> float:
        self.evaluations += 1
        return self.problem.value(w)

    def step(self) -> float:
        """One step; gives ρ."""
        f, g = self.value(self.w), self.problem.gradient(self.w)
        G = (self.curvature or self.problem).fisher(self.w)
        A = G + self.damping * np.eye(len(g))
        squares = np.diag((self.curvature or self.problem).empirical_fisher(self.w))
        M = (squares + self.damping) ** self.exponent
        start = np.zeros_like(g) if self.last is None else self.warm_start * self.last
        all_of_them = conjugate_gradients(A, g, start, M, self.tolerance, self.most)
        self.iterations += len(all_of_them)
        if start.any() and not all_of_them[-1][1] < 0:  # ours, where the last direction leads astray
            all_of_them = conjugate_gradients(A, g, 0 * g, M, self.tolerance, self.most)
            self.iterations += len(all_of_them)
        spaced = {math.ceil(1.3**j) for j in range(60)}
        kept = [x for i, (x, q) in enumerate(all_of_them, 1) if (i in spaced and q < 0) or i == len(all_of_them)]
        d = self.last = kept.pop()
        lowest = self.value(self.w + d)
        rho = (lowest - f) / (g @ d + 0.5 * d @ G @ d)
        while kept:
            before = self.value(self.w + kept[-1])
            if lowest < before:
                break
            d, lowest = kept.pop(), before
        alpha = 1.0
        while not lowest <= f + 1e-2 * alpha * (g @ d):
            alpha *= 0.8
            lowest = self.value(self.w + alpha * d)
        self.w = self.w + alpha * d
        if rho < 0.25:
            self.damping *= 1.5
        elif rho > 0.75:
            self.damping /= 1.5
        return rho
