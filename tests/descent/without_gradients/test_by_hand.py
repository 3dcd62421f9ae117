"""What is written here is what its source says, as one writes it out by hand in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from torch import Tensor

import thalweg as tw
from thalweg.descent import coordinate_search, metropolis, openai_es, snes, xnes
from thalweg.descent.without_gradients.chains import accepts, reflected
from thalweg.descent.without_gradients.evolution import utilities, xnes_step
from thalweg.descent.without_gradients.openai_es import gradient_estimate

A = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.5], [0.5, -0.5, 2.0]])
B = np.array([1.0, -2.0, 0.5])
X0 = [2.0, -1.0, 3.0]


def quadratic(x: Tensor) -> float:
    v = x.numpy()
    return float(v @ A @ v / 2 - B @ v)


def path_of(method: object, x0: object = X0, **settings: object) -> list[np.ndarray]:
    points: list[Tensor] = []
    tw.minimize(quadratic, x0, method, callback=points.append, **settings)
    return [point.numpy() for point in points]


def test_coordinate_search_on_a_quadratic_is_gauss_and_seidels_iteration() -> None:
    x = np.array(X0)
    for found in path_of(coordinate_search(), max_iter=6):
        for i in range(3):
            x[i] += (B - A @ x)[i] / A[i, i]
        np.testing.assert_allclose(found, x, atol=1e-7)


def test_an_accelerated_round_ends_at_the_minimum_along_its_way() -> None:
    x = np.array(X0)
    for found in path_of(coordinate_search(accelerated=True), max_iter=4):
        before = x.copy()
        for i in range(3):
            x[i] += (B - A @ x)[i] / A[i, i]
        d = x - before
        x += d * (d @ (B - A @ x)) / (d @ A @ d)
        np.testing.assert_allclose(found, x, atol=1e-7)


@pytest.mark.parametrize("bounds", [[(1.0, 3.0)] * 3, [(None, 0.0)] * 3, [(-0.6, None)] * 3])
def test_coordinate_search_keeps_to_bounds_and_finds_the_minimum_there(bounds: list[tuple[float, float]]) -> None:
    x0 = [(low or high) + 0.0 for low, high in bounds]
    found = tw.minimize(quadratic, x0, "coordinate_search", bounds=bounds, accelerated=True)
    expected = scipy.optimize.minimize(lambda v: v @ A @ v / 2 - B @ v, x0, bounds=bounds, tol=1e-12)
    assert found.success
    np.testing.assert_allclose(found.x.numpy(), expected.x, atol=1e-5)


def test_a_metropolis_walk_is_the_one_written_out() -> None:
    rng = np.random.default_rng(4)
    x, points = (
        np.array(X0),
        path_of(metropolis(temperature=tw.schedules.inverse(2.0), spread=0.5, seed=4), max_iter=50),
    )
    value = lambda v: v @ A @ v / 2 - B @ v  # noqa: E731
    for k, found in enumerate(points):
        to = x + 0.5 * rng.standard_normal(3)
        drawn = rng.random()
        if value(to) <= value(x) or drawn < math.exp(-(value(to) - value(x)) * (k + 1) / 2.0):
            x = to
        np.testing.assert_allclose(found, x, atol=1e-13)


def test_at_one_temperature_the_chain_has_boltzmanns_distribution() -> None:
    found = np.array(path_of(metropolis(temperature=0.7, spread=0.8, seed=1), [0.0] * 3, max_iter=12_000))[500:]
    np.testing.assert_allclose(found.mean(axis=0), np.linalg.solve(A, B), atol=0.1)
    np.testing.assert_allclose(np.cov(found.T), 0.7 * np.linalg.inv(A), atol=0.07)


def test_bounds_cut_the_chains_density_and_change_it_nowhere_else() -> None:
    points: list[float] = []
    tw.minimize(
        lambda x: 2 * float(x[0]),
        [0.2],
        metropolis(spread=0.9, seed=2),
        bounds=[(0.0, 1.5)],
        max_iter=10_000,
        callback=lambda x: points.append(float(x[0])),
    )
    assert 0 <= min(points) < max(points) <= 1.5
    density = scipy.stats.truncexpon(b=3.0, scale=0.5)
    assert scipy.stats.kstest(points[::8], density.cdf).pvalue > 1e-3
    np.testing.assert_allclose(np.mean(points), density.mean(), atol=0.02)


def test_reflection_folds_as_often_as_need_be() -> None:
    low, high = np.array([0.0, 0.0, -np.inf, 0.0]), np.array([1.0, 1.0, 2.0, np.inf])
    np.testing.assert_allclose(reflected(np.array([3.25, -0.25, 2.5, -4.0]), low, high), [0.75, 0.25, 1.5, 4.0])


def test_a_chain_leaves_what_is_not_finite_and_does_not_return() -> None:
    assert accepts(math.nan, 1.0, 1.0, 0.99)
    assert accepts(math.inf, 1.0, 1.0, 0.99)
    assert not accepts(1.0, math.nan, 1.0, 0.0)
    assert not accepts(1.0, math.inf, 1.0, 0.0)
    assert not accepts(1.0, 2.0, 0.0, 0.0)


def test_utilities_go_by_rank_and_sum_to_zero() -> None:
    raw = np.maximum(0, np.log(4) - np.log(np.arange(1, 7)))
    expected = raw / raw.sum() - 1 / 6
    np.testing.assert_allclose(utilities([3.0, 1.0, 2.0, 9.0, math.inf, 5.0]), expected[[2, 0, 1, 4, 5, 3]])
    tied = utilities([1.0, 1.0, 2.0, 2.0, 2.0, 3.0])
    np.testing.assert_allclose(tied, [*[expected[:2].mean()] * 2, *[expected[2:5].mean()] * 3, expected[5]], atol=1e-15)
    np.testing.assert_allclose(utilities([7.0] * 5), 0, atol=1e-15)


def test_xnes_is_the_one_written_out() -> None:
    rng = np.random.default_rng(3)
    points = path_of(xnes(spread=0.5, seed=3, population=8), max_iter=30)
    n, mu, sigma, shape, lowest = 3, np.array(X0), 0.5, np.eye(3), math.inf
    value = lambda v: v @ A @ v / 2 - B @ v  # noqa: E731
    best, lowest = np.array(X0), value(np.array(X0))
    raw = np.maximum(0, np.log(5) - np.log(np.arange(1, 9)))
    u = raw / raw.sum() - 1 / 8
    eta = (9 + 3 * np.log(n)) / (5 * n * np.sqrt(n))
    for found in points:
        s = rng.standard_normal((8, n))
        z = np.array([mu + sigma * shape @ s_k for s_k in s])
        f = np.array([value(z_k) for z_k in z])
        if f.min() < lowest:
            best, lowest = z[f.argmin()], f.min()
        np.testing.assert_allclose(found, best, atol=1e-9)
        order = f.argsort()
        G_delta = sum(u[k] * s[i] for k, i in enumerate(order))
        G_M = sum(u[k] * (np.outer(s[i], s[i]) - np.eye(n)) for k, i in enumerate(order))
        G_sigma = np.trace(G_M) / n
        mu = mu + sigma * shape @ G_delta
        sigma *= np.exp(eta / 2 * G_sigma)
        shape = shape @ scipy.linalg.expm(eta / 2 * (G_M - G_sigma * np.eye(n)))
    assert np.linalg.det(shape) == pytest.approx(1)
    assert value(mu) < value(np.array(X0)) / 10


def test_xnes_follows_the_natural_gradient_of_the_mean() -> None:
    """With the values themselves for utilities, of a quadratic the expected step is the covariance times −∇f(μ)."""
    rng = np.random.default_rng(0)
    mu, sigma, shape = np.array(X0), 0.3, np.linalg.cholesky(A) / np.linalg.det(A) ** (1 / 6)
    s = rng.standard_normal((400_000, 3))
    s = np.concatenate([s, -s])
    z = mu + sigma * s @ shape.T
    f = np.einsum("ki,ij,kj->k", z, A, z) / 2 - z @ B
    to, size, to_shape = xnes_step(mu, sigma, shape, s, -(f - f.mean()) / len(s), (1e-3, 1e-3, 1e-3))
    covariance = sigma**2 * shape @ shape.T
    np.testing.assert_allclose(to - mu, -1e-3 * covariance @ (A @ mu - B), rtol=0.02)
    G = -(sigma**2) * shape.T @ A @ shape  # E[f(z)(ssᵀ − I)] = the Hessian in the coordinates s
    assert math.log(size / sigma) == pytest.approx(1e-3 / 2 * np.trace(G) / 3, rel=0.02)
    expected = shape @ scipy.linalg.expm(1e-3 / 2 * (G - np.trace(G) / 3 * np.eye(3)))
    np.testing.assert_allclose((to_shape - shape) * 1e4, (expected - shape) * 1e4, atol=0.05)


def test_snes_is_the_one_written_out() -> None:
    rng = np.random.default_rng(3)
    points = path_of(snes(spread=0.5, seed=3), max_iter=30)
    n, mu, sigma = 3, np.array(X0), np.full(3, 0.5)
    value = lambda v: v @ A @ v / 2 - B @ v  # noqa: E731
    best, lowest = np.array(X0), value(np.array(X0))
    raw = np.maximum(0, np.log(7 / 2 + 1) - np.log(np.arange(1, 8)))
    u = raw / raw.sum() - 1 / 7
    for found in points:
        s = rng.standard_normal((7, n))
        f = np.array([value(mu + sigma * s_k) for s_k in s])
        if f.min() < lowest:
            best, lowest = mu + sigma * s[f.argmin()], f.min()
        np.testing.assert_allclose(found, best, atol=1e-10)
        ordered = s[f.argsort()]
        mu = mu + sigma * (u @ ordered)
        sigma = sigma * np.exp((3 + np.log(n)) / (5 * np.sqrt(n)) / 2 * (u @ (ordered**2 - 1)))
    assert value(mu) < value(np.array(X0)) / 10


def test_the_estimate_of_a_gradient_for_fixed_draws() -> None:
    epsilon = np.array([[1.0, 0.0], [0.5, -2.0]])
    plus, minus = np.array([3.0, 10.0]), np.array([1.0, -4.0])
    expected = ((3.0 - 1.0) * epsilon[0] + (10.0 + 4.0) * epsilon[1]) / (2 * 2 * 0.1)
    np.testing.assert_allclose(gradient_estimate(plus, minus, epsilon, 0.1, "none"), expected)
    ranks = {-4.0: -1 / 2, 1.0: -1 / 6, 3.0: 1 / 6, 10.0: 1 / 2}
    shaped = ((ranks[3.0] - ranks[1.0]) * epsilon[0] + (ranks[10.0] - ranks[-4.0]) * epsilon[1]) / (2 * 2 * 0.1)
    np.testing.assert_allclose(gradient_estimate(plus, minus, epsilon, 0.1, "ranks"), shaped)
    scaled = gradient_estimate(1e9 * plus + 7, 1e9 * minus + 7, epsilon, 0.1, "ranks")
    np.testing.assert_allclose(scaled, shaped)
    np.testing.assert_array_equal(gradient_estimate(np.ones(2), np.ones(2), epsilon, 0.1, "ranks"), 0)


def test_the_estimate_is_right_on_average_for_the_smoothed_function() -> None:
    """Of Σ x⁴, smoothed by N(0, σ²), the gradient is 4x³ + 12σ²x."""
    rng = np.random.default_rng(0)
    x, spread = np.array([1.0, -0.5]), 0.3
    epsilon = rng.standard_normal((200_000, 2))
    plus, minus = (((x + sign * spread * epsilon) ** 4).sum(axis=1) for sign in (1, -1))
    estimates = (plus - minus)[:, None] * epsilon / (2 * spread)
    error = estimates.std(axis=0) / math.sqrt(len(epsilon))
    found = gradient_estimate(plus, minus, epsilon, spread, "none")
    np.testing.assert_allclose(found, estimates.mean(axis=0))
    assert (np.abs(found - (4 * x**3 + 12 * spread**2 * x)) < 4 * error).all()


@pytest.mark.parametrize("shaping", ["ranks", "none"])
def test_openai_es_with_adam_is_torchs_adam_fed_with_the_estimates(shaping: str) -> None:
    method = openai_es(chain=tw.chain(tw.adam(), tw.step(0.05)), pairs=5, spread=0.2, shaping=shaping, seed=6)
    points = path_of(method, max_iter=20)
    rng = np.random.default_rng(6)
    theta = torch.tensor(X0, dtype=torch.float64)
    adam = torch.optim.Adam([theta], lr=0.05)
    best, lowest = theta.clone(), quadratic(theta)
    for found in points:
        epsilon = rng.standard_normal((5, 3))
        g = np.zeros(3)
        tried = [(theta + sign * 0.2 * torch.from_numpy(e)) for sign in (1, -1) for e in epsilon]
        values = np.array([quadratic(x) for x in tried])
        if values.min() < lowest:
            best, lowest = tried[values.argmin()], values.min()
        np.testing.assert_allclose(found, best.numpy(), atol=1e-12)
        weights = values.argsort().argsort() / 9 - 0.5 if shaping == "ranks" else values
        for k in range(5):
            g += (weights[k] - weights[5 + k]) * epsilon[k] / (10 * 0.2)
        theta.grad = torch.from_numpy(g)
        adam.step()


def test_openai_es_shows_a_chain_the_shape_of_the_start() -> None:
    method = openai_es(chain=tw.chain(tw.muon(), tw.step(0.02)))  # which takes nothing but matrices
    found = tw.minimize(lambda x: float((x**2).sum()), [[1.3, 0.7], [0.2, 1.0]], method, max_iter=200)
    assert found.fun < 0.01


def test_openai_es_takes_any_rule_and_schedule() -> None:
    schedule = tw.schedules.cosine(0.05, steps=300)
    chain = tw.chain(tw.clip(2.0), tw.heavy_ball(beta=0.5), tw.step(schedule))
    found = tw.minimize(quadratic, X0, openai_es(chain=chain, shaping="none"), max_iter=300)
    assert found.fun - quadratic(torch.from_numpy(np.linalg.solve(A, B))) < 0.01
