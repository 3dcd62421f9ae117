"""Functions that no descent can be right about: each is named, and the best point so far is handed back."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import thalweg as tw
from descent.more_garbow_hillstrom import PROBLEMS
from thalweg.descent import Descent, Status, descent, iterations, methods, newton, preconditioned, steepest
from thalweg.errors import DescentError, GradientError

DESCENTS = [n for n, method in methods().items() if isinstance(method, Descent) and not method.needs_outputs]

LINE_SEARCHES = ("steepest", "cg", "fletcher_reeves", "hestenes_stiefel", "dai_yuan", "bfgs", "lbfgs", "newton_cg")
MOST = 3000


def kinked(x: Tensor) -> Tensor:
    return torch.maximum(x[0] ** 2 + x[1], -x[0] + 3 * x[1].abs())


def defined_in_part(x: Tensor) -> Tensor:
    return torch.where(x[0] > 0.5, (x**2).sum() + 0.1 * x[0], math.nan)


@pytest.mark.parametrize("method", DESCENTS)
@pytest.mark.parametrize(
    "f",
    [
        kinked,
        defined_in_part,
        lambda x: x.sum(),
        lambda x: -(x**2).sum(),
        lambda x: x.log().sum(),
        lambda x: x.abs().sum() + (x[0] - x[1]).abs(),
        lambda x: x.floor().sum() + 0.1 * x.sum(),
        lambda x: 1e200 * (x**2).sum(),
        lambda x: (x**2).sum() + 0.1 * torch.rand(()),
    ],
    ids=["kink", "part", "linear", "concave", "log", "abs", "stairs", "huge", "noise"],
)
def test_every_method_ends_with_the_best_point_and_a_reason(method: str, f: object) -> None:
    torch.manual_seed(0)
    values: list[float] = []

    def seen(x: Tensor) -> tuple[Tensor, Tensor]:
        outputs = 1 * x  # for Gauss–Newton's methods, which are Newton's then
        value = f(outputs)
        values.append(float(value.detach()))
        return value, outputs

    result = tw.minimize(seen, [1.3, 0.7], method, max_eval=MOST)
    assert len(values) <= MOST
    assert result.message
    assert math.isfinite(result.fun)
    assert bool(result.x.isfinite().all())
    if not result.success:
        lowest = min(value for value in values if math.isfinite(value))
        aside = 0.1 if result.status is Status.UNFIT_FUNCTION else 0.0  # of what a diagnosis has looked at
        assert result.fun <= lowest + 1e-3 * abs(lowest) + aside


@pytest.mark.parametrize("method", LINE_SEARCHES)
def test_a_function_without_a_lower_bound_is_named(method: str) -> None:
    for f in (lambda x: x.sum(), lambda x: -(x**2).sum(), lambda x: x.log().sum()):
        result = tw.minimize(f, [1.3, 0.7], method)
        if method == "newton_cg" and result.status is Status.NOT_FINITE:
            continue  # of the logarithm, close to its pole
        assert result.status is Status.UNBOUNDED
        assert "not bounded below" in result.message


@pytest.mark.parametrize("method", ["steepest", "cg", "bfgs", "lbfgs"])
def test_a_kink_is_named(method: str) -> None:
    result = tw.minimize(kinked, [2.0, 1.5], method)
    assert result.status is Status.UNFIT_FUNCTION
    assert "not smooth here, or its gradient is wrong" in result.message


def test_a_kink_at_which_the_value_is_zero_is_named_with_the_budget() -> None:
    result = tw.minimize(lambda x: x.abs().sum() + (x[0] - x[1]).abs(), [1.3, 0.7], "bfgs")
    assert result.fun < 1e-100
    assert result.status is Status.BUDGET_SPENT
    assert "the budget of 400 iterations is spent; the function is not smooth here" in result.message


@pytest.mark.parametrize("method", ["bfgs", "cg", "hager_zhang"])
def test_a_wrong_gradient_is_named(method: str) -> None:
    result = tw.minimize(
        lambda x: (x**2).sum(), [1.0, 2.0], method, gradient=lambda x: torch.stack((2 * x[0] + 5, -2 * x[1]))
    )
    assert result.status is Status.UNFIT_FUNCTION
    assert "its gradient is wrong" in result.message
    assert result.fun == 5


def test_a_function_that_is_not_deterministic_is_named() -> None:
    torch.manual_seed(0)
    noisy = tw.minimize(lambda x: (x**4).sum() + 1e-3 * torch.rand(()), [1.0, 2.0], "bfgs", tol=1e-12)
    assert noisy.status is Status.UNFIT_FUNCTION
    assert "not deterministic: at the same point it was" in noisy.message


def test_the_edge_of_where_a_function_is_finite_is_named() -> None:
    for method in ("bfgs", "cg", "hager_zhang", "newton", "steihaug"):
        result = tw.minimize(defined_in_part, [2.0, 1.0], method)
        assert result.status is Status.NOT_FINITE
        assert "close by, the function is not finite" in result.message
        assert result.fun == pytest.approx(0.3, rel=0.5)


def test_a_start_that_is_not_finite_is_an_error_or_its_own_result() -> None:
    with pytest.raises(DescentError, match="there is no descent from x0: the function is not finite at x0"):
        tw.minimize(lambda x: (x - 2).sqrt().sum(), [1.0])
    result = tw.minimize(lambda x: x.sqrt().sum(), [0.0])
    assert (result.status, result.message) == (Status.NOT_FINITE, "the gradient is not finite at x0")
    with pytest.raises(DescentError, match="x0 has a NaN or an infinity"):
        tw.minimize(lambda x: x.sum(), [math.nan])


def test_a_direction_that_does_not_descend_is_named() -> None:
    result = tw.minimize(
        lambda x: (x**2).sum(), [1.0, 2.0], descent(direction=preconditioned(torch.tensor([1.0, -3.0])))
    )
    assert result.status is Status.NO_DIRECTION
    assert result.message == ("the direction is no descent direction, its slope is 44; its D must be positive definite")
    nan = tw.minimize(lambda x: (x**2).sum(), [1.0], descent(direction=preconditioned(lambda g: g * math.nan)))
    assert (nan.status, nan.message) == (Status.NOT_FINITE, "the direction has a NaN or an infinity in it")


def test_singular_and_indefinite_hessians_are_named_or_mastered() -> None:
    def flat_valley(x: Tensor) -> Tensor:
        return (x[0] + x[1]) ** 2 + (x[0] + x[1]) ** 4

    singular = tw.minimize(flat_valley, [2.0, 1.0], "newton")
    assert (singular.status, singular.nit) == (Status.NO_DIRECTION, 0)
    assert "the Hessian is singular; use `damped_newton`" in singular.message
    for method in ("damped_newton", "saddle_free_newton", "newton_cg", "dogleg", "steihaug"):
        assert tw.minimize(flat_valley, [2.0, 1.0], method).success
        waves = tw.minimize(lambda x: torch.cos(x).sum(), [0.3, -0.4], method)  # from near a maximum
        assert waves.success
        assert waves.fun == pytest.approx(-2.0)


def test_nan_derivatives_are_named() -> None:
    result = tw.minimize(lambda x: (x**2).sum(), [1.0], "newton", hessian=lambda _: torch.full((1, 1), math.nan))
    assert (result.status, result.message) == (Status.NOT_FINITE, "the Hessian has a NaN or an infinity in it")
    result = tw.minimize(lambda x: (x**2).sum(), [1.0], "newton_cg", hessian_product=lambda _, v: v * math.nan)
    assert (result.status, result.message) == (Status.NOT_FINITE, "a Hessian product has a NaN or an infinity in it")
    big = tw.minimize(lambda x: 1e200 * (x**2).sum(), [1.0], "bfgs")
    assert (big.status, big.message) == (Status.NOT_FINITE, "the slope overflows; scale the function down")
    wrong = tw.minimize(lambda x: (x**2).sum(), [1.0], descent(direction=steepest(), stop=iterations(0)))
    assert wrong.nit == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"f": lambda x: x}, r"the function returned a tensor of shape \(2,\); what is minimised is one number"),
        ({"f": lambda x: (x * 1j).sum()}, "the function returned a complex number"),
        ({"f": lambda _: None}, "the function returned None; what is minimised is one number"),
        ({"f": lambda x: float(x.detach().sum())}, "does not depend on its point by torch's operations"),
        ({"gradient": lambda x: x[:1]}, r"`gradient` returned the shape \(1,\); it must be that of the point, \(2,\)"),
        ({"hessian": lambda x: x, "method": "newton"}, r"`hessian` returned the shape \(2,\)"),
        ({"hessian_product": lambda _, v: v[:1], "method": "newton_cg"}, "`hessian_product` returned the shape"),
    ],
)
def test_derivatives_that_do_not_fit_are_errors(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(GradientError, match=message):
        tw.minimize(**({"f": lambda x: (x**2).sum(), "x0": [1.0, 2.0]} | arguments))


def test_newton_with_a_plain_step_does_not_ask_whether_it_descends() -> None:
    points: list[Tensor] = []
    method = descent(direction=newton(), step_size=1.0)
    result = tw.minimize(lambda x: torch.cos(x).sum(), [0.3], method, callback=points.append)
    assert abs(float(points[-1])) < 1e-6  # the maximum at 0
    assert (result.success, result.status, float(result.x)) == (False, Status.NO_LOWER_POINT, 0.3)


@pytest.mark.parametrize("method", [name for name in DESCENTS if name != "newton"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_method_names_a_function_without_a_lower_bound(method: str, dtype: torch.dtype) -> None:
    x0 = torch.tensor([1.3, 0.7], dtype=dtype)
    for f in (lambda x: x.sum(), lambda x: -(x**2).sum(), lambda x: x[0] ** 2 - x[1] ** 2):
        result = tw.minimize(f, x0, method)
        assert "not bounded below" in result.message
        assert result.status is (Status.BUDGET_SPENT if "budget" in result.message else Status.UNBOUNDED)


@pytest.mark.parametrize("method", DESCENTS)
def test_a_slope_that_underflows_is_not_taken_for_a_wrong_direction(method: str) -> None:
    result = tw.minimize(lambda x: (x**4).sum(), [3.0, 2.0], method, stop=iterations(3000))
    assert result.status in {Status.NO_LOWER_POINT, Status.CONVERGED}
    assert result.fun < 1e-30


def test_a_function_may_change_what_it_is_given() -> None:
    def f(x: Tensor) -> Tensor:
        return x.sub_(1).square().sum()

    def gradient(x: Tensor) -> Tensor:
        return x.sub_(1).mul_(2)

    for given in ({}, {"gradient": gradient}):
        result = tw.minimize(f, [3.0, 2.0], **given)
        torch.testing.assert_close(result.x, torch.ones(2, dtype=torch.float64))
    result = tw.minimize(f, [3.0, 2.0], "steihaug", hessian_product=lambda x, v: v.mul_(2) + x.zero_())
    torch.testing.assert_close(result.x, torch.ones(2, dtype=torch.float64))


def test_a_scale_of_the_function_does_not_matter_to_newtons_method() -> None:
    def rosenbrock(x: Tensor) -> Tensor:
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    for method in ("damped_newton", "newton_cg", "dogleg", "steihaug"):
        result = tw.minimize(lambda x: 1e-17 * rosenbrock(x), [-1.2, 1.0], method, tol=1e-22)
        assert result.success, f"{method}: {result.message}"


def test_a_slope_out_of_all_proportion_does_not_end_hager_and_zhangs_search() -> None:
    result = tw.minimize(PROBLEMS[2], PROBLEMS[2].x0, "hager_zhang")  # exp(-x) overflows on the way
    assert result.success, result.message


def test_a_step_that_was_refused_is_not_evaluated_again() -> None:
    seen: list[tuple[float, ...]] = []

    def f(x: Tensor) -> Tensor:
        seen.append(tuple(x.tolist()))
        return torch.where(x[0] < 0.5, x.square().sum() + 10, x[0].square().sum() + (x[1] - 1) ** 2)

    for method in ("dogleg", "steihaug"):
        seen.clear()
        tw.minimize(f, [1.0, 1.5], method, radius=1e6, max_iter=2)
        assert len(set(seen)) == len(seen)


def test_after_a_refused_step_products_are_not_computed_again() -> None:
    asked: list[tuple[list[float], list[float]]] = []

    def product(x: Tensor, v: Tensor) -> Tensor:
        asked.append((x.tolist(), v.tolist()))
        return torch.autograd.functional.hvp(PROBLEMS[0], x, v)[1]

    result = tw.minimize(PROBLEMS[0], PROBLEMS[0].x0, "steihaug", hessian_product=product)
    assert result.success
    assert result.nfev > result.nit + 1  # some steps were refused
    assert all(one not in asked[:place] for place, one in enumerate(asked))
