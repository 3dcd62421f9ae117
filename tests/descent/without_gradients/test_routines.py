"""Laws of all methods that are run whole: budgets, the best point, seeds, bounds, and functions that are unfit."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.optimize
import torch
from scipy.optimize import Bounds
from torch import Tensor

import thalweg as tw
from thalweg import surfaces
from thalweg.descent import (
    Descent,
    Intermediate,
    Routine,
    Status,
    cma_es,
    differential_evolution,
    evaluations,
    genetic_algorithm,
    gradient_norm,
    methods,
    metropolis,
    multi_start,
    nelder_mead,
    openai_es,
    steepest,
    step_length,
    value_below,
    value_change,
)
from thalweg.errors import DescentError, HyperparameterError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable

ROUTINES = {name: method for name, method in methods().items() if isinstance(method, Routine)}
DRAWING = [name for name, method in ROUTINES.items() if hasattr(method, "seed")]
BOUNDED = [name for name, method in ROUTINES.items() if method.bounds != "refused" and name != "multi_start"]
BOX = [(-3.0, 4.0), (-2.0, 5.0)]
X0 = [1.3, 0.7]


def within(name: str) -> dict[str, Any]:
    return {"bounds": BOX} if ROUTINES[name].bounds == "needed" else {}


def bowl(x: Tensor) -> Tensor:
    return (x**2).sum() + x[0] * x[1]


class Watched:
    """A function that notes where it is asked, and what it says."""

    def __init__(self, f: Callable[[Tensor], Any]) -> None:
        self.f = f
        self.points: list[Tensor] = []
        self.values: list[float] = []

    def __call__(self, x: Tensor) -> Any:  # noqa: ANN401
        value = self.f(x)
        self.points.append(x.detach().clone())
        self.values.append(float(value.detach() if isinstance(value, Tensor) else value))
        return value


@pytest.mark.parametrize("name", ROUTINES)
def test_evaluations_are_counted_right_and_never_exceed_the_budget(name: str) -> None:
    for budget in (1, 2, 7, 40):
        f = Watched(bowl)
        result = tw.minimize(f, X0, name, max_eval=budget, **within(name))
        assert result.nfev == len(f.values) <= budget
        assert result.fun == min(f.values) == float(bowl(result.x))
        assert result.success or result.status is Status.BUDGET_SPENT
        assert f.points[0].tolist() == X0
    nothing = tw.minimize(bowl, X0, name, max_iter=0, **within(name))
    assert (nothing.nfev, nothing.nit, nothing.x.tolist()) == (1, 0, X0)
    assert (nothing.status, nothing.message) == (Status.BUDGET_SPENT, "the budget of 0 iterations is spent")
    few = tw.minimize(bowl, X0, name, max_iter=2, **within(name))
    assert few.success or few.nit == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ROUTINES)
def test_shape_and_dtype_are_kept_and_the_start_left_alone(name: str, dtype: torch.dtype) -> None:
    def f(x: Tensor) -> Tensor:
        assert (x.shape, x.dtype) == ((2, 1), dtype)
        assert x.requires_grad == bool(ROUTINES[name].derivatives)
        value = ((x - 0.5) ** 2).sum()
        if not x.requires_grad:
            x.zero_()  # as NumPy's functions may
        return value

    x0 = torch.tensor([[0.1], [1.7]], dtype=dtype)
    with torch.no_grad():
        result = tw.minimize(f, x0, name, max_eval=2000, **within(name))
    assert (result.x.shape, result.x.dtype) == ((2, 1), dtype)
    assert x0[1, 0] == torch.tensor(1.7, dtype=dtype)
    assert result.fun < (0.6 if name == "openai_es" else 0.02)  # whose steps are 0.01 long
    assert result.fun == float(((result.x - 0.5) ** 2).sum())
    assert (result.jac is None) == (ROUTINES[name].derivatives == 0)


@pytest.mark.parametrize("name", ROUTINES)
def test_a_number_of_pythons_own_will_do_where_no_gradient_is_asked_for(name: str) -> None:
    if ROUTINES[name].derivatives:
        return
    result = tw.minimize(lambda x: float(np.abs(x.numpy() - 1).sum()), X0, name, max_eval=300, **within(name))
    assert result.fun < 1


@pytest.mark.parametrize("name", DRAWING)
def test_the_seed_says_what_is_drawn_and_no_other_generator_is_touched(name: str) -> None:
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002  # that it stays so
    random.seed(3)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    runs = [Watched(bowl) for _ in range(3)]
    for run, seed in zip(runs, (1, 1, 2), strict=True):
        tw.minimize(run, X0, name, seed=seed, max_eval=60, **within(name))
    assert runs[0].values == runs[1].values
    assert runs[0].values != runs[2].values
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    assert states[2] == random.getstate()


@pytest.mark.parametrize("name", ROUTINES)
def test_a_callback_is_told_and_may_stop(name: str) -> None:
    told: list[Intermediate] = []

    def tell(intermediate_result: Intermediate) -> None:
        told.append(intermediate_result)
        if intermediate_result.nit == 3:
            raise StopIteration

    result = tw.minimize(lambda x: (x**4).sum(), [2.0, -1.5], name, callback=tell, max_eval=5000, **within(name))
    assert (result.status, result.message) == (Status.STOPPED, "the callback raised StopIteration")
    assert [one.nit for one in told] == [1, 2, 3]
    assert result.fun <= min(one.fun for one in told)
    assert told[-1].fun == float((told[-1].x ** 4).sum())
    assert (told[-1].jac is None) == (ROUTINES[name].derivatives == 0)


@pytest.mark.parametrize("name", ROUTINES)
def test_what_the_function_or_the_callback_raises_comes_out_as_it_is(name: str) -> None:
    for kind in (ValueError, TypeError, RuntimeError, StopIteration, KeyboardInterrupt):
        raised = kind("mine")

        def f(x: Tensor, raised: BaseException = raised) -> Tensor:
            if float(x[0].detach()) != X0[0]:
                raise raised
            return bowl(x)

        with pytest.raises(kind, match="mine") as caught:
            tw.minimize(f, X0, name, max_eval=500, **within(name))
        assert caught.value is raised

    def callback(_: Tensor) -> None:
        raise ValueError("of the callback")

    with pytest.raises(ValueError, match="of the callback"):
        tw.minimize(bowl, X0, name, callback=callback, max_eval=5000, **within(name))


@pytest.mark.parametrize("name", BOUNDED)
def test_no_point_is_outside_the_bounds(name: str) -> None:
    for bounds, dtype in (
        ([(0.1, 1.9), (-0.3, 0.7)], torch.float64),
        (Bounds([0.1, -0.3], [1.9, 0.7]), torch.float32),
        ([(1.3, 1.3), (-0.3, 0.7)], torch.float64),
    ):
        if name == "cma_es" and isinstance(bounds, list) and bounds[0] == (1.3, 1.3):
            continue  # for two variables or more
        f = Watched(lambda x: -((x + 1) ** 2).sum())
        result = tw.minimize(f, torch.tensor(X0, dtype=dtype), name, bounds=bounds, max_eval=400)
        low, high = (bounds.lb, bounds.ub) if isinstance(bounds, Bounds) else np.array(bounds).T
        points = torch.stack(f.points)
        assert (points >= torch.as_tensor(low.copy(), dtype=dtype)).all()
        assert (points <= torch.as_tensor(high.copy(), dtype=dtype)).all()
        assert len(points) > 1 or name == "lbfgsb"  # which may begin where it ends
        assert result.fun == min(f.values)


@pytest.mark.parametrize("name", BOUNDED)
def test_the_minimum_on_the_bounds_is_found(name: str) -> None:
    if name in {"mcmc", "random_search", "simulated_annealing"}:
        return  # which only come near
    half = [(0.5, 3.0), (-1.0, 2.0)] if ROUTINES[name].bounds == "needed" else [(0.5, None), (None, 2.0)]
    result = tw.minimize(bowl, X0, name, bounds=half, max_eval=3000)
    np.testing.assert_allclose(result.x.numpy(), [0.5, -0.25], atol=2e-3)


def test_variables_that_bounds_fix_stay_and_the_others_move() -> None:
    fixed = tw.minimize(bowl, X0, "nelder_mead", bounds=[(1.3, 1.3), (None, None)])
    np.testing.assert_allclose(fixed.x.numpy(), [1.3, -0.65], atol=1e-4)
    gradients = tw.minimize(bowl, X0, "lbfgsb", bounds=[(None, None), (0.7, 0.7)])
    np.testing.assert_allclose(gradients.x.numpy(), [-0.35, 0.7], atol=1e-6)
    assert gradients.jac is not None
    assert gradients.jac.shape == (2,)
    nothing = tw.minimize(bowl, X0, "powell", bounds=list(zip(X0, X0, strict=True)))
    assert (nothing.success, nothing.nfev, nothing.message) == (True, 1, "the bounds leave no variable free")


@pytest.mark.parametrize("name", ROUTINES)
@pytest.mark.parametrize(
    "f",
    [
        lambda x: torch.maximum(x[0] ** 2 + x[1], -x[0] + 3 * x[1].abs()),
        lambda x: torch.where(x[0] > 0.5, bowl(x), math.nan),
        lambda x: torch.where(x[0] > 0.5, bowl(x), math.inf),
        lambda x: x.sum(),
        lambda x: -bowl(x),
        lambda x: x.log().sum(),
        lambda x: x.floor().sum() + 0.1 * x.sum(),
        lambda x: 1e200 * bowl(x),
        lambda x: bowl(x) + 0.1 * torch.rand(()),
        lambda x: 0 * x.sum() + 3,
    ],
    ids=["kink", "nan", "inf", "linear", "concave", "log", "stairs", "huge", "noise", "constant"],
)
def test_every_method_ends_with_the_best_point_and_a_reason(name: str, f: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    watched = Watched(f)
    result = tw.minimize(watched, X0, name, max_eval=400, **within(name))
    assert len(watched.values) <= 400
    assert result.message
    assert result.x.isfinite().all()
    aside = 1e-3 * abs(result.fun) + 0.1 if name == "multi_start" else 0.0  # of what a diagnosis has looked at
    assert result.fun <= min(value for value in watched.values if math.isfinite(value)) + aside
    wrong = sum(not math.isfinite(value) for value in watched.values)
    if wrong and name != "multi_start":
        points = "one point" if wrong == 1 else f"{wrong} points"
        assert result.message.endswith(f"; at {points} the function was not finite")


@pytest.mark.parametrize("name", ROUTINES)
def test_a_function_that_is_finite_nowhere_is_named(name: str) -> None:
    with pytest.raises(DescentError, match=r"there is no descent from x0: .*finite"):
        tw.minimize(lambda x: x.sum() * math.nan, X0, name, max_eval=200, **within(name))


@pytest.mark.parametrize(
    "name", ["coordinate_search", "powell", "nelder_mead", "cma_es", "xnes", "snes", "multi_start"]
)
def test_a_function_without_a_lower_bound_is_named(name: str) -> None:
    for f in (lambda x: x.sum(), lambda x: -bowl(x)):
        result = tw.minimize(f, X0, name)
        assert (result.status, result.success) == (Status.UNBOUNDED, False)
        assert "not bounded below" in result.message
    ended = tw.minimize(lambda x: torch.where(x[0] > 1, bowl(x), -math.inf), X0, name)
    assert ended.status is Status.UNBOUNDED
    assert "it has become -inf" in ended.message


def test_stopping_rules_look_at_the_lowest_point_so_far() -> None:
    reached = tw.minimize(bowl, X0, "cma_es", stop=value_below(1e-3))
    assert reached.success
    assert re.fullmatch(r"the value is \S+, at most 0.001", reached.message)
    assert reached.fun <= 1e-3 < tw.minimize(bowl, X0, "cma_es", max_iter=reached.nit - 1).fun
    for stop in (value_change(1e-2), step_length(1e-1)):
        points = [torch.tensor(X0, dtype=torch.float64)]
        ended = tw.minimize(bowl, X0, "snes", stop=stop, callback=points.append)
        assert ended.success
        moves = [(a, b) for a, b in itertools.pairwise(points) if not torch.equal(a, b)]
        small = [
            float(bowl(a) - bowl(b)) <= 1e-2 if stop == value_change(1e-2) else float((a - b).abs().max()) <= 0.1
            for a, b in moves
        ]
        assert small == [False] * (len(moves) - 1) + [True]


def test_a_tolerance_is_the_methods_own() -> None:
    short = tw.minimize(bowl, X0, "nelder_mead", tol=1e-7)
    assert str(short) == str(tw.minimize(bowl, X0, nelder_mead(xatol=1e-7, fatol=1e-7)))
    assert short.fun < tw.minimize(bowl, X0, "nelder_mead").fun


def test_from_several_starts_the_lowest_minimum_is_found() -> None:
    surface = surfaces.get("himmelblau")
    found = tw.minimize(surface, [0.0, 0.0], "multi_start", spread=3.0)
    assert found.success
    assert found.message.startswith("of 10 starts 10 have met a stopping rule; of the lowest: the gradient's norm is")

    def f(x: Tensor) -> Tensor:
        return (x**2).sum() - 10 * torch.cos(2 * math.pi * x).sum() + 20

    box = [(-3.0, 3.0)] * 2
    rng = np.random.default_rng(3)
    starts = [np.array([2.2, -1.8])]
    for _ in range(19):
        rng.standard_normal(2)  # for variables without bounds
        starts.append(rng.uniform(-3, 3, 2))
    for name, theirs in (("nelder_mead", "Nelder-Mead"), ("lbfgsb", "L-BFGS-B")):
        several = tw.minimize(f, [2.2, -1.8], multi_start(local=name, starts=20, seed=3), bounds=box)
        alone = [
            scipy.optimize.minimize(lambda x: float(f(torch.from_numpy(x))), x, method=theirs, bounds=box)
            for x in starts
        ]
        assert several.fun == pytest.approx(min(one.fun for one in alone), abs=1e-9)
        assert several.fun < alone[0].fun - 1
        assert several.nfev == sum(one.nfev for one in alone) or name == "lbfgsb"  # whose gradients are differences
        assert (several.jac is None) == (name == "nelder_mead")
    curved = tw.minimize(bowl, X0, "multi_start", local="newton_cg", starts=3)
    assert curved.nhvp > 0
    one = tw.minimize(bowl, X0, "multi_start", starts=1)
    descended = tw.minimize(bowl, X0, "bfgs")
    assert (one.nfev, one.nit, one.fun) == (descended.nfev, descended.nit, descended.fun)
    counted = tw.minimize(f, [2.2, -1.8], "multi_start", starts=5, max_iter=12)
    assert (counted.nit, counted.status) == (12, Status.BUDGET_SPENT)


def test_methods_print_as_they_are_typed() -> None:
    assert repr(cma_es(spread=0.5, seed=3, stop=value_below(0))) == "cma_es(stop=value_below(0), spread=0.5, seed=3)"
    assert repr(multi_start(local=nelder_mead(adaptive=True))) == "multi_start(local=nelder_mead(adaptive=True))"
    assert repr(metropolis(temperature=tw.schedules.inverse(2.0))) == "metropolis(temperature=inverse(2.0))"
    for method in ROUTINES.values():
        changed = dataclasses.replace(method, stop=value_below(0.5) | evaluations(99))
        assert eval(repr(changed), vars(tw) | vars(tw.descent)) == changed  # noqa: S307  # our own text


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: tw.minimize(bowl, X0, "neldermead"), UnknownNameError, "did you mean `nelder_mead`"),
        (
            lambda: tw.minimize(bowl, X0, "nelder_mead", xtol=1),
            UnknownNameError,
            "method `nelder_mead` has no option `xtol`; did you mean `xatol`",
        ),
        (lambda: tw.minimize(bowl, X0, nelder_mead(), xatol=1), DescentError, "`xatol` cannot change nelder_mead"),
        (
            lambda: tw.minimize(bowl, X0, "bfgs", bounds=BOX),
            DescentError,
            r"descent\(direction=bfgs.* knows no bounds; of the methods, these do: `coordinate_search`, `powell`",
        ),
        (lambda: tw.minimize(bowl, X0, "xnes", bounds=BOX), DescentError, r"xnes\(\) knows no bounds"),
        (lambda: tw.minimize(bowl, X0, "multi_start", bounds=BOX), DescentError, "bfgs.* knows no bounds"),
        (
            lambda: tw.minimize(bowl, X0, "dual_annealing"),
            DescentError,
            r"dual_annealing\(\) searches between bounds, and variable 0 has not two of them; write",
        ),
        (
            lambda: tw.minimize(bowl, X0, "genetic_algorithm", bounds=[(-1, 2), (0, None)]),
            DescentError,
            r"genetic_algorithm\(\) searches between bounds, and variable 1 has not two",
        ),
        (
            lambda: tw.minimize(bowl, X0, "powell", bounds=[(-3, 4)]),
            DescentError,
            "there are 1 pairs .* has 2 elements",
        ),
        (lambda: tw.minimize(bowl, X0, "powell", bounds=(0, 2)), DescentError, r"\(0, 2\) is no sequence of pairs"),
        (lambda: tw.minimize(bowl, X0, "powell", bounds=Bounds([0.0] * 3, 2)), DescentError, "is no sequence of pairs"),
        (
            lambda: tw.minimize(bowl, X0, "powell", bounds=[(0, 2), (3, 1)]),
            DescentError,
            r"variable 1 lies in \[3, 1\], where no point is; the lower bound comes first",
        ),
        (
            lambda: tw.minimize(bowl, X0, "powell", bounds=[(0, 2), (math.nan, 1)]),
            DescentError,
            "variable 1 .* a bound is a number, or None",
        ),
        (
            lambda: tw.minimize(bowl, X0, "powell", bounds=[(2, 3), (0, 1)]),
            DescentError,
            r"variable 0 lies in \[2, 3\], and x0 has 1.3 there; start within the bounds",
        ),
        (lambda: tw.minimize(bowl, X0, "powell", max_eval=0), HyperparameterError, "evaluations: `count` is 0"),
        (
            lambda: tw.minimize(bowl, X0, "cma_es", seed=1.5),
            HyperparameterError,
            "cma_es: `seed` is 1.5; it must be a whole number, 0 or more",
        ),
        (lambda: metropolis(seed="one"), HyperparameterError, "metropolis: `seed` is 'one'"),
        (lambda: metropolis(temperature=0.0), HyperparameterError, "metropolis: `temperature` is 0.0"),
        (lambda: nelder_mead(xatol=-1), HyperparameterError, "nelder_mead: `xatol` is -1; it must lie in"),
        (lambda: differential_evolution(strategy="best"), HyperparameterError, "`strategy` is 'best'; did you mean"),
        (lambda: differential_evolution(mutation=(1, 0)), HyperparameterError, r"`mutation` is \(1, 0\); it must be"),
        (
            lambda: genetic_algorithm(elite=50),
            HyperparameterError,
            "`elite` is 50; it must be less than the population",
        ),
        (lambda: openai_es(shaping="rank"), HyperparameterError, "openai_es: `shaping` is 'rank'; choose"),
        (lambda: openai_es(chain=tw.adam()), DescentError, r"adam\(\) is no chain; write"),
        (lambda: nelder_mead(stop=gradient_norm()), DescentError, "nelder_mead: it goes without gradients"),
        (lambda: nelder_mead(stop=100), DescentError, "nelder_mead: 100 is no stopping rule"),
        (lambda: tw.minimize(bowl, X0, "mcmc", tol=1e-3), DescentError, r"metropolis\(\) has no tolerance"),
        (lambda: tw.minimize(bowl, [1.0], "cma_es"), DescentError, "cma_es: there is one free variable"),
        (lambda: tw.minimize(bowl, X0, "multi_start", local="bgfs"), UnknownNameError, "did you mean `bfgs`"),
        (
            lambda: tw.minimize(bowl, X0, "multi_start", local=nelder_mead(stop=evaluations(9))),
            DescentError,
            r"multi_start: evaluations\(9\) cannot end one start alone",
        ),
        (
            lambda: tw.minimize(bowl, X0, "multi_start", local="dual_annealing"),
            DescentError,
            r"dual_annealing\(\) searches between bounds",
        ),
        (lambda: tw.minimize(lambda _: "low", X0, "powell"), tw.errors.GradientError, "the function returned 'low'"),
    ],
)
def test_what_does_not_fit_says_so(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_descents_are_composed_and_routines_are_not() -> None:
    from thalweg.descent.methods import named

    assert isinstance(named("steepest"), Descent)
    assert named("steepest").direction == steepest()
    with pytest.raises(DescentError, match="method `powell` is no descent, of a direction and a step size"):
        named("powell")


@pytest.mark.parametrize("name", surfaces.catalogue())
def test_on_a_surface_the_lowest_point_of_its_window_is_found(name: str) -> None:
    surface = surfaces.get(name)
    start, window = surface.starts[0], surface.window
    lowest = min([float(surface(point.x)) for point in surface.minima], default=math.inf)
    lowest = min(lowest, *(float(surface(corner)) for corner in itertools.product(*window)))
    method = "dual_annealing" if name in {"easom", "levy13", "himmelblau"} else "differential_evolution"
    assert tw.minimize(surface, start, method, bounds=window, max_eval=1500).fun <= lowest + 1e-4
    for method, theirs in (("nelder_mead", "Nelder-Mead"), ("powell", "Powell")):
        expected = scipy.optimize.minimize(
            lambda x: float(surface(torch.from_numpy(x))),
            start,
            method=theirs,
            bounds=window,
            options={"maxfev": 400, "maxiter": 400},
        )
        found = tw.minimize(surface, start, method, bounds=window, max_eval=400, max_iter=400)
        assert found.success == expected.success
        if expected.success:
            assert found.nfev == expected.nfev
            assert 0 <= expected.fun - found.fun <= 1e-10  # the lowest that was seen may have been on the way
