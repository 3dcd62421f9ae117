"""The limits of small steps: the solutions against each other, and the shipped rules tending to them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg import theory
from thalweg.errors import GradientError, HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Q = torch.tensor([[2.0, 0.5, 0.0], [0.5, 9.0, 1.0], [0.0, 1.0, 1.0]], dtype=torch.float64)
X0 = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
TIMES = torch.linspace(0, 4, 9, dtype=torch.float64)


def stage_at(name: str, alpha: float) -> object:
    return {
        "gradient_descent": tw.gradient_descent(),
        "nesterov_acceleration": tw.nesterov_acceleration(),
        "heavy_ball": tw.heavy_ball(beta=1 - 1.5 * math.sqrt(alpha)),
    }[name]


LIMITS: dict[str, Tensor] = {
    "gradient_descent": theory.gradient_flow(Q, X0, TIMES),
    "nesterov_acceleration": theory.nesterov_flow(Q, X0, TIMES),
    "heavy_ball": theory.heavy_ball_flow(Q, X0, TIMES, friction=1.5),
}


@pytest.mark.parametrize("name", LIMITS)
def test_the_solution_on_a_quadratic_is_the_path_that_is_integrated(name: str) -> None:
    friction = 1.5 if name == "heavy_ball" else 0.0
    path = theory.flow(lambda x: Q @ x, X0, TIMES, of=name, friction=friction)
    torch.testing.assert_close(LIMITS[name], path, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(path[0], X0)


@pytest.mark.parametrize("name", LIMITS)
def test_small_steps_tend_to_the_limit_with_an_error_of_the_order_of_the_step(name: str) -> None:
    worst: list[float] = []
    for h in (0.01, 0.005, 0.0025):  # the step in time
        alpha = h if name == "gradient_descent" else h * h
        x = X0.clone().requires_grad_()
        optimizer = tw.Optimizer([x], tw.chain(stage_at(name, alpha), tw.step(alpha)))
        away = 0.0
        for k in range(1, round(4 / h) + 1):
            x.grad = Q @ x.detach()
            optimizer.step()
            for place in (TIMES - k * h).abs().lt(h / 4).nonzero():
                away = max(away, float((x.detach() - LIMITS[name][place[0]]).norm()))
        worst.append(away)
    assert worst[0] < 0.3
    for coarse, fine in pairwise(worst):
        assert coarse / fine == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("friction", [0.0, 0.5, 2.0, 2.0 + 1e-9, 6.0])
def test_the_damped_oscillation_is_the_textbooks(friction: float) -> None:
    t = np.linspace(0, 10, 23)
    (x,) = theory.heavy_ball_flow([[1.0]], [1.0], t, friction=friction).T.numpy()
    half = friction / 2
    if half < 1:
        w = math.sqrt(1 - half**2)
        expected = np.exp(-half * t) * (np.cos(w * t) + half / w * np.sin(w * t))
    elif half < 1 + 1e-6:
        expected = np.exp(-t) * (1 + t)
    else:
        fast, slow = -half - math.sqrt(half**2 - 1), -half + math.sqrt(half**2 - 1)
        expected = (fast * np.exp(slow * t) - slow * np.exp(fast * t)) / (fast - slow)
    np.testing.assert_allclose(x, expected, rtol=1e-7, atol=1e-9)


def test_a_path_on_any_function_is_its_closed_form() -> None:
    t = [0.0, 0.5, 4.0]
    path = theory.flow(lambda x: 4 * x**3, [1.0, 0.5], t, of="gradient_descent")
    expected = [[(x**-2 + 8 * now) ** -0.5 for x in (1.0, 0.5)] for now in t]
    torch.testing.assert_close(path, torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=1e-10)
    assert theory.flow(lambda x: x, [1.0], [0.0, 0.0], of="heavy_ball").tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: theory.gradient_flow(Q, X0, [2.0, 1.0]), HyperparameterError, "it must have numbers that grow"),
        (lambda: theory.gradient_flow(Q, X0, []), HyperparameterError, "it must have numbers that grow"),
        (lambda: theory.flow(lambda x: x, X0, TIMES, of="adam"), HyperparameterError, "`of` is 'adam'; choose"),
        (lambda: theory.flow(lambda x: x[:1], X0, TIMES, of="heavy_ball"), GradientError, r"returned the shape \(1,\)"),
        (lambda: theory.flow(lambda x: -(x**2), [1.0], [2.0], of="gradient_descent"), GradientError, "has no end"),
        (lambda: theory.heavy_ball_flow(Q, X0, TIMES, friction=-1.0), HyperparameterError, "`friction` is -1.0"),
    ],
)
def test_what_does_not_fit_says_so(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
