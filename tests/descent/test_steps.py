"""Each step size keeps what it promises, at every step of real descents."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

import thalweg as tw
from descent.more_garbow_hillstrom import PROBLEMS, Problem
from thalweg.descent import (
    approximate_wolfe,
    armijo,
    bfgs,
    brent,
    damped_newton,
    descent,
    iterations,
    polak_ribiere,
    steepest,
    strong_wolfe,
)
from thalweg.descent.steps.interpolation import cubic, parabola, secant

if TYPE_CHECKING:
    from thalweg.descent.directions import Direction
    from thalweg.descent.steps import StepSize

SOME = [
    problem
    for problem in PROBLEMS
    if problem.name in {"rosenbrock", "beale", "wood", "chebyquad", "box_three_dimensional"}
]


def lines(
    problem: Problem, direction: Direction, step_size: StepSize
) -> list[tuple[float, float, float, float, float]]:
    """For each step: α relative to the direction −g or its like, φ(0), φ′(0)·α, φ(α), φ′(α)·α."""
    points = [torch.tensor(problem.x0, dtype=torch.float64)]
    method = descent(direction=direction, step_size=step_size, stop=iterations(12))
    tw.minimize(problem, problem.x0, method, callback=points.append)
    found = []
    for before, after in pairwise(points):
        step = after - before
        slopes = [float(torch.func.grad(problem)(x) @ step) for x in (before, after)]
        found.append((float(problem(before)), slopes[0], float(problem(after)), slopes[1], float(step.norm())))
    assert len(found) > 2
    return found


@pytest.mark.parametrize("problem", SOME, ids=lambda problem: problem.name)
@pytest.mark.parametrize("direction", [bfgs(), polak_ribiere(), damped_newton(), steepest()], ids=repr)
@pytest.mark.parametrize("c2", [0.9, 0.1])
def test_strong_wolfe_steps_meet_both_conditions(problem: Problem, direction: Direction, c2: float) -> None:
    for f, slope, f_after, slope_after, _ in lines(problem, direction, strong_wolfe(c1=1e-3, c2=c2)):
        assert f_after <= f + 1e-3 * slope + 1e-15 * abs(f)
        assert abs(slope_after) <= -c2 * slope * (1 + 1e-9)


@pytest.mark.parametrize("problem", SOME, ids=lambda problem: problem.name)
@pytest.mark.parametrize("direction", [bfgs(), polak_ribiere(), steepest()], ids=repr)
def test_approximate_wolfe_steps_meet_one_of_the_two_pairs(problem: Problem, direction: Direction) -> None:
    for f, slope, f_after, slope_after, _ in lines(problem, direction, approximate_wolfe(sigma=0.4)):
        assert slope_after >= 0.4 * slope * (1 + 1e-9)
        wolfe = f_after <= f + 0.1 * slope + 1e-15 * abs(f)
        approximate = slope_after <= (2 * 0.1 - 1) * slope and f_after <= f + 1e-6 * abs(f)
        assert wolfe or approximate


@pytest.mark.parametrize("problem", SOME, ids=lambda problem: problem.name)
def test_armijo_steps_decrease_enough_and_are_the_first_that_do(problem: Problem) -> None:
    calls: list[float] = []

    def f(x: Tensor) -> Tensor:
        value = problem(x)
        calls.append(float(value.detach()))
        return value

    method = descent(direction=damped_newton(), step_size=armijo(c1=0.2, shrink=0.25), stop=iterations(8))
    result = tw.minimize(f, problem.x0, method)
    assert result.nfev == len(calls)
    for f, slope, f_after, _, _ in lines(problem, damped_newton(), armijo(c1=0.2, shrink=0.25)):
        assert f_after <= f + 0.2 * slope + 1e-15 * abs(f)


@pytest.mark.parametrize("problem", SOME, ids=lambda problem: problem.name)
@pytest.mark.parametrize("direction", [bfgs(), steepest()], ids=repr)
def test_exact_steps_end_where_the_slope_vanishes(problem: Problem, direction: Direction) -> None:
    for f, slope, f_after, slope_after, _ in lines(problem, direction, brent()):
        assert f_after <= f
        assert abs(slope_after) <= 1e-6 * abs(slope)


def test_a_schedule_is_a_step_size() -> None:
    x0 = torch.tensor([1.0, -2.0], dtype=torch.float64)
    schedule = tw.cosine(0.3, steps=3)
    method = descent(direction=steepest(), step_size=schedule, stop=iterations(3))
    result = tw.minimize(lambda x: (x**2).sum(), x0, method)
    expected = x0 * math.prod(1 - 2 * schedule(k) for k in range(3))
    torch.testing.assert_close(result.x, expected)
    assert repr(method) == f"descent(direction=steepest(), step_size={schedule!r}, stop=iterations(3))"


def test_interpolation_finds_the_minima_of_polynomials() -> None:
    def place(alpha: float) -> tuple[float, float, float]:
        return alpha, alpha**3 - 3 * alpha, 3 * alpha**2 - 3  # its minimum is at 1

    for a, b in [(0.2, 3.0), (3.0, 0.2), (-0.5, 0.1)]:
        assert cubic(place(a), place(b)) == pytest.approx(1.0)
    assert parabola((0.0, 1.0, -4.0), (3.0, 1.0 - 12 + 9, 2.0)) == pytest.approx(2.0)
    assert secant((0.0, 0.0, -4.0), (3.0, 0.0, 2.0)) == pytest.approx(2.0)
    assert cubic((0.0, 0.0, -1.0), (1.0, -1.0, -1.0)) == math.inf
    assert cubic(place(1.0), place(1.0)) == parabola(place(1.0), place(1.0)) == math.inf


@pytest.mark.parametrize("step_size", [strong_wolfe(), approximate_wolfe(), brent(), armijo(initial=100.0)], ids=repr)
def test_a_search_comes_back_from_where_the_function_is_not_finite(step_size: StepSize) -> None:
    seen: list[float] = []

    def barrier(x: Tensor) -> Tensor:
        value = -torch.log(1 - x).sum() + 30 * ((x - 0.9) ** 2).sum()
        seen.append(float(value.detach()))
        return value

    method = descent(direction=steepest(), step_size=step_size)
    result = tw.minimize(barrier, [-3.0, 0.5], method)
    assert result.success, result.message
    x = 0.9 + (0.1 - math.sqrt(0.01 + 4 / 60)) / 2  # of 1/(1 − x) + 60(x − 0.9) = 0
    torch.testing.assert_close(result.x, torch.full((2,), x, dtype=torch.float64), atol=1e-5, rtol=0)
    if not isinstance(step_size, brent):
        assert any(math.isnan(value) for value in seen)
