"""`minimize` has SciPy's manners."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import Tensor

import thalweg as tw
from thalweg import surfaces
from thalweg.descent import (
    Descent,
    Intermediate,
    Status,
    armijo,
    bfgs,
    descent,
    dogleg,
    gradient_norm,
    hager_zhang,
    lbfgs,
    methods,
    polak_ribiere,
    preconditioned,
    strong_wolfe,
    trust_region,
)
from thalweg.errors import DescentError, HyperparameterError, ThalwegError, UnknownNameError

DESCENTS = [n for n, method in methods().items() if isinstance(method, Descent) and not method.needs_outputs]

X0 = np.array([-1.2, 1.0])


def rosenbrock(x: Tensor) -> Tensor:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def test_the_result_has_scipys_names_and_numbers() -> None:
    ours = tw.minimize(rosenbrock, X0, "bfgs")
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen, X0, method="BFGS", jac=scipy.optimize.rosen_der, options={"gtol": 1e-5}
    )
    assert (ours.nit, ours.nfev, ours.njev, ours.nhvp) == (theirs.nit, theirs.nfev, theirs.njev, 0)
    assert (ours.success, int(ours.status)) == (theirs.success, theirs.status)
    assert ours.fun == float(rosenbrock(ours.x))
    torch.testing.assert_close(ours.x, torch.from_numpy(theirs.x), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(ours.jac, torch.func.grad(rosenbrock)(ours.x))
    assert ours.grad is ours.jac
    assert [line.split(":")[0].strip() for line in str(ours).splitlines()[:3]] == ["message", "success", "status"]


@pytest.mark.parametrize("method", DESCENTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_shape_is_kept_and_both_dtypes(method: str, dtype: torch.dtype) -> None:
    target = torch.arange(6, dtype=dtype).reshape(2, 3)

    def f(x: Tensor) -> tuple[Tensor, Tensor]:
        assert x.shape == (2, 3)
        assert x.dtype == dtype
        residuals = x - target
        return (torch.cosh(residuals) - 1).sum() + 0.1 * residuals.sum() ** 2, residuals

    x0 = torch.ones(2, 3, dtype=dtype)
    result = tw.minimize(f, x0, method, tol=1e-3)
    assert result.success, result.message
    assert result.x.dtype == dtype
    torch.testing.assert_close(result.x, target, rtol=0, atol=2e-3)
    assert torch.equal(x0, torch.ones(2, 3, dtype=dtype))


def test_numbers_lists_and_arrays_are_starts_in_float64_unless_they_say_otherwise() -> None:
    def f(x: Tensor) -> Tensor:
        return ((x - 2) ** 2).sum()

    for x0, shape in ((1, ()), ([1, 2], (2,)), ((1.0, 2.0), (2,)), (np.ones((2, 2)), (2, 2)), (np.arange(2), (2,))):
        result = tw.minimize(f, x0)
        assert (result.x.dtype, result.x.shape) == (torch.float64, shape)
        assert result.fun < 1e-9
    assert tw.minimize(f, np.ones(2, np.float32)).x.dtype == torch.float32
    backwards = np.arange(3)[::-1]
    backwards.flags.writeable = False
    assert tw.minimize(f, backwards).fun < 1e-9
    leaf = torch.ones(2, requires_grad=True)
    assert not tw.minimize(f, leaf).x.requires_grad
    assert leaf.grad is None


def test_the_callers_grad_mode_and_graphs_do_not_matter() -> None:
    weight = torch.tensor(2.0, requires_grad=True)
    with torch.no_grad():
        result = tw.minimize(lambda x: weight * ((x - 3) ** 2).sum()[None, None], [0.0, 1.0], "newton_cg")
    assert result.success
    assert not result.x.requires_grad
    assert not result.jac.requires_grad
    assert weight.grad is None
    with torch.inference_mode():
        result = tw.minimize(lambda x: ((x - 3) ** 2).sum(), torch.zeros(2), "newton_cg")
    assert result.success
    assert not result.x.is_inference()


def test_a_callback_is_told_of_every_step_in_either_way() -> None:
    points: list[Tensor] = []
    told: list[Intermediate] = []
    plain = tw.minimize(rosenbrock, X0, callback=points.append)

    def tell(intermediate_result: Intermediate) -> None:
        told.append(intermediate_result)
        intermediate_result.x.zero_()  # a copy

    named = tw.minimize(rosenbrock, X0, callback=tell)
    assert len(points) == len(told) == plain.nit == named.nit
    assert [one.nit for one in told] == list(range(1, plain.nit + 1))
    assert [one.fun for one in told] == [float(rosenbrock(x)) for x in points]
    assert told[-1].nfev == named.nfev
    assert torch.equal(points[-1], plain.x)
    assert torch.equal(plain.x, named.x)


def test_a_callback_may_stop_the_descent() -> None:
    def stop(x: Tensor) -> None:
        if rosenbrock(x) < 1:
            raise StopIteration

    result = tw.minimize(rosenbrock, X0, callback=stop)
    assert (result.success, result.status, result.message) == (
        False,
        Status.STOPPED,
        "the callback raised StopIteration",
    )
    assert 0 < result.fun < 1


def test_derivatives_may_be_given() -> None:
    calls: list[str] = []

    def gradient(x: Tensor) -> np.ndarray:
        calls.append("gradient")
        return scipy.optimize.rosen_der(x.numpy())

    def hessian(x: Tensor) -> np.ndarray:
        calls.append("hessian")
        return scipy.optimize.rosen_hess(x.numpy())

    def product(x: Tensor, v: Tensor) -> np.ndarray:
        calls.append("product")
        return scipy.optimize.rosen_hess_prod(x.numpy(), v.numpy())

    def plain(x: Tensor) -> float:
        return float(scipy.optimize.rosen(x.numpy()))

    for method in ("bfgs", "newton_cg", "damped_newton", "steihaug", "scaled_cg"):
        autograd = tw.minimize(rosenbrock, X0, method)
        for given in ({"hessian": hessian}, {"hessian_product": product}):
            calls.clear()
            result = tw.minimize(plain, X0, method, gradient=gradient, **given)
            assert calls.count("gradient") == result.njev
            assert calls.count("hessian") <= result.nit + 1  # once a point, however many products are asked for
            assert abs(result.nfev - autograd.nfev) <= 3
            assert result.nhvp == pytest.approx(autograd.nhvp, abs=6)
            torch.testing.assert_close(result.x, autograd.x, rtol=1e-3, atol=1e-3)
    by_torch = tw.minimize(rosenbrock, X0, "newton_cg", gradient=torch.func.grad(rosenbrock))
    assert by_torch.nhvp > 0  # the gradient was differentiated


@pytest.mark.parametrize("name", surfaces.catalogue())
@pytest.mark.parametrize("method", ["bfgs", "cg", "hager_zhang", "damped_newton", "steihaug"])
def test_on_a_surface_a_descent_ends_in_a_critical_point_below_its_start(name: str, method: str) -> None:
    surface = surfaces.get(name)
    for start in surface.starts:
        result = tw.minimize(surface, start, method, tol=1e-6, max_iter=2000)
        if name == "saddle" or (name, start) == ("beale", (-3.0, 3.0)):
            assert not result.success or result.fun < float(surface(start))  # as their remarks say, it runs off
            continue
        assert result.success, result.message
        assert result.fun <= float(surface(start))
        within = all(low <= x <= high for x, (low, high) in zip(result.x.tolist(), surface.window, strict=True))
        if within and not surface.remark.startswith("Only"):
            away = [float((result.x - torch.tensor(point.x)).norm()) for point in surface.critical_points]
            assert min(away) < 1e-3 or len(surface.critical_points) < 10


def test_options_change_the_parts_of_a_named_method() -> None:
    result = tw.minimize(rosenbrock, X0, "lbfgs", memory=3, c2=0.5, tol=1e-8)
    composed = descent(direction=lbfgs(memory=3), step_size=strong_wolfe(c2=0.5), stop=gradient_norm(1e-8))
    assert str(result) == str(tw.minimize(rosenbrock, X0, composed))
    searched = tw.minimize(rosenbrock, X0, "bfgs", step_size=armijo(), stop=gradient_norm(1e-8))
    assert str(searched) == str(
        tw.minimize(rosenbrock, X0, descent(direction=bfgs(), step_size=armijo(), stop=gradient_norm(1e-8)))
    )


def test_parts_print_as_they_are_typed() -> None:
    method = descent(
        direction=polak_ribiere(restart=5), step_size=strong_wolfe(c1=1e-3, c2=0.1), stop=gradient_norm(1e-8)
    )
    assert repr(method) == (
        "descent(direction=polak_ribiere(restart=5), step_size=strong_wolfe(c1=0.001, c2=0.1), "
        "stop=gradient_norm(1e-08))"
    )
    assert repr(hager_zhang(eta=0.4)) == "hager_zhang(eta=0.4)"


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: tw.minimize(rosenbrock, X0, "bgfs"),
            UnknownNameError,
            "there is no method `bgfs`; did you mean `bfgs`",
        ),
        (
            lambda: tw.minimize(rosenbrock, X0, "lbfgs", memroy=3),
            UnknownNameError,
            "method `lbfgs` has no option `memroy`; did you mean `memory`",
        ),
        (
            lambda: tw.minimize(rosenbrock, X0, "bfgs", bounds=[(-2, 1), (0, 2)]),
            DescentError,
            "knows no bounds; of the methods, these do",
        ),
        (lambda: tw.minimize(rosenbrock, X0, jac=True), UnknownNameError, "`jac` is SciPy's; here, it is `gradient`"),
        (
            lambda: tw.minimize(rosenbrock, X0, descent(direction=bfgs()), tol=1e-3),
            DescentError,
            r"`tol` or `stop` cannot change descent",
        ),
        (
            lambda: tw.minimize(rosenbrock, X0, descent(direction=preconditioned(lambda g: g[:1]))),
            DescentError,
            r"D makes a vector of shape \(1,\) of the gradient of 2 variables",
        ),
        (lambda: tw.minimize(rosenbrock, X0, bfgs()), DescentError, r"the method is bfgs\(\); give the name of one"),
        (
            lambda: tw.minimize(rosenbrock, X0, descent(direction=bfgs()), memory=3),
            DescentError,
            "`memory` cannot change descent",
        ),
        (lambda: tw.minimize(rosenbrock, X0, tol=1.0, stop=gradient_norm()), DescentError, "`tol` and `stop` both"),
        (lambda: tw.minimize(rosenbrock, "here"), DescentError, "x0 is 'here', which makes no tensor"),
        (lambda: tw.minimize(rosenbrock, []), DescentError, r"x0 has the shape \(0,\), and no element"),
        (lambda: tw.minimize(rosenbrock, torch.ones(2).half()), DescentError, "x0 has the dtype torch.float16"),
        (lambda: tw.minimize(rosenbrock, torch.ones(2) * 1j), DescentError, "x0 is complex"),
        (lambda: tw.minimize(surfaces.get("beale"), [1.0]), ThalwegError, "surface `beale` has 2 coordinates"),
        (lambda: tw.minimize(rosenbrock, X0, max_eval=0), HyperparameterError, "evaluations: `count` is 0"),
        (lambda: tw.minimize(rosenbrock, X0, max_iter=-1), HyperparameterError, "iterations: `count` is -1"),
        (lambda: tw.minimize(rosenbrock, X0, tol=-1), HyperparameterError, "gradient_norm: `tolerance` is -1"),
        (lambda: strong_wolfe(c1=0.5, c2=0.1), HyperparameterError, "c1 must be less than c2"),
        (lambda: lbfgs(memory=0), HyperparameterError, "lbfgs: `memory` is 0; it must be a whole number, 1 or more"),
        (lambda: descent(direction="bfgs"), DescentError, "'bfgs' is no direction"),
        (lambda: descent(direction=bfgs(), step_size=0.0), HyperparameterError, "descent: `step_size` is 0.0"),
        (lambda: descent(direction=bfgs(), step_size="long"), HyperparameterError, "descent: `step_size` is 'long'"),
        (lambda: descent(direction=bfgs(), step_size=armijo), DescentError, r"write `armijo\(\)`"),
        (lambda: descent(direction=bfgs(), stop=100), DescentError, "100 is no stopping rule"),
        (lambda: descent(direction=dogleg(), step_size=armijo()), DescentError, r"write `step_size=trust_region\(\)`"),
        (lambda: descent(direction=bfgs(), step_size=trust_region()), DescentError, "cannot keep to a trust region"),
        (lambda: preconditioned(3), DescentError, r"preconditioned\(3\): D must be a tensor"),
        (
            lambda: tw.minimize(rosenbrock, X0, descent(direction=preconditioned(torch.ones(3)))),
            DescentError,
            r"D has the shape \(3,\); for 2 variables it must be \(2,\) or \(2, 2\)",
        ),
    ],
)
def test_what_does_not_fit_says_so(call: object, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_thalweg_alone_loads_no_torch_for_it() -> None:
    command = "import sys, thalweg; thalweg.descent if 'torch' in sys.modules else print('light')"
    found = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "light"
