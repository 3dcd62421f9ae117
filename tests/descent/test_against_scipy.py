"""The set of Moré, Garbow and Hillstrom and the surfaces, against SciPy's same methods: minima and evaluations."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
import scipy.optimize
import torch
from numpy.typing import NDArray

import thalweg as tw
from descent.by_scipy import MGH, SURFACES, Case, both
from descent.more_garbow_hillstrom import PROBLEMS, Problem
from thalweg.descent import gradient_norm

Array = NDArray[np.float64]
MORE = 1.5
"""How many times SciPy's evaluations are allowed."""
LONGER = {
    ("cg", "bard"): 1.8,  # SciPy's path is a luckier one
    ("newton_cg", "six_hump_camel from (-0.8, -1.0)"): 1.6,  # 14 evaluations, and 9
    ("lbfgs", "powell_badly_scaled"): 2.6,  # SciPy's stops at 2e-7, ours at 1e-20
    ("lbfgs", "powell_singular"): 1.6,
}
"""Where ours needs more."""
TOO_LONG = {("cg", "meyer"), ("cg", "osborne_1"), ("cg", "osborne_2"), ("cg", "watson"), ("lbfgs", "meyer")}
"""More than 500 evaluations, SciPy's too; all of them together are more than those of all other problems."""
UNSOLVED = {
    # SciPy's Newton-CG stops at no minimum there, by short steps or by its budget, and so does ours
    *(("newton_cg", name) for name in ("powell_badly_scaled", "meyer", "gulf_research_and_development", "osborne_1")),
    ("newton_cg", "wood"),  # ours stops at the saddle of 7.877, which SciPy leaves after 500 steps
    ("newton_cg", "goldstein_price from (1.5, -2.0)"),  # in the minimum, rounding leaves ours no lower point
    ("cg", "variably_dimensioned"),  # SciPy's line search fails; ours ends in the minimum
    ("cg", "brown_and_dennis"),  # likewise
    ("bfgs", "meyer"),  # rounding stops both, ours a digit of the minimum away
    ("lbfgs", "jennrich_and_sampson"),  # SciPy's stops at 214.3, ours in the minimum of 124.4
    ("lbfgs", "two_basins from (2.5, -1.5)"),  # ours goes to the global minimum, SciPy's to the local one
    ("lbfgs", "levy13 from (2.5, 2.5)"),  # to different local minima
    # from there the function falls for ever along a valley
    *((method, "beale from (-3.0, 3.0)") for method in ("bfgs", "cg", "newton_cg", "lbfgs")),
}
"""Where not both arrive at the same minimum."""
COMPARED = ("bfgs", "cg", "newton_cg", "lbfgs")


def cases_of(method: str) -> list[Case]:
    return [case for case in MGH + SURFACES if (method, case.name) not in TOO_LONG | UNSOLVED]


@pytest.mark.parametrize(
    ("case", "method"),
    [pytest.param(case, method, id=f"{method}-{case.name}") for method in COMPARED for case in cases_of(method)],
)
def test_the_minimum_is_scipys_and_so_are_the_evaluations(case: Case, method: str) -> None:
    found = both(case, method)
    assert found.is_solved_by_both, (
        f"{found.ours.message}, {found.ours.fun}; {found.theirs.message}, {found.theirs.fun}"
    )
    minima = getattr(case.f, "minima", ())
    assert not minima or any(found.ours.fun == pytest.approx(minimum, rel=0.2, abs=1e-5) for minimum in minima)
    ours, theirs = found.spent
    assert ours <= LONGER.get((method, case.name), MORE) * theirs


@pytest.mark.parametrize(
    ("method", "median", "total"),
    [("bfgs", 1.0, 1.02), ("cg", 1.0, 1.05), ("newton_cg", 1.0, 1.0), ("lbfgs", 1.1, 1.25)],
)
def test_over_all_problems_the_evaluations_are_scipys(method: str, median: float, total: float) -> None:
    spent = [both(case, method).spent for case in cases_of(method)]
    assert len(spent) >= 45
    assert statistics.median(ours / theirs for ours, theirs in spent) <= median
    assert sum(ours for ours, _ in spent) <= total * sum(theirs for _, theirs in spent)


def test_newton_by_differences_needs_no_more_gradients_than_scipys() -> None:
    names = (
        "rosenbrock",
        "freudenstein_and_roth",
        "beale",
        "bard",
        "kowalik_and_osborne",
        "penalty_1",
        "trigonometric",
    )
    found = [both(case, "newton_cg", differences=True) for case in MGH if case.name in names]
    assert len(found) == len(names)
    assert all(one.is_solved_by_both for one in found)
    assert all(one.spent[0] <= one.spent[1] for one in found)


def test_a_trust_region_needs_scipys_evaluations_and_fewer_products() -> None:
    for case in SURFACES:
        found = both(case, "steihaug")
        assert found.is_solved_by_both
        assert found.spent[0] <= found.spent[1]
        assert found.ours.nhvp < found.theirs.nhev


def test_every_problem_is_there_and_its_minimum_is_the_papers() -> None:
    assert [problem.number for problem in PROBLEMS] == list(range(1, 36))
    for problem in PROBLEMS:
        if problem.name != "meyer":
            value = tw.minimize(problem, problem.x0, "lbfgs", stop=gradient_norm(1e-7), max_iter=2000).fun
            assert any(value == pytest.approx(minimum, rel=1e-4, abs=1e-7) for minimum in problem.minima), problem.name


@pytest.mark.parametrize(
    ("method", "theirs", "problem"),
    [
        ("dogleg", "dogleg", PROBLEMS[0]),  # SciPy's needs a Hessian that is positive definite all the way
        *(("steihaug", "trust-ncg", PROBLEMS[place]) for place in (0, 4, 6, 21)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_trust_region_goes_the_way_of_scipys(problem: Problem, method: str, theirs: str) -> None:
    seen: list[Array] = []
    found = scipy.optimize.minimize(
        lambda x: float(problem(torch.from_numpy(x))),
        np.array(problem.x0, float),
        method=theirs,
        jac=lambda x: torch.func.grad(problem)(torch.from_numpy(x)).numpy(),
        hess=lambda x: torch.autograd.functional.hessian(problem, torch.from_numpy(x)).numpy(),
        callback=lambda x: seen.append(x.copy()),
        options={"gtol": 1e-6},
    )
    path = [np.array(problem.x0, float)]
    for x in seen:  # SciPy also tells of steps that it did not take
        if not np.array_equal(x, path[-1]):
            path.append(x)
    ours: list[Array] = [np.array(problem.x0, float)]
    result = tw.minimize(
        problem, problem.x0, method, stop=gradient_norm(1e-6, order=2), callback=lambda x: ours.append(x.numpy())
    )
    assert found.success
    assert result.success
    assert len(ours) == len(path)
    np.testing.assert_allclose(np.array(ours), np.array(path), rtol=1e-6, atol=1e-8)
