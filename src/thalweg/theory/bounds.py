"""How far a method can be from the minimum at most after so many steps, and AdaGrad's regret."""

from __future__ import annotations

from typing import Any, Literal

import torch

from thalweg.errors import HyperparameterError
from thalweg.formula import Range
from thalweg.theory.inputs import POSITIVE, number

_STEPS = Range(1, whole=True)


def strongly_convex_bound(steps: int, *, smallest: float, largest: float) -> float:
    """(1 − μ/L)ᵀ: what is left of f(x₀) − f* after T steps of gradient descent at the rate 1/L, at most.

    The Hessian's eigenvalues lie between μ and L everywhere. Nocedal and Wright, Numerical Optimization, 2nd edition,
    section 3.3; S. Bubeck, Convex Optimization: Algorithms and Complexity, 2015, section 3.4.

    >>> strongly_convex_bound(2, smallest=1.0, largest=4.0)
    0.5625
    """
    mu, L = number("smallest", smallest, POSITIVE), number("largest", largest, POSITIVE)
    if mu > L:
        raise HyperparameterError(f"the smallest eigenvalue, {mu:g}, is above the largest, {L:g}; give them in order")
    return (1 - mu / L) ** number("steps", steps, _STEPS)


def convex_bound(steps: int, *, distance: float, alpha: float) -> float:
    """‖x₀ − x*‖²/(2αk): the most that f(x_k) − f* is after k steps of gradient descent at a rate α ≤ 1/L.

    The function is convex and need not be strongly so. Beck and Teboulle 2009, doi:10.1137/080716542, Theorem 3.1.

    >>> convex_bound(10, distance=2.0, alpha=0.1)
    2.0
    """
    k, alpha = number("steps", steps, _STEPS), number("alpha", alpha, POSITIVE)
    return number("distance", distance, Range(0)) ** 2 / (2 * alpha * k)


def accelerated_bound(steps: int, *, distance: float, alpha: float) -> float:
    """2‖x₀ − x*‖²/(α(k + 1)²): the same of Nesterov's acceleration, which is k/(k + 3) times the last way ahead.

    Su, Boyd and Candès 2016, arXiv:1503.01243, Theorem 6 with r = 3.

    >>> accelerated_bound(9, distance=2.0, alpha=0.1)
    0.8
    """
    k, alpha = number("steps", steps, _STEPS), number("alpha", alpha, POSITIVE)
    return 2 * number("distance", distance, Range(0)) ** 2 / (alpha * (k + 1) ** 2)


def adagrad_regret_bound(
    gradients: Any,  # noqa: ANN401  # a tensor, an array, a list of either
    *,
    distance: float,
    alpha: float,
    form: Literal["diagonal", "matrix"] = "diagonal",
) -> float:
    """(D²/2α + α) Σᵢ ‖g₁:T,ᵢ‖, or with tr √(Σ ggᵀ) for the full matrix: what AdaGrad loses to the best fixed point.

    `gradients` has the shape (T, n), those of convex losses along AdaGrad's own points, with δ = 0. D is the farthest
    that a point came from the fixed one, in its largest element for the diagonal form and in length for the matrix.
    α = D/√2 gives the least, √2·D times the sum. Duchi, Hazan and Singer 2011, JMLR 12, Theorems 5 and 7.

    >>> adagrad_regret_bound([[3.0, 0.0], [4.0, 1.0]], distance=2.0, alpha=1.0)
    18.0
    """
    G = torch.as_tensor(gradients, dtype=torch.float64)
    if G.ndim != 2:
        raise HyperparameterError(f"`gradients` has the shape {tuple(G.shape)}; it must be (steps, variables)")
    if form == "diagonal":
        size = float(torch.linalg.vector_norm(G, dim=0).sum())
    elif form == "matrix":
        size = float(torch.linalg.svdvals(G).sum())  # tr √(GᵀG)
    else:
        raise HyperparameterError(f"`form` is {form!r}; choose 'diagonal' or 'matrix'")
    D, alpha = number("distance", distance, Range(0)), number("alpha", alpha, POSITIVE)
    return (D * D / (2 * alpha) + alpha) * size
