"""On a quadratic ½xᵀQx − bᵀx theory says where each method is after how many steps."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

import thalweg as tw
from thalweg.descent import (
    Result,
    bfgs,
    brent,
    dai_yuan,
    damped_newton,
    descent,
    fletcher_reeves,
    gradient_norm,
    hager_zhang,
    hestenes_stiefel,
    iterations,
    lbfgs,
    newton,
    newton_cg,
    normalised_steepest,
    polak_ribiere,
    preconditioned,
    saddle_free_newton,
    steepest,
)

if TYPE_CHECKING:
    from thalweg.descent.directions import Direction

GENERATOR = torch.Generator().manual_seed(4)
BASIS = torch.linalg.qr(torch.randn(6, 6, generator=GENERATOR, dtype=torch.float64))[0]
Q = BASIS @ torch.diag(torch.tensor([1.0, 2, 5, 9, 20, 50], dtype=torch.float64)) @ BASIS.T
B = torch.randn(6, generator=GENERATOR, dtype=torch.float64)
MINIMUM = torch.linalg.solve(Q, B)
X0 = torch.randn(6, generator=GENERATOR, dtype=torch.float64)


def quadratic(x: Tensor) -> Tensor:
    return 0.5 * x @ Q @ x - B @ x


def path(direction: Direction, step_size: object, steps: int) -> tuple[list[Tensor], Result]:
    points = [X0]
    method = descent(direction=direction, step_size=step_size, stop=gradient_norm(1e-12) | iterations(steps))
    return points, tw.minimize(quadratic, X0, method, callback=points.append)


@pytest.mark.parametrize("direction", [newton(), damped_newton(), saddle_free_newton()], ids=repr)
@pytest.mark.parametrize("step_size", [1.0, None], ids=["fixed", "searched"])
def test_newton_solves_a_quadratic_in_one_step(direction: Direction, step_size: float | None) -> None:
    points, result = path(direction, step_size, 1)
    assert len(points) == 2
    torch.testing.assert_close(result.x, MINIMUM, rtol=1e-10, atol=1e-12)


def test_newton_by_conjugate_gradients_is_newton_when_it_may_go_on() -> None:
    near = MINIMUM + 1e-8 * X0  # where √‖g‖ asks for an accurate direction
    result = tw.minimize(quadratic, near, descent(direction=newton_cg(), step_size=1.0, stop=iterations(1)))
    assert torch.linalg.vector_norm(result.x - MINIMUM) < 1e-3 * torch.linalg.vector_norm(near - MINIMUM)
    assert 2 <= result.nhvp <= 6


@pytest.mark.parametrize(
    "direction",
    [fletcher_reeves(), polak_ribiere(), hestenes_stiefel(), dai_yuan(), hager_zhang(eta=1e-9), bfgs(), lbfgs()],
    ids=repr,
)
def test_with_exact_search_conjugate_directions_need_n_steps_and_go_one_way(direction: Direction) -> None:
    points, result = path(direction, brent(), 6)
    assert torch.linalg.vector_norm(result.jac) < 1e-8
    steps = torch.stack([after - before for before, after in pairwise(points)])
    steps = steps / torch.linalg.vector_norm(steps, dim=1, keepdim=True)
    conjugacy = steps @ Q @ steps.T
    torch.testing.assert_close(conjugacy, torch.diag(conjugacy.diagonal()), rtol=0, atol=1e-6)
    reference, _ = path(fletcher_reeves(), brent(), 6)
    torch.testing.assert_close(torch.stack(points[:6]), torch.stack(reference[:6]), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    "direction", [steepest(), normalised_steepest(), preconditioned(torch.arange(1.0, 7))], ids=repr
)
def test_with_exact_search_each_gradient_is_orthogonal_to_the_direction_before(direction: Direction) -> None:
    points, _ = path(direction, brent(), 8)
    for before, after in pairwise(points):
        d, g = after - before, Q @ after - B
        assert abs(float(d @ g)) < 1e-10 * float(d.norm() * g.norm())


def test_gradient_descent_at_its_best_rate_contracts_as_the_condition_says() -> None:
    points, _ = path(steepest(), 2 / (1 + 50), 200)
    errors = [float(torch.linalg.vector_norm(point - MINIMUM)) for point in points]
    ratios = np.array(errors[1:]) / np.array(errors[:-1])
    assert ratios.max() <= 49 / 51 + 1e-12
    assert ratios[-1] == pytest.approx(49 / 51, rel=1e-3)


def test_the_inverse_hessian_is_the_best_preconditioner() -> None:
    for D in (torch.linalg.inv(Q), torch.linalg.inv(Q).numpy(), lambda g: torch.linalg.solve(Q, g)):
        _, result = path(preconditioned(D), 1.0, 1)
        torch.testing.assert_close(result.x, MINIMUM, rtol=1e-10, atol=1e-12)


def test_newtons_damping_tends_to_the_gradient_over_lambda() -> None:
    g = Q @ X0 - B
    for damping in (1e4, 1e6):
        points, _ = path(damped_newton(damping), 1.0, 1)
        torch.testing.assert_close((X0 - points[1]) * damping, g, rtol=100 / damping, atol=100 / damping)


def test_plain_newton_is_drawn_to_the_saddle_which_saddle_free_newton_leaves() -> None:
    def saddle(x: Tensor) -> Tensor:
        return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 4

    points: list[Tensor] = []
    plain = tw.minimize(saddle, [1.0, 0.1], descent(direction=newton(), step_size=1.0), callback=points.append)
    torch.testing.assert_close(points[-1], torch.zeros(2, dtype=torch.float64), atol=1e-5, rtol=0)
    assert plain.fun < 0  # of a point that it left again
    assert not plain.success
    assert plain.message.endswith("but at a point higher than an earlier one, which is returned")
    free = tw.minimize(saddle, [1.0, 0.1], "saddle_free_newton")
    assert free.fun == pytest.approx(-1.0, abs=1e-8)
    searched = tw.minimize(saddle, [1.0, 0.1], "newton")
    assert not searched.success
    assert "no descent direction" in searched.message
    assert "Hessian is not positive definite" in searched.message
