"""Gauss–Newton's direction and the natural gradient, against closed forms in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Independent, Normal

import thalweg as tw
from descent.damped_twins import Regression, regression
from descent.more_garbow_hillstrom import PROBLEMS, Problem
from thalweg.descent import Status, descent, gauss_newton, iterations, levenberg_marquardt, natural_gradient
from thalweg.errors import CurvatureError, DescentError, GradientError, HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.descent.directions import Direction
    from thalweg.descent.directions.natural_gradient import Fisher, Solver

NAMES = ("linear", "logistic", "softmax")
DISTRIBUTIONS: dict[str, Callable[[Tensor], Any]] = {
    "linear": lambda outputs: Independent(Normal(outputs, torch.ones_like(outputs)), 1),
    "logistic": lambda outputs: Independent(Bernoulli(logits=outputs), 1),
    "softmax": lambda outputs: Categorical(logits=outputs),
}


def start(problem: Regression) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=problem.shape) / 3)


def step(direction: Direction, f: Callable[[Tensor], Any], x0: Tensor) -> np.ndarray:
    """Where one step of the direction's own length leads, flat, relative to the start."""
    points: list[Tensor] = []
    tw.minimize(f, x0, descent(direction=direction, step_size=1.0, stop=iterations(1)), callback=points.append)
    return (points[0] - x0).numpy().ravel()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("solver", ["cg", "dense"])
@pytest.mark.parametrize("inputs", [5, 60], ids=["few weights", "many weights"])
def test_the_natural_gradient_solves_with_the_fisher_matrix(name: str, solver: Solver, inputs: int) -> None:
    problem = regression(name, 25, inputs)
    x0, damping = start(problem), 0.3
    w = x0.numpy().ravel()
    identity = damping * np.eye(len(w))
    settings: dict[str, Any] = {"solver": solver, "tolerance": 1e-13}
    g = problem.gradient(w)
    exact = -np.linalg.solve(problem.fisher(w) + identity, g)
    for direction in (
        natural_gradient(damping, **settings),
        natural_gradient(damping, distribution=DISTRIBUTIONS[name], **settings),
        gauss_newton(damping, **settings),
    ):
        np.testing.assert_allclose(step(direction, problem, x0), exact, rtol=1e-10, atol=1e-11)
    empirical = -np.linalg.solve(problem.empirical_fisher(w) + identity, g)
    found = step(natural_gradient(damping, fisher="empirical", **settings), problem, x0)
    np.testing.assert_allclose(found, empirical, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("fisher", ["exact", "empirical"])
def test_a_sum_over_the_examples_has_a_fisher_matrix_n_times_as_large(fisher: Fisher) -> None:
    problem = regression("softmax")
    x0, N = start(problem), len(problem.X)
    distribution = DISTRIBUTIONS["softmax"] if fisher == "exact" else None

    def summed(w: Tensor) -> tuple[Tensor, Tensor]:
        loss, outputs = problem(w)
        return N * loss, outputs

    settings: dict[str, Any] = {"fisher": fisher, "distribution": distribution, "solver": "dense"}
    mean = step(natural_gradient(0.3, **settings), problem, x0)
    of_sum = step(natural_gradient(0.3 * N, reduction="sum", **settings), summed, x0)
    np.testing.assert_allclose(of_sum, mean, rtol=1e-10)


def test_any_distribution_may_be_said_to_be_the_models() -> None:
    x = torch.linspace(-1, 1, 30, dtype=torch.float64)
    y = torch.distributions.Normal(0.3 * x, 0.7).sample()

    def scaled(w: Tensor) -> tuple[Tensor, Tensor]:
        """A mean and a log-deviation for each example: the outputs are no natural parameters."""
        outputs = torch.stack((w[0] * x, w[1].expand_as(x)), 1)
        return -gaussian(outputs).log_prob(y).mean(), outputs

    def gaussian(outputs: Tensor) -> Normal:
        return Normal(outputs[:, 0], outputs[:, 1].exp())

    w = torch.tensor([0.2, 0.1], dtype=torch.float64)
    found = step(natural_gradient(0.0, distribution=gaussian, solver="dense"), scaled, w)
    variance = np.exp(2 * 0.1)
    residuals = (y - 0.2 * x).numpy()
    gradient = np.array([-(residuals * x.numpy()).mean() / variance, 1 - (residuals**2).mean() / variance])
    fisher = np.array([(x.numpy() ** 2).mean() / variance, 2.0])  # diagonal: Normal(μ, σ) by μ and log σ
    np.testing.assert_allclose(found, -gradient / fisher, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fisher", ["exact", "empirical"])
def test_the_step_is_the_same_in_other_coordinates(name: str, fisher: Fisher) -> None:
    problem = regression(name)
    if name == "softmax":  # of K outputs K − 1 count: without damping, let the last be 0
        T = torch.eye(3, dtype=torch.float64)[:, :2].T.contiguous()
    else:
        T = torch.eye(problem.shape[1], dtype=torch.float64)
    x0 = start(problem)[:, : len(T)]
    C = torch.from_numpy(np.random.default_rng(2).normal(size=(x0.numel(), x0.numel())))
    direction = natural_gradient(0.0, fisher=fisher, solver="dense")

    def of_weights(w: Tensor) -> tuple[Tensor, Tensor]:
        return problem(w @ T)

    def of_others(u: Tensor) -> tuple[Tensor, Tensor]:
        return of_weights((C @ u).view(x0.shape))

    u0 = torch.linalg.solve(C, x0.ravel())
    here = step(direction, of_weights, x0)
    there = C.numpy() @ step(direction, of_others, u0)
    np.testing.assert_allclose(there, here, rtol=1e-8, atol=1e-8 * np.abs(here).max())


def test_gauss_newton_is_newton_on_linear_least_squares() -> None:
    problem = regression("linear")
    result = tw.minimize(problem, start(problem), "gauss_newton")
    solution = np.linalg.lstsq(problem.X, problem.Y)[0]
    assert (result.nit, result.success) == (1, True)
    np.testing.assert_allclose(result.x.numpy(), solution, rtol=1e-12, atol=1e-12)


FITS = [
    one for one in PROBLEMS if one.name in {"bard", "kowalik_and_osborne", "box_three_dimensional", "watson", "wood"}
]


@pytest.mark.parametrize("problem", FITS, ids=lambda problem: problem.name)
def test_on_least_squares_gauss_newton_finds_minpacks_minimum(problem: Problem) -> None:
    def f(x: Tensor) -> tuple[Tensor, Tensor]:
        residuals = problem.residuals(x)
        return residuals.square().sum() / 2, residuals

    def residuals(x: np.ndarray) -> np.ndarray:
        return problem.residuals(torch.from_numpy(x)).numpy()

    theirs = scipy.optimize.least_squares(residuals, np.array(problem.x0, float), method="lm", xtol=1e-12, ftol=1e-12)
    ours = tw.minimize(f, problem.x0, "gauss_newton", damping=1e-3, tol=1e-8)
    assert ours.success, ours.message
    assert ours.fun == pytest.approx(theirs.cost, rel=1e-6, abs=1e-12)


def test_products_and_evaluations_are_counted() -> None:
    problem = regression("softmax", 4, 5)
    x0 = start(problem)
    for direction, products in (
        (natural_gradient(0.3, fisher="empirical", solver="dense"), 4),  # rows: as many as examples
        (natural_gradient(0.3, solver="dense"), 12),  # as many as outputs
        (gauss_newton(0.0), 12),
    ):
        result = tw.minimize(problem, x0, descent(direction=direction, step_size=1.0, stop=iterations(1)))
        assert (result.nfev, result.njev, result.nhvp) == (2, 2, products)
    more = regression("softmax", 50, 5)
    result = tw.minimize(more, start(more), descent(direction=gauss_newton(), step_size=1.0, stop=iterations(1)))
    assert result.nhvp == 15  # as many as weights


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(GradientError, match=r"let the function return \(value, outputs\)"):
        tw.minimize(lambda x: (x**2).sum(), [1.0], "gauss_newton")
    with pytest.raises(GradientError, match="neither detached nor computed"):
        tw.minimize(lambda x: ((x**2).sum(), x.detach()), [1.0], "gauss_newton")
    with pytest.raises(HyperparameterError, match="natural_gradient: `fisher` is 'exakt'; did you mean `exact`"):
        natural_gradient(fisher="exakt")
    with pytest.raises(HyperparameterError, match="gauss_newton: `solver` is 'sparse'"):
        gauss_newton(solver="sparse")
    with pytest.raises(HyperparameterError, match="the empirical Fisher matrix asks for no `distribution`"):
        natural_gradient(fisher="empirical", distribution=DISTRIBUTIONS["softmax"])
    with pytest.raises(
        CurvatureError, match="`distribution` made 3, whose divergence from another torch does not know"
    ):
        tw.minimize(
            regression("softmax"), torch.zeros(5, 3, dtype=torch.float64), "natural_gradient", distribution=lambda _: 3
        )
    with pytest.raises(DescentError, match="has no damping that levenberg_marquardt"):
        descent(direction=tw.descent.bfgs(), step_size=levenberg_marquardt())


def test_a_value_whose_examples_touch_each_other_is_solved_with_all_the_same() -> None:
    X = torch.from_numpy(np.random.default_rng(3).normal(size=(6, 20)))
    K = torch.from_numpy(np.random.default_rng(4).normal(size=(6, 6)))

    def mixed(w: Tensor) -> tuple[Tensor, Tensor]:
        outputs = X @ w
        return (K @ outputs - 1).square().sum() / 2, outputs

    w = torch.ones(20, dtype=torch.float64)
    A = (K @ X).numpy()
    expected = -np.linalg.solve(A.T @ A + 0.1 * np.eye(20), A.T @ (A @ w.numpy() - 1))
    np.testing.assert_allclose(step(gauss_newton(0.1), mixed, w), expected, rtol=1e-8)


def test_a_value_that_is_not_convex_in_its_outputs_is_named() -> None:
    def bent(x: Tensor) -> tuple[Tensor, Tensor]:
        outputs = x.sum()[None] * torch.tensor([1.0, 2.0], dtype=x.dtype)
        return torch.cos(outputs).sum() + x.square().sum(), outputs

    result = tw.minimize(bent, [0.1, 0.1, 0.1], "gauss_newton", damping=1.0)
    assert result.status is Status.NO_DIRECTION
    assert "not convex in the outputs" in result.message
