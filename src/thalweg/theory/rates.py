"""How fast gradient descent, heavy ball and Nesterov's momentum contract on a quadratic, and with which settings.

On ½ xᵀQx each eigenvalue λ of Q has its own linear recurrence. Its spectral radius ρ is the rate: ‖x_k‖ falls as ρᵏ in
the end. For gradient descent that holds in every single step; with momentum only asymptotically, and single steps may
grow. An error of 0.1 times what it was takes log 0.1/log ρ steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from thalweg.errors import HyperparameterError
from thalweg.theory.inputs import FRACTION, POSITIVE, number

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Tuning:
    """A learning rate and a momentum, and the rate at which they contract the worst direction of all."""

    alpha: float
    beta: float
    rate: float


def gradient_descent_rate(eigenvalues: Iterable[float], alpha: float) -> float:
    """The largest size of 1 − αλ: x ← x − αQx contracts by that in every step, and grows from 1 on.

    >>> gradient_descent_rate([1.0, 9.0], alpha=0.2)
    0.8
    """
    alpha = number("alpha", alpha, POSITIVE)
    return max(abs(1 - alpha * value) for value in _above_zero(eigenvalues))


def heavy_ball_rate(eigenvalues: Iterable[float], alpha: float, beta: float) -> float:
    """The larger root of z² − (1 + β − αλ)z + β, for the worst λ: x ← x − αQx + β(x − x_last).

    It is √β for all λ with (1 − √β)² ≤ αλ ≤ (1 + √β)². Polyak 1964, doi:10.1016/0041-5553(64)90137-5.

    >>> heavy_ball_rate([1.0, 9.0], alpha=0.25, beta=0.25)
    0.5
    """
    alpha, beta = number("alpha", alpha, POSITIVE), number("beta", beta, FRACTION)
    return max(_larger_root(1 + beta - alpha * value, beta) for value in _above_zero(eigenvalues))


def nesterov_rate(eigenvalues: Iterable[float], alpha: float, beta: float) -> float:
    """The larger root of z² − (1 + β)(1 − αλ)z + β(1 − αλ), for the worst λ: the gradient at x + β(x − x_last).

    With a constant β, as Nesterov momentum has it. Lessard, Recht and Packard 2016, arXiv:1408.3595, section 2.2.

    >>> round(nesterov_rate([1.0, 9.0], alpha=1 / 9, beta=0.5), 12)
    0.666666666667
    """
    alpha, beta = number("alpha", alpha, POSITIVE), number("beta", beta, FRACTION)
    left = [1 - alpha * value for value in _above_zero(eigenvalues)]
    return max(_larger_root((1 + beta) * rest, beta * rest) for rest in left)


def best_gradient_descent(smallest: float, largest: float) -> Tuning:
    """α = 2/(L + μ), rate (κ − 1)/(κ + 1), for eigenvalues between μ and L. Polyak, Introduction to Optimization, 1987.

    >>> best_gradient_descent(2.0, 18.0)
    Tuning(alpha=0.1, beta=0.0, rate=0.8)
    """
    mu, L = _ends(smallest, largest)
    return Tuning(2 / (L + mu), 0.0, (L - mu) / (L + mu))


def best_heavy_ball(smallest: float, largest: float) -> Tuning:
    """α = (2/(√L + √μ))², β = ((√L − √μ)/(√L + √μ))², rate (√κ − 1)/(√κ + 1). Polyak 1964.

    >>> best_heavy_ball(1.0, 9.0)
    Tuning(alpha=0.25, beta=0.25, rate=0.5)
    """
    mu, L = _ends(smallest, largest)
    sum_of_roots = math.sqrt(L) + math.sqrt(mu)
    rate = (math.sqrt(L) - math.sqrt(mu)) / sum_of_roots
    return Tuning((2 / sum_of_roots) ** 2, rate**2, rate)


def best_nesterov(smallest: float, largest: float) -> Tuning:
    """α = 4/(3L + μ), β = (√(3κ+1) − 2)/(√(3κ+1) + 2), rate 1 − 2/√(3κ+1): the best of constant β on quadratics.

    Lessard, Recht and Packard 2016, arXiv:1408.3595, Proposition 1.

    >>> best_nesterov(1.0, 5.0)
    Tuning(alpha=0.25, beta=0.3333333333333333, rate=0.5)
    """
    mu, L = _ends(smallest, largest)
    root = math.sqrt(3 * L / mu + 1)
    return Tuning(4 / (3 * L + mu), (root - 2) / (root + 2), 1 - 2 / root)


def standard_nesterov(smallest: float, largest: float) -> Tuning:
    """α = 1/L, β = (√κ − 1)/(√κ + 1), rate 1 − 1/√κ: the usual setting for strongly convex functions.

    Nesterov, Introductory Lectures on Convex Optimization, 2004, scheme (2.2.11).

    >>> standard_nesterov(1.0, 4.0)
    Tuning(alpha=0.25, beta=0.3333333333333333, rate=0.5)
    """
    mu, L = _ends(smallest, largest)
    root = math.sqrt(L / mu)
    return Tuning(1 / L, (root - 1) / (root + 1), 1 - 1 / root)


def largest_learning_rate(
    largest: float, beta: float = 0.0, *, momentum: Literal["heavy_ball", "nesterov"] = "heavy_ball"
) -> float:
    """The α at which it no longer converges: 2(1 + β)/L, with Nesterov's momentum 2(1 + β)/((1 + 2β)L).

    From z = −1 in the recurrence of the largest eigenvalue L. Without momentum, 2/L.

    >>> (
    ...     largest_learning_rate(4.0),
    ...     largest_learning_rate(4.0, 0.5),
    ...     largest_learning_rate(4.0, 0.5, momentum="nesterov"),
    ... )
    (0.5, 0.75, 0.375)
    """
    L, beta = number("largest", largest, POSITIVE), number("beta", beta, FRACTION)
    if momentum not in {"heavy_ball", "nesterov"}:
        raise HyperparameterError(f"`momentum` is {momentum!r}; choose 'heavy_ball' or 'nesterov'")
    return 2 * (1 + beta) / L / (1 if momentum == "heavy_ball" else 1 + 2 * beta)


def _larger_root(b: float, c: float) -> float:
    """The larger modulus of the roots of z² − bz + c."""
    inside = b * b / 4 - c
    return abs(b) / 2 + math.sqrt(inside) if inside >= 0 else math.sqrt(c)


def _above_zero(eigenvalues: Iterable[float]) -> list[float]:
    values = [float(value) for value in eigenvalues]
    if not values or not all(0 < value < math.inf for value in values):
        raise HyperparameterError(f"the eigenvalues are {values}; there must be some, all above 0, as at a minimum")
    return values


def _ends(smallest: float, largest: float) -> tuple[float, float]:
    mu, L = number("smallest", smallest, POSITIVE), number("largest", largest, POSITIVE)
    if mu > L:
        raise HyperparameterError(f"the smallest eigenvalue, {mu:g}, is above the largest, {L:g}; give them in order")
    return mu, L
