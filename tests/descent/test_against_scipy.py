"""The set of Moré, Garbow and Hillstrom, against SciPy's same methods: the same minima, for as many evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.optimize
import torch
from numpy.typing import NDArray

import thalweg as tw
from descent.more_garbow_hillstrom import PROBLEMS, Problem
from thalweg.descent import gradient_norm, step_length

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Array = NDArray[np.float64]
MORE = 1.5
"""How many times SciPy's evaluations are allowed."""
LONGER = {("cg", "bard"): 1.8}
"""Where SciPy's path is a luckier one."""
TOO_LONG = {("cg", "meyer"), ("cg", "osborne_1"), ("cg", "osborne_2"), ("cg", "watson")}
"""More than 700 evaluations, SciPy's too; all of them together are more than those of all other problems."""
UNSOLVED = {
    # SciPy's Newton-CG stops at no minimum there, by short steps or by its budget, and so does ours
    *(("newton_cg", name) for name in ("powell_badly_scaled", "meyer", "gulf_research_and_development", "osborne_1")),
    ("newton_cg", "wood"),  # ours stops at the saddle of 7.877, which SciPy leaves after 500 steps
    ("cg", "variably_dimensioned"),  # SciPy's line search fails; ours ends in the minimum
    ("cg", "brown_and_dennis"),  # likewise
    ("bfgs", "meyer"),  # rounding stops both, ours a digit of the minimum away
}


def by_scipy(problem: Problem, method: str) -> OptimizeResult:
    def value(x: Array) -> float:
        return float(problem(torch.from_numpy(x)))

    def gradient(x: Array) -> Array:
        point = torch.tensor(x, requires_grad=True)
        return torch.autograd.grad(problem(point), point)[0].numpy()

    def product(x: Array, v: Array) -> Array:
        return torch.autograd.functional.hvp(problem, torch.from_numpy(x), torch.from_numpy(v))[1].numpy()

    name = {"bfgs": "BFGS", "cg": "CG", "newton_cg": "Newton-CG"}[method]
    return scipy.optimize.minimize(
        value, np.array(problem.x0, float), method=name, jac=gradient, hessp=product if method == "newton_cg" else None
    )


def minimum_of(problem: Problem, value: float) -> float:
    """The paper's minimum with this value."""
    (found,) = [minimum for minimum in problem.minima if value == pytest.approx(minimum, rel=0.2, abs=1e-5)]
    return found


CASES = [
    pytest.param(problem, method, id=f"{method}-{problem.name}")
    for method in ("bfgs", "cg", "newton_cg")
    for problem in PROBLEMS
    if (method, problem.name) not in TOO_LONG | UNSOLVED
]


@pytest.mark.parametrize(("problem", "method"), CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # SciPy's, on the way
def test_the_minimum_is_scipys_and_so_are_the_evaluations(problem: Problem, method: str) -> None:
    case = (method, problem.name)
    # SciPy's rules: the mean step for Newton-CG, the largest element of the gradient for the others
    stop = step_length(1e-5 * len(problem.x0), order=1) if method == "newton_cg" else gradient_norm(1e-5)
    ours = tw.minimize(problem, problem.x0, method, stop=stop)
    theirs = by_scipy(problem, method)
    assert ours.success, ours.message
    assert theirs.success, theirs.message
    assert minimum_of(problem, ours.fun) == minimum_of(problem, theirs.fun)
    assert ours.nfev <= LONGER.get(case, MORE) * theirs.nfev
    assert ours.njev <= LONGER.get(case, MORE) * theirs.njev


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
