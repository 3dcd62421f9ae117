"""Martens' method, against itself by hand, dense, in NumPy; and where it is misused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor

import thalweg as tw
from descent import damped_twins
from descent.damped_twins import regression
from thalweg.descent import Status, descent, hessian_free, iterations, levenberg_marquardt
from thalweg.descent.directions.damped import Candidate, DampedGuide
from thalweg.descent.failures import NoStepError
from thalweg.descent.objective import Objective
from thalweg.descent.output_curvature import empirical_curvature
from thalweg.descent.systems import Progress, Residual, conjugate_gradients
from thalweg.errors import HyperparameterError

if TYPE_CHECKING:
    from thalweg.descent.trial import Trial

RANDOM = np.random.default_rng(5)


def positive(n: int) -> np.ndarray:
    basis = np.linalg.qr(RANDOM.normal(size=(n, n)))[0]
    return basis @ np.diag(np.geomspace(0.1, 10, n)) @ basis.T


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_conjugate_gradients_and_their_ending_are_martens(warm: bool, preconditioned: bool) -> None:
    n, tolerance = 80, 5e-4
    A, g = positive(n), RANDOM.normal(size=n)
    x = RANDOM.normal(size=n) if warm else np.zeros(n)
    M = RANDOM.uniform(0.5, 2, size=n) if preconditioned else np.ones(n)
    theirs = damped_twins.conjugate_gradients(A, g, x, M, tolerance, 250)
    matrix = torch.from_numpy(A)
    ours = conjugate_gradients(
        lambda v: matrix @ v,
        torch.from_numpy(g),
        is_done=Progress(tolerance),
        most=250,
        start=torch.from_numpy(x) if warm else None,
        preconditioner=torch.from_numpy(M) if preconditioned else None,
    )
    assert 15 < ours.count == len(theirs) < 60
    spaced = [i for i in range(1, len(theirs)) if i in {math.ceil(1.3**j) for j in range(40)}]
    assert spaced[:8] == [1, 2, 3, 4, 5, 7, 9, 11]
    assert len(ours.kept) == len(spaced) + 1
    for one, i in zip(ours.kept, [*spaced, len(theirs)], strict=True):
        np.testing.assert_allclose(one.x.numpy(), theirs[i - 1][0], rtol=1e-6, atol=1e-8)
        assert one.q == pytest.approx(theirs[i - 1][1], rel=1e-9, abs=1e-10)


def test_conjugate_gradients_solve_in_n_iterations_and_stop_there() -> None:
    A, g = torch.from_numpy(positive(6)), torch.from_numpy(RANDOM.normal(size=6))
    found = conjugate_gradients(lambda v: A @ v, g, is_done=Residual(0.0), most=100)
    torch.testing.assert_close(found.kept[-1].x, torch.linalg.solve(A, -g), rtol=1e-8, atol=1e-8)
    assert 6 <= found.count < 20
    solved = conjugate_gradients(lambda v: A @ v, g, is_done=Residual(0.0), most=100, start=found.kept[-1].x)
    assert solved.count <= 5
    nothing = conjugate_gradients(lambda v: A @ v, 0 * g, is_done=Residual(0.0), most=100)
    assert (nothing.count, nothing.kept[0].q) == (0, 0.0)


def test_conjugate_gradients_end_where_the_curvature_is_not_positive() -> None:
    diagonal = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64)
    g = torch.tensor([1.0, 1.0, 0.1], dtype=torch.float64)
    found = conjugate_gradients(lambda v: diagonal * v, g, is_done=Residual(0.0), most=100)
    assert not found.is_convex
    assert found.kept[-1].q < 0
    assert float(found.kept[-1].x @ g) < 0
    first = conjugate_gradients(lambda v: -v, g, is_done=Residual(0.0), most=100)
    torch.testing.assert_close(first.kept[-1].x, -g)
    with pytest.raises(NoStepError, match="a curvature product has a NaN or an infinity in it"):
        conjugate_gradients(lambda v: v * math.nan, g, is_done=Residual(0.0), most=100)


@pytest.mark.parametrize("name", ["linear", "logistic", "softmax"])
@pytest.mark.parametrize(
    "settings",
    [
        {"damping": 10.0},
        {"damping": 0.03, "warm_start": 0.0},
        {"damping": 1e-4, "warm_start": 1.0, "max_products": 6},
        {"damping": 0.1, "preconditioner": "empirical_fisher"},
    ],
    ids=["damped", "cold", "few products", "preconditioned"],
)
def test_each_step_is_martens(name: str, settings: dict[str, Any]) -> None:
    problem = regression(name, 120, 60)
    x0 = torch.from_numpy(np.random.default_rng(0).normal(size=problem.shape))
    twin = damped_twins.HessianFree(
        problem,
        x0.numpy().ravel(),
        settings["damping"],
        settings.get("warm_start", 0.95),
        0.75 if "preconditioner" in settings else 0.0,
        most=settings.get("max_products", 250),
    )
    direction = hessian_free(**settings)
    points: list[Tensor] = []
    result = tw.minimize(problem, x0, descent(direction=direction, stop=iterations(6)), callback=points.append)
    for point in points:
        twin.step()
        np.testing.assert_allclose(point.numpy().ravel(), twin.w, rtol=1e-6, atol=1e-8)
    assert len(points) == 6
    assert result.fun < 0.9 * problem.value(x0.numpy().ravel())


def damping_after(ratio: float, **settings: float) -> float:
    """λ after one step from 1.0 with λ = 1 at which the function changes `ratio` times as much as foretold."""

    class Told(DampedGuide):
        def toward(self, here: Trial) -> Tensor:
            self.candidates = [Candidate(-here.g, (float(self.at(here.x - here.g)) - here.f) / ratio)]
            return -here.g

        def at(self, x: Tensor) -> Tensor:
            return 0.25 * x.square().sum()

    guide = Told(1.0)
    objective = Objective(guide.at, torch.Size([1]))
    levenberg_marquardt(**settings).start().step(objective.at(torch.ones(1, dtype=torch.float64)), guide, objective)
    return guide.damping


def test_the_damping_follows_how_far_the_function_falls_of_what_was_foretold() -> None:
    for ratio, expected in ((0.1, 1.5), (0.249, 1.5), (0.251, 1.0), (0.749, 1.0), (0.751, 2 / 3), (2.0, 2 / 3)):
        assert damping_after(ratio) == pytest.approx(expected)
        assert damping_after(ratio, factor=10.0) == pytest.approx({1.5: 10.0, 1.0: 1.0, 2 / 3: 0.1}[expected])


def test_values_that_are_not_finite_are_stepped_back_from_and_raise_the_damping() -> None:
    def walled(x: Tensor) -> tuple[Tensor, Tensor]:
        """Not a number beyond 1, where the step would lead."""
        outputs = torch.stack((x[0] - 3, x[1] - 0.5, 0.1 * x[0] * x[1]))
        value = outputs.square().sum() / 2
        return value if x[0] < 1 else value * math.nan, outputs

    result = tw.minimize(walled, [0.0, 0.0], "hessian_free", damping=1e-3, max_iter=10)
    assert 0 < float(result.x[0]) < 1
    assert result.fun < float(walled(torch.zeros(2))[0])
    assert math.isfinite(result.fun)
    assert not result.success


def test_an_indefinite_hessian_is_met_and_left() -> None:
    def saddle(x: Tensor) -> tuple[Tensor, Tensor]:
        return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 4, 1 * x

    result = tw.minimize(saddle, [1.0, 0.1], "hessian_free", curvature="hessian", damping=0.1)
    assert result.success
    assert result.fun == pytest.approx(-1.0, abs=1e-8)


def test_probes_estimate_the_diagonal_of_the_empirical_fisher_matrix_and_are_drawn_anew() -> None:
    problem = regression("softmax", 50, 6)
    w = torch.from_numpy(np.random.default_rng(0).normal(size=problem.shape))
    objective = Objective(problem, w.shape, keeps_graph=True)
    here = objective.at(w.ravel())
    exact = np.diag(problem.empirical_fisher(w.numpy().ravel()))
    np.testing.assert_allclose(empirical_curvature(here, "mean").diagonal().numpy(), exact, rtol=1e-10)
    assert objective.nhvp == 50
    one, other = (empirical_curvature(here, "mean", probes=3000, seed=seed).diagonal().numpy() for seed in (0, 1))
    np.testing.assert_allclose(one, exact, rtol=0.15)
    np.testing.assert_allclose(other, exact, rtol=0.15)
    assert not np.array_equal(one, other)
    result = tw.minimize(problem, w, "hessian_free", preconditioner="empirical_fisher", probes=4, max_iter=3)
    again = tw.minimize(problem, w, "hessian_free", preconditioner="empirical_fisher", probes=4, max_iter=3)
    assert torch.equal(result.x, again.x)
    assert result.nhvp < 3 * 50


def test_the_budget_leaves_something_for_evaluations() -> None:
    problem = regression("softmax", 120, 60)
    x0 = torch.zeros(problem.shape, dtype=torch.float64)
    result = tw.minimize(problem, x0, "hessian_free", damping=0.01, max_eval=20)
    assert result.nfev + result.nhvp <= 20
    assert result.nfev > 2
    assert result.fun < 0.7 * float(problem(x0)[0])
    assert result.status is Status.BUDGET_SPENT


def test_settings_out_of_range_say_so() -> None:
    with pytest.raises(HyperparameterError, match=r"hessian_free: `warm_start` is 1.1; it must lie in \[0, 1\]"):
        hessian_free(warm_start=1.1)
    with pytest.raises(HyperparameterError, match="hessian_free: `curvature` is 'hesse'; did you mean `hessian`"):
        hessian_free(curvature="hesse")
    with pytest.raises(HyperparameterError, match="hessian_free: `max_products` is 0; it must be a whole number"):
        hessian_free(max_products=0)
    with pytest.raises(HyperparameterError, match=r"levenberg_marquardt: `factor` is 0.5; it must lie in \[1, ∞\)"):
        levenberg_marquardt(factor=0.5)
