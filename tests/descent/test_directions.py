"""Each direction against its formula, written by hand in NumPy, along a path that it did not choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import thalweg as tw
from thalweg.descent import (
    bfgs,
    dai_yuan,
    damped_newton,
    fletcher_reeves,
    hager_zhang,
    hestenes_stiefel,
    lbfgs,
    newton,
    polak_ribiere,
    saddle_free_newton,
)
from thalweg.descent.directions import Direction, Guide
from thalweg.descent.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Callable

Array = NDArray[np.float64]


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def walk(direction: Direction, count: int = 6, length: float = 1e-3) -> tuple[Array, Array, Array]:
    """Points, gradients and directions at points that lie along the directions, with steps of one length."""
    objective = Objective(rosenbrock, torch.Size([4]), differentiable_twice=direction.needs_curvature)
    guide = direction.start()
    assert isinstance(guide, Guide)
    here = objective.at(torch.tensor([-1.2, 1.0, 0.5, 0.8], dtype=torch.float64))
    points, gradients, directions = [], [], []
    for _ in range(count):
        d = guide.toward(here)
        points.append(here.x.numpy())
        gradients.append(here.g.numpy())
        directions.append(d.numpy())
        there = objective.at(here.x + length * d / d.norm())
        guide.learn(here, there)
        here = there
    return np.array(points), np.array(gradients), np.array(directions)


def hager_zhang_beta(g: Array, last: Array, d: Array) -> float:
    y = g - last
    beta = (y - 2 * d * (y @ y) / (d @ y)) @ g / (d @ y)
    return max(beta, -1 / (np.linalg.norm(d) * min(0.01, np.linalg.norm(last))))


BETAS: dict[Direction, Callable[[Array, Array, Array], float]] = {
    fletcher_reeves(): lambda g, last, _: g @ g / (last @ last),
    polak_ribiere(): lambda g, last, _: max(g @ (g - last) / (last @ last), 0.0),
    hestenes_stiefel(): lambda g, last, d: g @ (g - last) / (d @ (g - last)),
    dai_yuan(): lambda g, last, d: g @ g / (d @ (g - last)),
    hager_zhang(): hager_zhang_beta,
}


@pytest.mark.parametrize("direction", BETAS, ids=repr)
def test_conjugate_directions_follow_their_formulas(direction: Direction) -> None:
    _, gradients, directions = walk(direction, 12, 1.5)
    bent = 0
    np.testing.assert_array_equal(directions[0], -gradients[0])
    for g, last, d, following in zip(gradients[1:], gradients, directions, directions[1:], strict=False):
        expected = -g + BETAS[direction](g, last, d) * d
        if not expected @ g <= -0.01 * (g @ g):
            expected = -g
        else:
            bent += not np.array_equal(expected, -g)
        np.testing.assert_allclose(following, expected, rtol=1e-9)
    assert bent >= 2


def test_conjugate_directions_restart_when_they_are_asked_to() -> None:
    _, gradients, directions = walk(hager_zhang(restart=2))
    for place in range(6):
        assert np.array_equal(directions[place], -gradients[place]) == (place % 2 == 0)


def dense_bfgs(points: Array, gradients: Array, H: Array) -> Array:
    """N&W (6.17), with the matrices multiplied as they stand."""
    for s, y in zip(np.diff(points, axis=0), np.diff(gradients, axis=0), strict=True):
        if s @ y > 0:
            left = np.eye(len(s)) - np.outer(s, y) / (s @ y)
            H = left @ H @ left.T + np.outer(s, s) / (s @ y)
    return H


def test_bfgs_is_the_dense_formula() -> None:
    points, gradients, directions = walk(bfgs())
    for count in range(1, 7):
        H = dense_bfgs(points[:count], gradients[:count], np.eye(4))
        np.testing.assert_allclose(directions[count - 1], -H @ gradients[count - 1], rtol=1e-6)


@pytest.mark.parametrize("memory", [2, 10])
def test_lbfgs_is_bfgs_begun_anew_from_a_scaled_identity(memory: int) -> None:
    points, gradients, directions = walk(lbfgs(memory=memory))
    for count in range(2, 7):
        s, y = points[count - 1] - points[count - 2], gradients[count - 1] - gradients[count - 2]
        assert s @ y > 0  # else the pair would be left out
        kept = slice(max(0, count - 1 - memory), count)
        H = dense_bfgs(points[kept], gradients[kept], s @ y / (y @ y) * np.eye(4))
        np.testing.assert_allclose(directions[count - 1], -H @ gradients[count - 1], rtol=1e-6)


def test_newtons_directions_are_those_of_the_dense_hessian() -> None:
    for direction in (newton(), damped_newton(2000.0), saddle_free_newton()):
        points, gradients, directions = walk(direction, 3)
        for x, g, d in zip(points, gradients, directions, strict=True):
            H = torch.autograd.functional.hessian(rosenbrock, torch.from_numpy(x)).numpy()
            eigenvalues, V = np.linalg.eigh(H)
            expected = {
                newton(): -np.linalg.solve(H, g),
                damped_newton(2000.0): -np.linalg.solve(H + 2000 * np.eye(4), g),
                saddle_free_newton(): -V @ ((V.T @ g) / np.abs(eigenvalues)),
            }[direction]
            np.testing.assert_allclose(d, expected, rtol=1e-7)


def test_damping_grows_until_the_hessian_is_positive_definite() -> None:
    _, gradients, directions = walk(damped_newton(), 1)
    x = torch.tensor([0.0, 1.0], dtype=torch.float64)  # where Rosenbrock's Hessian has a negative eigenvalue
    assert torch.linalg.eigvalsh(torch.autograd.functional.hessian(rosenbrock, x))[0] < 0
    objective = Objective(rosenbrock, x.shape, differentiable_twice=True)
    guide = damped_newton().start()
    here = objective.at(x)
    assert float(guide.toward(here) @ here.g) < 0
    assert float(directions[0] @ gradients[0]) < 0


def moller_by_hand(x: Array, steps: int) -> list[Array]:
    """Møller 1993, page 530, in its own letters; the product s = Hp is exact, as σ → 0."""

    def E(w: Array) -> float:
        return float(rosenbrock(torch.from_numpy(w)))

    def slope(w: Array) -> Array:
        return torch.func.grad(rosenbrock)(torch.from_numpy(w)).numpy()

    w, lam, lam_bar, success, k = x, 1e-6, 0.0, True, 1
    p = r = -slope(w)
    path: list[Array] = []
    delta = 0.0
    while len(path) < steps:
        square = p @ p
        if success:
            delta = p @ torch.autograd.functional.hessian(rosenbrock, torch.from_numpy(w)).numpy() @ p
        delta += (lam - lam_bar) * square
        if delta <= 0:
            lam_bar = 2 * (lam - delta / square)
            delta = -delta + lam * square
            lam = lam_bar
        mu = p @ r
        alpha = mu / delta
        comparison = 2 * delta * (E(w) - E(w + alpha * p)) / mu**2
        if comparison >= 0:
            w = w + alpha * p
            r_new = -slope(w)
            lam_bar, success = 0.0, True
            p = r_new if k % len(w) == 0 else r_new + (r_new @ r_new - r_new @ r) / mu * p
            r = r_new
            k += 1
            path.append(w)
        else:
            lam_bar, success = lam, False
        if comparison >= 0.75:
            lam /= 4
        if comparison < 0.25:
            lam += delta * (1 - comparison) / square
    return path


def test_scaled_conjugate_gradients_are_mollers() -> None:
    x0 = np.array([-1.2, 1.0, -0.5, 0.8])
    ours: list[Array] = []
    result = tw.minimize(rosenbrock, x0, "scaled_cg", max_iter=25, callback=lambda x: ours.append(x.numpy()))
    np.testing.assert_allclose(np.array(ours), np.array(moller_by_hand(x0, 25)), rtol=1e-6, atol=1e-6)
    assert result.nfev > result.nit + 1  # some steps were refused on the way
