"""The model's oracles against their first steps, done by hand on small numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oracles import MODEL_ORACLES
from oracles.first_steps import PATHS

if TYPE_CHECKING:
    from collections.abc import Callable

    from oracles.first_steps import Tensors


@pytest.mark.parametrize(("key", "hyper", "rate", "start", "gradients", "path"), PATHS, ids=[p[0] for p in PATHS])
def test_the_first_steps_by_hand(
    key: str,
    hyper: dict[str, Any],
    rate: float | Callable[[int], float],
    start: Tensors,
    gradients: list[Tensors],
    path: list[Tensors],
):
    rule, dialect = key.split("-")
    oracle = MODEL_ORACLES[rule, dialect](start, rate, **hyper)
    for g, expected in zip(gradients, path, strict=True):
        for p, q in zip(oracle.step(g), expected, strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("dialect", "hyper", "averages"),
    [
        ("ema", {"decay": 0.5}, [-0.5, -1.25, -2.125]),
        ("ema_from_first_point", {"decay": 0.5}, [-1, -1.5, -2.25]),
        ("ema_corrected", {"decay": 0.5}, [-1, -5 / 3, -17 / 7]),
        ("polyak", {}, [-1, -1.5, -2]),
        ("polynomial_decay", {"gamma": 1.0}, [-1, -5 / 3, -7 / 3]),
        ("swa", {}, [-0.5, -1, -1.5]),
        ("swa", {"start": 1, "every": 2}, [-1, -1, -2]),
        ("swa", {"start": 2}, [-1, -2, -2.5]),
    ],
)
def test_the_average_of_minus_one_minus_two_minus_three(dialect: str, hyper: dict[str, float], averages: list[float]):
    oracle = MODEL_ORACLES["average", dialect]([[0.0]], 1.0, **hyper)
    path = [(oracle.step([[1.0]])[0][0], oracle.x[0][0]) for _ in range(3)]
    np.testing.assert_allclose(path, list(zip([-1, -2, -3], averages, strict=True)))


@pytest.mark.parametrize("dialect", ["adam", "adam_of_code"])
def test_two_steps_of_d_adaptations_adam_by_hand(dialect: str):
    # β₁ = 0, β₂ = 1/4, ε = 1, g = 4 with γ = 2, d = 1/2: m = 4, v = 12, 15; s = 2, 3; the product in the second step is
    # weighed with √15 + 1 after it or √12 + 1 before it; r = half of 4·2 over that, d̂ = r/(3/2).
    oracle = MODEL_ORACLES["d_adaptation", dialect]([[0.0]], 2.0, beta1=0.0, beta2=0.25, eps=1.0, d0=0.5)
    path = [oracle.step([[4.0]])[0][0] for _ in range(2)]
    assert path == pytest.approx([-4 / (12**0.5 + 1), -4 / (12**0.5 + 1) - 4 / (15**0.5 + 1)])
    assert oracle.d == pytest.approx(4 * 2 / ((15 if dialect == "adam" else 12) ** 0.5 + 1) / 2 / 1.5)
    for _ in range(3):
        oracle.step([[4.0]])
    v, s, r, d = 0.0, 0.0, 0.0, 0.5
    for _ in range(5):
        v_after = v / 4 + 12
        r = r / 2 + 2 * d * 4 * s / ((v_after if dialect == "adam" else v) ** 0.5 + 1) / 2
        s, v = s / 2 + 2 * d * 2, v_after
        d = max(d, r / (s / 2))
    assert oracle.d == pytest.approx(d)
    assert d > 1


def test_mars_exact_takes_the_difference_over_one_sample():
    oracle = MODEL_ORACLES["mars", "exact"]([[0.0]], 1.0, beta1=0.5, beta2=0.0, gamma=1.0, eps=0.0)
    first = oracle.step([[0.1]])
    assert first[0][0] == pytest.approx(-1)
    # c = 0.2 + (0.2 − 0.05) = 0.35, m = 0.025 + 0.175.
    assert oracle.step([[0.2]], [[0.05]])[0][0] == pytest.approx(-1 - 0.2 / 0.75 / 0.35)


def test_sophia_divides_by_the_hessian_where_it_is_positive_and_steps_by_the_sign_where_not():
    oracle = MODEL_ORACLES["sophia", "paper"]([[0.0, 0.0]], 1.0, beta1=0.5, beta2=0.5, gamma=1.0, weight_decay=0.0)
    np.testing.assert_allclose(oracle.step([[2.0, 2.0]], [[4.0, -4.0]]), [[-0.5, -1.0]])  # m = 1, h = ±2
    np.testing.assert_allclose(oracle.step([[0.0, 0.0]]), [[-0.75, -2.0]])  # m = 1/2, h as it was
    code = MODEL_ORACLES["sophia", "gauss_newton_of_code"](
        [[2.0]], 1.0, beta1=0.5, beta2=0.5, rho=0.5, batch_size=2.0, weight_decay=0.25
    )
    np.testing.assert_allclose(code.step([[2.0]], [[4.0]]), [[1.5 - 0.5]])


def test_vsgd_by_hand():
    # From gradients 1, 3: ḡ = 2, v̄ = 5, h̄ = 2, τ = 2. With g = 2, |h| = 4: 2, 9/2, 3; η = 8/9/3; τ = 2/9 + 1.
    oracle = MODEL_ORACLES["vsgd", "element_wise"](
        [[0.0]], bootstrap=[([[1.0]], [[2.0]]), ([[3.0]], [[-2.0]])], slow_start=1.0
    )
    np.testing.assert_allclose(oracle.step([[2.0]], [[-4.0]]), [[-16 / 27]])
    np.testing.assert_allclose(oracle.tau, [[11 / 9]])
    slow = MODEL_ORACLES["vsgd", "element_wise"]([[0.0]], bootstrap=[([[1.0]], [[2.0]])], slow_start=3.0)
    np.testing.assert_allclose([slow.v, slow.h], [[[3.0]], [[6.0]]])


def test_vsgd_by_differences_by_hand():
    # From gradients 1, 3 and curvatures 2, 4: ḡ = 2, v̄ = 5, h̄ = 3, q̄ = 10, τ = 2. 2 and 3 are no outliers: v̄ = 9/2,
    # q̄ = 19/2, η = 8/9·6/19. In the other element 9 is one: τ = 3, ḡ = 13/3, v̄ = 91/3, so ḡ²/v̄ = 13/21; q̄ = 29/3.
    bootstrap = [([[1.0, 1.0]], [[2.0, 2.0]]), ([[3.0, 3.0]], [[4.0, 4.0]])]
    oracle = MODEL_ORACLES["vsgd", "finite_differences"]([[0.0, 0.0]], bootstrap=bootstrap, slow_start=1.0, eps=0.0)
    path = oracle.step([[2.0, 9.0]], [[3.0, -3.0]])
    np.testing.assert_allclose(path, [[-16 / 9 * 6 / 19, -9 * 13 / 21 * 9 / 29]])
    np.testing.assert_allclose(oracle.tau, [[1 / 9 * 2 + 1, 8 / 21 * 3 + 1]])


def test_esgd_divides_by_the_root_of_the_mean_square_of_the_products():
    oracle = MODEL_ORACLES["esgd", "paper"]([[0.0]], 1.0, damping=1.0)
    path = [oracle.step([[4.0]], squares)[0][0] for squares in ([[9.0]], None, [[9.0]], [[0.0]])]
    np.testing.assert_allclose(path, [-1, -2, -3, -3 - 4 / (6**0.5 + 1)])


def test_sam_by_hand():
    # On f = ‖p‖²/2 at (3), (4), of norm 5, with ρ = 5 the worst point is twice as far.
    oracle = MODEL_ORACLES["sam", "paper"]([[3.0], [4.0]], 0.1, rho=5.0)
    np.testing.assert_allclose(oracle.step(lambda p: p), [[2.4], [3.2]])
    # T = |p|, T²g = (1), (8), ‖Tg‖ = √17.
    adaptive = MODEL_ORACLES["sam", "adaptive"]([[1.0], [2.0]], 0.1, rho=17**0.5, eta=0.0)
    np.testing.assert_allclose(adaptive.step(lambda p: p), [[0.8], [1.0]])


def test_entropy_sgd_by_hand():
    # f = p²/2 at 1, η' = α = 1/2, γ = 1: x' = 1/2, 1/2; μ = 3/4, 5/8.
    oracle = MODEL_ORACLES["entropy_sgd", "paper"]([[1.0]], 1.0, eta_inner=0.5, gamma=1.0, alpha=0.5)
    np.testing.assert_allclose(oracle.step(lambda p: p, [[[0.0]]] * 2), [[0.625]])
    # With η' = 1/4 the noise moves the walk by √η'·ε = 1: x' = 3/4 + 1, all of which μ takes; the step is a half of it.
    noisy = MODEL_ORACLES["entropy_sgd", "paper"]([[1.0]], 1.0, eta_inner=0.25, gamma=0.5, alpha=1.0, eps=2.0)
    np.testing.assert_allclose(noisy.step(lambda p: p, [[[1.0]]]), [[1 + 0.5 * 0.75]])
    # The code's: −√(2η')·ε = −1 with η' = 1/8; x' = 7/8 − 1, half of which μ takes, and no γ in the step.
    code = MODEL_ORACLES["entropy_sgd", "of_code"]([[1.0]], 1.0, eta_inner=0.125, gamma=7.0, beta=0.5, eps=2.0)
    np.testing.assert_allclose(code.step(lambda p: p, [[[1.0]]]), [[(1 - 0.125) / 2]])


def test_psgd_learns_by_hand():
    # V = 1, H = 2: A = 2, B = 1, so both factors shrink by μ: P = (1/2)⁴. Then A = 1/2, B = 4: they grow by it.
    oracle = MODEL_ORACLES["psgd", "kron"]([[[0.0]]], 1.0, mu=0.5)
    np.testing.assert_allclose(oracle.step([[[16.0]]], [[[1.0]]], [[[2.0]]]), [[[-1.0]]])
    np.testing.assert_allclose(oracle.step([[[16.0]]], [[[1.0]]], [[[2.0]]]), [[[-1.0 - 16 * 0.75**4]]])
