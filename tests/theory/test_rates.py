"""The rates and best settings on quadratics, against descents that are run, roots that NumPy finds, and a search."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.optimize
import torch

import thalweg as tw
from thalweg import theory
from thalweg.errors import HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable

EIGENVALUES = [0.5, 1.0, 3.0, 7.0, 20.0]
SMALLEST, LARGEST = 0.5, 20.0
KAPPA = LARGEST / SMALLEST
BEST = {
    "gradient_descent": theory.best_gradient_descent(SMALLEST, LARGEST),
    "heavy_ball": theory.best_heavy_ball(SMALLEST, LARGEST),
    "nesterov": theory.best_nesterov(SMALLEST, LARGEST),
    "standard_nesterov": theory.standard_nesterov(SMALLEST, LARGEST),
}
RATES: dict[str, Callable[[float, float], float]] = {
    "gradient_descent": lambda alpha, _: theory.gradient_descent_rate(EIGENVALUES, alpha),
    "heavy_ball": lambda alpha, beta: theory.heavy_ball_rate(EIGENVALUES, alpha, beta),
    "nesterov": lambda alpha, beta: theory.nesterov_rate(EIGENVALUES, alpha, beta),
    "standard_nesterov": lambda alpha, beta: theory.nesterov_rate(EIGENVALUES, alpha, beta),
}


def errors(stage: object, alpha: float, steps: int) -> list[float]:
    """‖x_k‖ of a rule that ships, on the quadratic with these eigenvalues, from (1, …, 1)."""
    Q = torch.tensor(EIGENVALUES, dtype=torch.float64)
    x = torch.ones(5, dtype=torch.float64, requires_grad=True)
    optimizer = tw.Optimizer([x], tw.chain(stage, tw.step(alpha)))
    found = [float(x.detach().norm())]
    for _ in range(steps):
        x.grad = Q * x.detach()
        optimizer.step()
        found.append(float(x.detach().norm()))
    return found


@pytest.mark.parametrize("name", BEST)
def test_the_best_settings_have_the_rate_of_the_closed_form(name: str) -> None:
    best = BEST[name]
    assert RATES[name](best.alpha, best.beta) == pytest.approx(best.rate, rel=1e-7)
    closed = {
        "gradient_descent": (KAPPA - 1) / (KAPPA + 1),
        "heavy_ball": (KAPPA**0.5 - 1) / (KAPPA**0.5 + 1),
        "nesterov": 1 - 2 / (3 * KAPPA + 1) ** 0.5,
        "standard_nesterov": 1 - 1 / KAPPA**0.5,
    }
    assert best.rate == pytest.approx(closed[name])


@pytest.mark.parametrize("name", ["gradient_descent", "heavy_ball", "nesterov"])
def test_no_other_settings_are_better(name: str) -> None:
    best = BEST[name]
    top = 0.0 if name == "gradient_descent" else 0.999
    found = scipy.optimize.differential_evolution(
        lambda x: RATES[name](x[0], x[1] * top), [(1e-3, 0.25), (0, 1)], seed=0, tol=1e-10, maxiter=300
    )
    assert best.rate <= found.fun + 1e-12
    assert best.rate == pytest.approx(found.fun, rel=2e-3)


def test_any_settings_have_the_spectral_radius_of_their_recurrence() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        alpha, beta = random.uniform(0.001, 0.2), random.uniform(0, 0.99)
        ball = [max(abs(np.roots([1, -(1 + beta - alpha * value), beta]))) for value in EIGENVALUES]
        ahead = [max(abs(np.roots([1, -(1 + beta) * c, beta * c]))) for c in 1 - alpha * np.array(EIGENVALUES)]
        assert theory.heavy_ball_rate(EIGENVALUES, alpha, beta) == pytest.approx(max(ball), rel=1e-6)
        assert theory.nesterov_rate(EIGENVALUES, alpha, beta) == pytest.approx(max(ahead), rel=1e-6)
        assert theory.heavy_ball_rate(EIGENVALUES, alpha, 0.0) == theory.gradient_descent_rate(EIGENVALUES, alpha)
        ends = [SMALLEST, LARGEST]  # the worst eigenvalue is one of the two
        assert theory.heavy_ball_rate(ends, alpha, beta) == theory.heavy_ball_rate(EIGENVALUES, alpha, beta)
        assert theory.nesterov_rate(ends, alpha, beta) == theory.nesterov_rate(EIGENVALUES, alpha, beta)


def test_gradient_descent_contracts_by_its_rate_in_every_step_and_momentum_in_the_end() -> None:
    best = BEST["gradient_descent"]
    ratios = [after / before for before, after in pairwise(errors(tw.gradient_descent(), best.alpha, 100))]
    assert max(ratios) <= best.rate + 1e-12
    assert ratios[-1] == pytest.approx(best.rate, rel=1e-6)
    best = BEST["heavy_ball"]
    path = errors(tw.heavy_ball(beta=best.beta), best.alpha, 400)
    assert max(after / before for before, after in pairwise(path)) > 1 > best.rate  # not in every step
    assert (path[400] / path[200]) ** (1 / 200) == pytest.approx(best.rate, rel=5e-3)  # kρᵏ: a double root
    for alpha, beta in ((0.02, 0.5), (0.1, 0.8)):
        path = errors(tw.heavy_ball(beta=beta), alpha, 300)
        rate = theory.heavy_ball_rate(EIGENVALUES, alpha, beta)
        assert (path[300] / path[0]) ** (1 / 300) == pytest.approx(rate, rel=0.02)
    best = BEST["standard_nesterov"]
    path = errors(tw.nesterov_acceleration(kappa=KAPPA), best.alpha, 400)
    assert (path[400] / path[200]) ** (1 / 200) == pytest.approx(best.rate, rel=5e-3)


def test_beyond_the_largest_learning_rate_it_diverges() -> None:
    for beta in (0.0, 0.5, 0.9):
        ball = theory.largest_learning_rate(LARGEST, beta)
        ahead = theory.largest_learning_rate(LARGEST, beta, momentum="nesterov")
        for rate, limit in ((theory.heavy_ball_rate, ball), (theory.nesterov_rate, ahead)):
            assert rate(EIGENVALUES, 0.999 * limit, beta) < 1 < rate(EIGENVALUES, 1.001 * limit, beta)
    quick = errors(tw.heavy_ball(beta=0.5), 1.01 * theory.largest_learning_rate(LARGEST, 0.5), 2000)
    assert quick[-1] > 1e6
    # DeepOBS's quadratic_deep: momentum .99 lives at .0631 and dies at .1
    assert theory.largest_learning_rate(53.1290154, 0.99) == pytest.approx(0.0749, abs=1e-4)
    assert theory.largest_learning_rate(53.1290154) == pytest.approx(0.03764, abs=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.best_heavy_ball(3.0, 1.0), "the smallest eigenvalue, 3, is above the largest, 1"),
        (lambda: theory.best_heavy_ball(0.0, 1.0), r"theory: `smallest` is 0.0; it must lie in \(0, ∞\)"),
        (lambda: theory.gradient_descent_rate([], 0.1), "there must be some, all above 0"),
        (lambda: theory.heavy_ball_rate([1.0, -1.0], 0.1, 0.5), "there must be some, all above 0"),
        (lambda: theory.nesterov_rate([1.0], 0.1, 1.5), r"`beta` is 1.5; it must lie in \[0, 1\)"),
        (lambda: theory.nesterov_rate([1.0], lambda _: 0.1, 0.5), "`alpha` is <function"),
        (lambda: theory.largest_learning_rate(1.0, momentum="none"), "`momentum` is 'none'; choose"),
        (lambda: theory.momentum_gain(1.0), r"`beta` is 1.0; it must lie in \[0, 1\)"),
    ],
)
def test_what_theory_does_not_speak_of_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(HyperparameterError, match=message):
        call()
