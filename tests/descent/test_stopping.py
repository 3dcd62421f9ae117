"""When a descent stops, and that it never spends more than it may."""

from __future__ import annotations

import math
import time
from itertools import pairwise

import pytest
import torch
from torch import Tensor

import thalweg as tw
from descent.more_garbow_hillstrom import PROBLEMS
from thalweg.descent import (
    Descent,
    Status,
    bfgs,
    descent,
    evaluations,
    gradient_norm,
    iterations,
    methods,
    normalised_steepest,
    seconds,
    steepest,
    step_length,
    value_change,
)
from thalweg.errors import DescentError, HyperparameterError

DESCENTS = [n for n, method in methods().items() if isinstance(method, Descent) and not method.needs_outputs]

X0 = [-1.2, 1.0]


def rosenbrock(x: Tensor) -> Tensor:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@pytest.mark.parametrize("order", [1, 2, math.inf])
def test_the_gradients_norm_is_the_one_asked_for(order: float) -> None:
    result = tw.minimize(rosenbrock, X0, stop=gradient_norm(1e-3, order=order))
    assert result.success
    assert torch.linalg.vector_norm(result.jac, order) <= 1e-3


def test_a_step_or_a_change_below_the_tolerance_stops_at_once() -> None:
    points = [torch.tensor(X0, dtype=torch.float64)]
    result = tw.minimize(rosenbrock, X0, stop=step_length(1e-3, order=2), callback=points.append)
    lengths = [float((after - before).norm()) for before, after in pairwise(points)]
    assert result.success
    assert lengths[-1] <= 1e-3 < min(lengths[:-1])
    values = [24.2]
    result = tw.minimize(
        rosenbrock, X0, stop=value_change(1e-4), callback=lambda x: values.append(float(rosenbrock(x)))
    )
    changes = [abs(after - before) for before, after in pairwise(values)]
    assert result.success
    assert changes[-1] <= 1e-4 < min(changes[:-1])


def test_a_budget_is_no_success_and_a_rule_that_is_none_counts_first() -> None:
    result = tw.minimize(rosenbrock, X0, max_iter=3)
    assert (result.success, result.status, result.nit) == (False, Status.BUDGET_SPENT, 3)
    assert result.message == "the budget of 3 iterations is spent"
    result = tw.minimize(lambda x: (x**2).sum(), X0, "damped_newton", max_iter=1)
    assert (result.success, result.nit) == (True, 1)


@pytest.mark.parametrize("method", DESCENTS)
@pytest.mark.parametrize("problem", [PROBLEMS[13], PROBLEMS[2]], ids=lambda problem: problem.name)
def test_evaluations_are_counted_right_and_never_exceed_the_budget(method: str, problem: object) -> None:
    calls = 0

    def counted(x: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        residuals = problem.residuals(x)
        return residuals.square().sum(), residuals

    for budget in (1, 2, 7, 40):
        calls = 0
        result = tw.minimize(counted, problem.x0, method, max_eval=budget)
        assert result.nfev == calls
        assert result.nfev + result.nhvp <= budget
        assert result.njev <= result.nfev
        assert result.fun == problem(result.x)
        if not result.success:
            assert result.status in {Status.BUDGET_SPENT, Status.NO_DIRECTION}


def test_time_is_a_budget() -> None:
    def slow(x: Tensor) -> Tensor:
        time.sleep(0.02)
        return rosenbrock(x)

    began = time.monotonic()
    result = tw.minimize(slow, X0, stop=gradient_norm() | seconds(0.1))
    assert not result.success
    assert "time" in result.message or "seconds" in result.message
    assert time.monotonic() - began < 5


def test_rules_are_joined_and_print_as_they_are_typed() -> None:
    stop = gradient_norm(1e-8, order=2) | step_length(1e-6) | value_change(1e-9) | iterations(10) | evaluations(99)
    assert repr(stop) == (
        "gradient_norm(1e-08, order=2) | step_length(1e-06) | value_change(1e-09) | iterations(10) | evaluations(99)"
    )
    assert eval(repr(stop | seconds(2.0)), vars(tw.descent)) == stop | seconds(2.0)  # noqa: S307  # our own text
    method = descent(direction=bfgs(), step_size=0.5, stop=stop)
    assert eval(repr(method), vars(tw.descent)) == method  # noqa: S307  # as above


def test_named_methods_print_as_what_they_are_made_of() -> None:
    for method in methods().values():
        assert eval(repr(method), vars(tw) | vars(tw.descent)) == method  # noqa: S307  # our own text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gradient_norm(-1.0), r"gradient_norm: `tolerance` is -1.0; it must lie in \[0, ∞\)"),
        (lambda: gradient_norm(order=3), "gradient_norm: `order` is 3; choose 1, 2 or math.inf"),
        (lambda: gradient_norm("small"), "gradient_norm: `tolerance` is 'small'; it must be a number"),
        (lambda: gradient_norm(lambda _: 0.1), "gradient_norm: `tolerance` is <function"),
        (lambda: iterations(2.5), "iterations: `count` is 2.5; it must be a whole number, 0 or more"),
        (lambda: evaluations(0), "evaluations: `count` is 0; it must be a whole number, 1 or more"),
        (lambda: seconds(0.0), r"seconds: `limit` is 0.0; it must lie in \(0, ∞\)"),
    ],
)
def test_a_rule_out_of_range_says_so(make: object, message: str) -> None:
    with pytest.raises(HyperparameterError, match=message):
        make()


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(DescentError, match=r"gradient_norm\(1e-05\) \| 100: this is no stopping rule"):
        gradient_norm() | 100


def test_steps_of_a_fixed_length_stop_by_their_budget_alone() -> None:
    method = descent(direction=normalised_steepest(), step_size=0.25, stop=gradient_norm(1e-9) | iterations(50))
    result = tw.minimize(lambda x: (x**2).sum(), [1.1, 0.0], method)
    assert result.nit == 50
    assert result.fun == pytest.approx(0.1**2)  # the best of the two points that it jumps between
    huge = tw.minimize(lambda x: (x**2).sum(), [1.0], descent(direction=steepest(), step_size=1e200))
    assert (huge.status, huge.fun) == (Status.NOT_FINITE, 1.0)
    assert huge.message == "a step of size 1e+200 has led to where the function is inf; take smaller ones, or search"
