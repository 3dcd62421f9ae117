"""What libraries do is done as they do it: the same points, values and counts, at the same settings and seeds."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.optimize
from scipy.optimize import rosen, rosen_der

import thalweg as tw
from thalweg.descent import Intermediate, Status, genetic_algorithm, value_below

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

X0 = np.array([-1.2, 1.0, 0.5])
FREE = {"bounds": None}
BOXED = {"bounds": [(-2.0, 0.7), (0.2, 3.0), (None, 2.0)]}


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def plain(x: Tensor) -> float:
    return float(rosen(x.numpy()))


@pytest.mark.parametrize("where", [FREE, BOXED], ids=["free", "boxed"])
@pytest.mark.parametrize(
    ("method", "settings", "theirs", "options"),
    [
        ("nelder_mead", {}, "Nelder-Mead", {}),
        ("nelder_mead", {"xatol": 1e-8, "fatol": 1e-9}, "Nelder-Mead", {"xatol": 1e-8, "fatol": 1e-9}),
        ("nelder_mead", {"adaptive": True}, "Nelder-Mead", {"adaptive": True}),
        ("powell", {}, "Powell", {}),
        ("powell", {"tol": 1e-8}, "Powell", {"xtol": 1e-8, "ftol": 1e-8}),
        ("lbfgsb", {}, "L-BFGS-B", {}),
        ("lbfgsb", {"memory": 3, "gtol": 1e-8, "ftol": 0.0}, "L-BFGS-B", {"maxcor": 3, "gtol": 1e-8, "ftol": 0.0}),
    ],
)
def test_local_searches_are_scipys(
    method: str, settings: dict[str, float], theirs: str, options: dict[str, float], where: dict[str, object]
) -> None:
    ours = tw.minimize(rosenbrock if method == "lbfgsb" else plain, X0, method, **where, **settings)
    expected = scipy.optimize.minimize(
        rosen, X0, method=theirs, jac=rosen_der if method == "lbfgsb" else None, options=options, **where
    )
    if method == "lbfgsb":  # autograd's gradient is rounded otherwise
        assert abs(ours.nfev - expected.nfev) <= 4
        np.testing.assert_allclose(ours.x.numpy(), expected.x, rtol=1e-4)
        assert ours.njev == ours.nfev
        assert ours.jac is not None
    else:
        first = 1 if method == "nelder_mead" else 0  # SciPy counts the simplex that it begins with
        assert (ours.nit + first, ours.nfev) == (expected.nit, expected.nfev)
        np.testing.assert_allclose(ours.x.numpy(), expected.x, rtol=1e-12)
        assert 0 <= expected.fun - ours.fun <= 1e-13  # the lowest that was seen may have been on the way
        assert (ours.njev, ours.jac, ours.grad) == (0, None, None)
    assert ours.success == expected.success
    assert ours.message != expected.message


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        ({"population": 8, "tolerance": 0.5}, {"popsize": 8, "tol": 0.5}),
        (
            {"strategy": "rand1exp", "population": 6, "mutation": 0.7, "recombination": 0.9, "tolerance": 0.1},
            {"strategy": "rand1exp", "popsize": 6, "mutation": 0.7, "recombination": 0.9, "tol": 0.1},
        ),
        ({"polish": False, "seed": 3, "max_iter": 40}, {"polish": False, "maxiter": 40}),
        ({"max_iter": 5}, {"maxiter": 5}),
    ],
)
def test_differential_evolution_is_scipys(settings: dict[str, object], theirs: dict[str, object]) -> None:
    bounds = [(-2.0, 2.0)] * 3
    ours = tw.minimize(plain, X0, "differential_evolution", bounds=bounds, **settings)
    rng = np.random.default_rng(settings.get("seed", 0))
    expected = scipy.optimize.differential_evolution(rosen, bounds, x0=X0, **seeded(rng), **theirs)
    again = 0 if np.array_equal(-2.0 + 4.0 * ((X0 + 2.0) / 4.0), X0) else 1  # it scales x0, which may round it
    assert (ours.nit, ours.nfev - again) == (expected.nit, expected.nfev)
    np.testing.assert_allclose(ours.x.numpy(), expected.x, rtol=1e-6)
    assert 0 <= expected.fun - ours.fun <= 1e-12
    assert ours.success == expected.success


def test_differential_evolution_polishes_what_a_budget_has_ended_and_nothing_else() -> None:
    bounds = [(-2.0, 2.0)] * 3
    told: list[float] = []

    def stop(intermediate_result: Intermediate) -> None:
        told.append(intermediate_result.nfev)
        if intermediate_result.nit == 3:
            raise StopIteration

    for settings in ({"callback": stop}, {"stop": value_below(5.0), "callback": lambda _: None}):
        ended = tw.minimize(plain, X0, "differential_evolution", bounds=bounds, **settings)
        assert ended.nfev % 45 in {0, 1}  # generations, and no more; x0 may have been rounded
    assert told[-1] == tw.minimize(plain, X0, "differential_evolution", bounds=bounds, callback=stop).nfev


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [({"max_iter": 100}, {}), ({"local_search": False, "seed": 2, "max_iter": 100}, {"no_local_search": True})],
)
def test_dual_annealing_is_scipys(settings: dict[str, object], theirs: dict[str, object]) -> None:
    bounds = [(-2.0, 2.0)] * 3
    ours = tw.minimize(plain, X0, "dual_annealing", bounds=bounds, **settings)
    rng = np.random.default_rng(settings.get("seed", 0))
    expected = scipy.optimize.dual_annealing(rosen, bounds, x0=X0, maxiter=100, **seeded(rng), **theirs)
    assert (ours.nit, ours.nfev) == (expected.nit, expected.nfev)
    np.testing.assert_allclose(ours.x.numpy(), expected.x, rtol=1e-6)
    assert 0 <= expected.fun - ours.fun <= 1e-12  # a difference's point may have been lower still
    assert (ours.status, ours.message) == (Status.BUDGET_SPENT, "the budget of 100 iterations is spent")


def seeded(rng: np.random.Generator) -> dict[str, np.random.Generator]:
    return {"rng" if tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 15) else "seed": rng}


@pytest.mark.parametrize("bounds", [None, [(-2.0, 0.7), (0.2, 3.0), (None, 2.0)], [(-2.0, 0.6), (0.0, 4.0), (0, 2.0)]])
def test_cma_es_is_the_packages(bounds: list[tuple[float, float]] | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import cma
    rng = np.random.default_rng(5)
    options = {"randn": lambda *shape: rng.standard_normal(shape), "seed": math.nan, "verbose": -10}
    widths = [1.0, 1.0, 1.0]
    if bounds:
        options["bounds"] = [[low for low, _ in bounds], [high for _, high in bounds]]
        widths = [1.0 if low is None else (high - low) / 4 for low, high in bounds]
        options["CMA_stds"] = [width / min(widths) for width in widths]
    theirs = cma.CMAEvolutionStrategy(X0, min(widths), options)
    while not theirs.stop():
        points = theirs.ask()
        theirs.tell(points, [rosen(x) for x in points])
    ours = tw.minimize(plain, X0, "cma_es", seed=5, bounds=bounds)
    assert (ours.nit, ours.nfev) == (theirs.countiter, theirs.countevals + 1)  # and x0
    np.testing.assert_array_equal(ours.x.numpy(), theirs.best.x)
    assert ours.success
    quick = tw.minimize(plain, X0, "cma_es", seed=5, bounds=bounds, population=20, tol=1e-2)
    assert quick.nit < ours.nit
    assert (quick.nfev - 1) == 20 * quick.nit


def test_cma_es_ends_before_its_variances_when_the_function_is_flat() -> None:
    flat = tw.minimize(lambda x: float(x.numpy().round().sum() * 0), [1.0, 2.0], "cma_es", tolfun=0.0)
    assert flat.status is Status.NO_LOWER_POINT
    assert "the function is flat there" in flat.message


def test_the_genetic_algorithm_is_the_packages() -> None:
    import pygad

    bounds = [(-2.0, 2.0), (-1.0, 3.0)]
    method = genetic_algorithm(population=12, tournament=2, elite=2, mutation=0.4, seed=7)
    ours = tw.minimize(plain, X0[:2], method, bounds=bounds, max_iter=15)
    rng = np.random.default_rng(7)
    low, high = np.array(bounds).T
    start = [X0[:2]]
    for _ in range(11):
        rng.standard_normal(2)  # for variables without bounds
        start.append(rng.uniform(low, high))
    values: list[float] = []

    def fitness(_: object, x: NDArray[np.float64], __: int) -> float:
        values.append(float(rosen(x)))
        return -values[-1]

    theirs = pygad.GA(
        fitness_func=fitness,
        initial_population=np.array(start),
        num_generations=15,
        num_parents_mating=6,
        keep_elitism=2,
        parent_selection_type="tournament",
        K_tournament=2,
        crossover_type="sbx",
        sbx_crossover_eta=15,
        mutation_type="polynomial",
        polynomial_mutation_eta=20,
        mutation_probability=0.4,
        gene_space=[{"low": low, "high": high} for low, high in bounds],
        random_seed=int(rng.integers(2**32)),
        suppress_warnings=True,
        save_best_solutions=False,
        logger=logging.getLogger("thalweg.silent"),
    )
    theirs.run()
    assert (ours.nfev, ours.fun) == (len(values), min(values))
    assert ours.fun < 0.2 * rosen(X0[:2])


def test_the_packages_are_loaded_by_nobody_else() -> None:
    command = (
        "import sys, thalweg as tw; tw.minimize(lambda x: float(x @ x), [1.0, 2.0], 'nelder_mead', max_eval=9); "
        "print(sorted({'cma', 'pygad', 'numba', 'triton', 'sympy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
