"""The bounds hold on functions that are run, and are met where theory says that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg import theory
from thalweg.errors import HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor


def values(f: Callable[[Tensor], Tensor], x0: Tensor, stage: object, alpha: float, steps: int) -> list[float]:
    x = x0.clone().requires_grad_()
    optimizer = tw.Optimizer([x], tw.chain(stage, tw.step(alpha)))
    found = [float(f(x.detach()))]
    for _ in range(steps):
        x.grad = torch.autograd.grad(f(x), x)[0]
        optimizer.step()
        found.append(float(f(x.detach())))
    return found


def test_the_strongly_convex_bound_holds_in_every_step() -> None:
    Q = torch.tensor([0.5, 2.0, 8.0], dtype=torch.float64)
    x0 = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
    path = values(lambda x: 0.5 * (Q * x * x).sum(), x0, tw.gradient_descent(), 1 / 8, 60)
    for steps in range(1, 61):
        assert path[steps] <= theory.strongly_convex_bound(steps, smallest=0.5, largest=8.0) * path[0]


def test_the_convex_bounds_hold_where_the_curvature_vanishes_and_acceleration_is_faster() -> None:
    n = 60  # Nesterov's worst function, tridiagonal: eigenvalues up to 4, and down to almost 0
    A = 2 * torch.eye(n) - torch.diag(torch.ones(n - 1), 1) - torch.diag(torch.ones(n - 1), -1)
    A = A.double()
    e = torch.eye(n, dtype=torch.float64)[0]
    minimum = torch.linalg.solve(A, e)
    least, distance = float(-0.5 * minimum[0]), float(minimum.norm())

    def f(x: Tensor) -> Tensor:
        return 0.5 * x @ A @ x - x[0]

    plain = values(f, torch.zeros(n, dtype=torch.float64), tw.gradient_descent(), 0.25, 60)
    x = torch.zeros(n, dtype=torch.float64).requires_grad_()
    optimizer = tw.Optimizer([x], tw.chain(tw.nesterov_acceleration(), tw.step(0.25)))
    for steps in range(1, 61):
        x.grad = A @ x.detach() - e
        optimizer.step()
        (state,) = (value for key, value in optimizer.state[x].items() if key == "x")  # the sequence of gradient steps
        fast = float(f(state)) - least
        assert fast <= theory.accelerated_bound(steps, distance=distance, alpha=0.25)
        assert plain[steps] - least <= theory.convex_bound(steps, distance=distance, alpha=0.25)
    assert fast < 0.5 * (plain[60] - least)
    # it is sharp but for a constant: no bound ten times lower would hold
    assert plain[60] - least > 0.01 * theory.convex_bound(60, distance=distance, alpha=0.25)


@pytest.mark.parametrize("form", ["diagonal", "matrix"])
def test_adagrads_regret_is_within_its_bound(form: str) -> None:
    random = np.random.default_rng(3)
    n, steps, alpha = 5, 400, 0.4
    targets = random.normal(size=(steps, n)) * np.array([5.0, 1.0, 0.1, 1.0, 0.01])  # losses |aᵀx − 1|
    x, total = np.zeros(n), np.zeros((n, n))
    points: list[NDArray[np.float64]] = []
    gradients: list[NDArray[np.float64]] = []
    for a in targets:
        g = a * np.sign(a @ x - 1)
        points.append(x)
        gradients.append(g)
        total += np.outer(g, g)
        if form == "diagonal":
            x = x - alpha * g / np.sqrt(np.where(np.diag(total) > 0, np.diag(total), 1.0))
        else:
            eigenvalues, V = np.linalg.eigh(total)
            roots = np.sqrt(np.where(eigenvalues > 1e-12 * eigenvalues.max(), eigenvalues, np.inf))
            x = x - alpha * V @ ((V.T @ g) / roots)
    fixed = np.array(points[-100:]).mean(0)  # any point may be compared with
    regret = sum(abs(a @ x - 1) - abs(a @ fixed - 1) for a, x in zip(targets, points, strict=True))
    away = np.array(points) - fixed
    distance = float(np.abs(away).max() if form == "diagonal" else np.linalg.norm(away, axis=1).max())
    bound = theory.adagrad_regret_bound(np.array(gradients), distance=distance, alpha=alpha, form=form)
    assert 0 < regret <= bound
    best = theory.adagrad_regret_bound(np.array(gradients), distance=distance, alpha=distance / 2**0.5, form=form)
    roots = np.sqrt(np.diag(total)).sum() if form == "diagonal" else np.sqrt(np.linalg.eigvalsh(total).clip(0)).sum()
    assert best == pytest.approx(2**0.5 * distance * roots)
    assert best <= bound


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.strongly_convex_bound(3, smallest=2.0, largest=1.0), "above the largest"),
        (lambda: theory.convex_bound(0, distance=1.0, alpha=0.1), "`steps` is 0"),
        (lambda: theory.accelerated_bound(3, distance=-1.0, alpha=0.1), "`distance` is -1.0"),
        (lambda: theory.adagrad_regret_bound([1.0], distance=1.0, alpha=0.1), r"it must be \(steps, variables\)"),
        (
            lambda: theory.adagrad_regret_bound([[1.0]], distance=1.0, alpha=0.1, form="full"),
            "`form` is 'full'; choose",
        ),
    ],
)
def test_what_does_not_fit_says_so(call: Callable[[], object], message: str) -> None:
    with pytest.raises(HyperparameterError, match=message):
        call()
