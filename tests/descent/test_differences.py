"""Hessian products by differences of gradients, where a function can be differentiated once and not twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import scipy.optimize
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

import thalweg as tw
from descent.more_garbow_hillstrom import PROBLEMS
from thalweg.descent import Status, methods
from thalweg.descent.objective import Objective
from thalweg.errors import DescentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SECOND_ORDER = [name for name, method in methods().items() if method.derivatives == 2]
ROSENBROCK = PROBLEMS[0]


class Marked(torch.autograd.Function):
    """Rosenbrock's function, whose backward pass says that it cannot be differentiated."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return ROSENBROCK(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: object, weight: Tensor) -> Tensor:
        return weight * torch.from_numpy(scipy.optimize.rosen_der(ctx.saved_tensors[0].numpy()))


class Unmarked(torch.autograd.Function):
    """The same, whose backward pass does not even say so."""

    forward = Marked.forward

    @staticmethod
    def backward(ctx: object, weight: Tensor) -> Tensor:
        return weight * torch.from_numpy(scipy.optimize.rosen_der(ctx.saved_tensors[0].detach().numpy()))


@pytest.mark.parametrize("function", [Marked, Unmarked])
@pytest.mark.parametrize("method", [name for name in SECOND_ORDER if name != "newton"])
def test_a_function_that_cannot_be_differentiated_twice_is_minimised_and_the_message_says_how(
    method: str, function: type[Marked]
) -> None:
    calls = 0

    def f(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return function.apply(x)

    exact = tw.minimize(ROSENBROCK, ROSENBROCK.x0, method)
    ours = tw.minimize(f, ROSENBROCK.x0, method)
    assert ours.success, ours.message
    assert "Hessian products are differences of gradients: " in ours.message
    torch.testing.assert_close(ours.x, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-4)
    assert (ours.nfev, ours.nhvp) == (calls, 0)
    assert ours.nfev == pytest.approx(exact.nfev + exact.nhvp, rel=0.1)
    for budget in (1, 2, 3, 10, 25):
        calls = 0
        short = tw.minimize(f, ROSENBROCK.x0, method, max_eval=budget)
        assert short.nfev == calls <= budget
        assert short.status is Status.BUDGET_SPENT


@pytest.mark.parametrize("method", ["newton_cg", "steihaug", "dogleg"])
def test_gradients_that_are_taken_apart_from_the_function_count(method: str) -> None:
    points: dict[str, list[list[float]]] = {"f": [], "g": []}

    def f(x: Tensor) -> float:
        points["f"].append(x.tolist())
        return float(scipy.optimize.rosen(x.numpy()))

    def gradient(x: Tensor) -> NDArray[np.float64]:
        points["g"].append(x.tolist())
        return scipy.optimize.rosen_der(x.numpy())

    result = tw.minimize(f, ROSENBROCK.x0, method, gradient=gradient)
    assert result.success
    assert result.message.endswith("Hessian products are differences of gradients: `gradient` leaves torch")
    assert (result.nfev, result.njev, result.nhvp) == (len(points["f"]), len(points["g"]), 0)
    for budget in (1, 4, 9, 30):
        points = {"f": [], "g": []}
        tw.minimize(f, ROSENBROCK.x0, method, gradient=gradient, max_eval=budget)
        assert len(points["f"]) + sum(x not in points["f"] for x in points["g"]) <= budget


@pytest.mark.parametrize(("dtype", "tolerances"), [(torch.float64, (1e-6, 1e-8)), (torch.float32, (2e-2, 2e-3))])
def test_differences_are_products_to_the_rounding_that_theory_says(
    dtype: torch.dtype, tolerances: tuple[float, float]
) -> None:
    for problem in (ROSENBROCK, PROBLEMS[6], PROBLEMS[13], PROBLEMS[29]):
        x = torch.tensor(problem.x0, dtype=dtype)
        v = torch.linspace(-1e-3, 3e3, len(x), dtype=dtype)
        expected = torch.autograd.functional.hessian(problem, x.double()) @ v.double()
        for points, tolerance in zip(("2-point", "3-point"), tolerances, strict=True):
            here = Objective(problem, x.shape, product=points).at(x)
            error = torch.linalg.vector_norm(here.product(v) - expected) / torch.linalg.vector_norm(expected)
            assert error < tolerance


def test_differences_may_be_asked_for_and_three_points_cost_two_gradients() -> None:
    exact = tw.minimize(ROSENBROCK, ROSENBROCK.x0, "newton_cg")
    for points, cost in (("2-point", 1), ("3-point", 2)):
        result = tw.minimize(ROSENBROCK, ROSENBROCK.x0, "newton_cg", hessian_product=points)
        assert result.success
        assert result.message.count("differences") == 0
        assert (result.nfev, result.nhvp) == (pytest.approx(exact.nfev + cost * exact.nhvp, rel=0.05), 0)
    with pytest.raises(DescentError, match="`hessian_product` is '4-point'; give a function of x and v, '2-point' or"):
        tw.minimize(ROSENBROCK, ROSENBROCK.x0, "newton_cg", hessian_product="4-point")


def test_a_linear_function_has_no_curvature_and_no_remark() -> None:
    result = tw.minimize(lambda x: x.sum(), [1.0, 2.0], "newton_cg")
    assert (result.status, result.nhvp) == (Status.UNBOUNDED, 0)
    assert "differences" not in result.message


def test_an_operation_without_a_second_derivative_is_named() -> None:
    keys = torch.linspace(-1, 1, 8 * 16).reshape(1, 1, 8, 16).sin()

    def attention(x: Tensor) -> Tensor:
        query = x.reshape(1, 1, 8, 16)
        return (torch.nn.functional.scaled_dot_product_attention(query, keys, keys) - 0.1).square().sum()

    result = tw.minimize(attention, torch.zeros(128), "newton_cg", tol=1e-3)
    assert "differences of gradients: derivative for aten::_scaled_dot_product" in result.message
    assert result.fun < float(attention(torch.zeros(128)))
