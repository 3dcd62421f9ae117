"""What the papers know about rules that keep a matrix, asked of the oracles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oracles import MODEL_ORACLES, ORACLES
from oracles.full_matrix_adagrad import power

if TYPE_CHECKING:
    from oracles.protocol import Array

RANDOM = np.random.default_rng(7)
STEPS = 15
SQUARES = [RANDOM.standard_normal((3, 3)) for _ in range(STEPS)]
VECTORS = [RANDOM.standard_normal(4) for _ in range(STEPS)]
LEFT, RIGHT = (np.linalg.qr(RANDOM.standard_normal((3, 3)))[0] for _ in range(2))
START = RANDOM.standard_normal((3, 3))


def path(oracle: Any, gradients: list[Array]) -> list[Array]:  # noqa: ANN401 - any oracle
    return [oracle.step([g])[0] for g in gradients]


def test_a_power_of_a_matrix_is_that_of_its_eigenvalues():
    A = SQUARES[0] @ SQUARES[0].T
    np.testing.assert_allclose(power(A, 0.5) @ power(A, 0.5), A, atol=1e-12)
    quarter = power(A, -0.25)
    np.testing.assert_allclose(quarter @ quarter @ quarter @ quarter @ A, np.eye(3), atol=1e-9)


@pytest.mark.parametrize(
    ("key", "hyper"),
    [
        (("shampoo", "paper"), {}),
        (("soap", "of_code"), {"precondition_frequency": 2, "eps": 0.0}),
        (("muon", "torch"), {}),
    ],
    ids=["shampoo", "soap", "muon"],
)
def test_turning_a_matrix_from_both_sides_turns_its_path(key: tuple[str, str], hyper: dict[str, Any]):
    plain = path(MODEL_ORACLES[key]([START], 0.1, **hyper), SQUARES)
    turned = path(MODEL_ORACLES[key]([LEFT @ START @ RIGHT], 0.1, **hyper), [LEFT @ G @ RIGHT for G in SQUARES])
    for p, q in zip(plain, turned, strict=True):
        np.testing.assert_allclose(LEFT @ p @ RIGHT, q, atol=1e-9)


@pytest.mark.parametrize("dialect", ["damped_outside", "damped_inside"])
def test_turning_a_vector_turns_the_path_of_the_full_matrix_but_not_of_the_diagonal(dialect: str):
    Q = np.linalg.qr(RANDOM.standard_normal((4, 4)))[0]
    turned = [Q @ g for g in VECTORS]
    full = [path(MODEL_ORACLES["full_matrix_adagrad", dialect]([np.zeros(4)], 0.1), g) for g in (VECTORS, turned)]
    for p, q in zip(*full, strict=True):
        np.testing.assert_allclose(Q @ p, q, atol=1e-8)
    diagonal: list[list[Array]] = []
    for gradients in (VECTORS, turned):
        oracle = ORACLES["adagrad", "torch"](np.zeros(4), 0.1)
        diagonal.append([oracle.step(g) for g in gradients])
    assert not np.allclose(Q @ diagonal[0][-1], diagonal[1][-1], atol=1e-3)


def test_full_matrix_adagrad_of_one_element_is_adagrad():
    full = MODEL_ORACLES["full_matrix_adagrad", "damped_outside"]([[2.0]], 0.1, delta=0.3)
    plain = ORACLES["adagrad", "eps_outside"]([2.0], 0.1, eps=0.3)
    for g in VECTORS:
        np.testing.assert_allclose(full.step([g[:1]])[0], plain.step(g[:1]), rtol=1e-12)


def test_full_matrix_adagrads_regret_keeps_duchis_bound():
    # Theorem 7 on f_t(x) = ⟨g_t, x⟩ over a ball: R ≤ (D²/2α + α) tr(G^½), with D the largest ‖x_t − x*‖.
    alpha = 0.5
    oracle = MODEL_ORACLES["full_matrix_adagrad", "damped_outside"]([np.zeros(4)], alpha, delta=1e-6)
    points = [np.zeros(4), *path(oracle, VECTORS)]
    total = np.sum(VECTORS, axis=0)
    best = -total / np.linalg.norm(total)
    regret = sum(g @ (x - best) for g, x in zip(VECTORS, points[:-1], strict=True))
    D = max(np.linalg.norm(x - best) for x in points)
    assert regret <= (D**2 / (2 * alpha) + alpha) * np.trace(power(oracle.G[0], 0.5))


def test_shampoo_of_a_vector_is_full_matrix_adagrad_damped_inside():
    one = MODEL_ORACLES["shampoo", "paper"]([np.zeros(4)], 0.1, eps=0.2)
    two = MODEL_ORACLES["full_matrix_adagrad", "damped_inside"]([np.zeros(4)], 0.1, delta=0.2)
    for p, q in zip(path(one, VECTORS), path(two, VECTORS), strict=True):
        np.testing.assert_allclose(p, q, atol=1e-11)


def test_shampoo_of_diagonal_gradients_is_adagrad_of_the_diagonal():
    shampoo = MODEL_ORACLES["shampoo", "paper"]([np.zeros((4, 4))], 0.1, eps=0.2)
    adagrad = ORACLES["adagrad", "eps_inside"](np.zeros(4), 0.1, initial=0.0, eps=0.2)
    for g in VECTORS:
        np.testing.assert_allclose(shampoo.step([np.diag(g)])[0], np.diag(adagrad.step(g)), atol=1e-11)


def test_shampoos_matrices_bound_those_of_the_full_matrix():
    # Lemma 8: with r the rank, εI + Σggᵀ/r ≼ L^½ ⊗ R^½.
    oracle = MODEL_ORACLES["shampoo", "paper"]([START], 0.1, eps=0.1)
    path(oracle, SQUARES)
    L, R = oracle.H[0]
    full = 0.1 * np.eye(9) + sum(np.outer(G.ravel(), G.ravel()) for G in SQUARES) / 3
    gap = np.kron(power(L, 0.5), power(R, 0.5)) - full
    assert np.min(np.linalg.eigvalsh(gap)) > -1e-9


def test_soap_of_a_vector_is_adam_that_misses_the_first_gradient():
    soap = MODEL_ORACLES["soap", "of_code"]([np.zeros(4)], 0.1, weight_decay=0.0)
    adam = ORACLES["adam", "efficient"](np.zeros(4), 0.1, beta1=0.95, beta2=0.95)
    np.testing.assert_array_equal(soap.step([VECTORS[0]])[0], np.zeros(4))
    for g in VECTORS[1:]:
        np.testing.assert_allclose(soap.step([g])[0], adam.step(g), rtol=1e-11)


def test_soap_steps_in_the_eigenvectors_of_shampoos_matrices():
    oracle = MODEL_ORACLES["soap", "of_code"]([START], 0.1, precondition_frequency=1)
    gradients = [LEFT @ np.diag([9.0, 3.0, 1.0]) @ RIGHT.T * (1 + 0.1 * k) for k in range(40)]
    path(oracle, gradients)
    for Q, L in zip(oracle.Q[0], oracle.L[0], strict=True):
        np.testing.assert_allclose(Q.T @ Q, np.eye(3), atol=1e-12)
        turned = Q.T @ L @ Q
        np.testing.assert_allclose(turned, np.diag(np.diag(turned)), atol=1e-9 * np.max(turned))
        assert np.all(np.diff(np.diag(turned)) < 0)


def test_muon_ignores_the_scale_of_the_gradient_and_steps_equally_in_all_directions():
    settings = {"weight_decay": 0.0, "ns_steps": 60, "ns_coefficients": (1.5, -0.5, 0.0)}  # the one that converges
    one, two = (MODEL_ORACLES["muon", "torch"]([START], 0.1, **settings) for _ in range(2))
    before = START
    for G in SQUARES:
        (p,), (q,) = one.step([G]), two.step([1000 * G])
        np.testing.assert_allclose(p, q, atol=1e-9)
        np.testing.assert_allclose(np.linalg.svd(p - before)[1], [0.1] * 3, rtol=1e-5)
        before = p


def test_psgd_learns_the_inverse_of_a_hessian_that_is_a_kronecker_product():
    A, B = (np.diag([4.0, 1.0, 0.25]), np.diag([2.0, 1.0, 0.5]))
    A, B = LEFT @ A @ LEFT.T, RIGHT @ B @ RIGHT.T
    oracle = MODEL_ORACLES["psgd", "kron"]([np.zeros((3, 3))], 0.1)
    for k in range(3000):
        oracle.mu = 0.3 / (1 + 0.01 * k)
        V = RANDOM.standard_normal((3, 3))
        oracle.step([np.zeros((3, 3))], [V], [A @ V @ B])
    Ql, Qr = oracle.Ql[0], oracle.Qr[0]
    assert np.all(np.diag(Ql) > 0)
    np.testing.assert_allclose(Ql, np.triu(Ql), atol=1e-15)
    P = np.kron(Ql.T @ Ql, Qr.T @ Qr)
    np.testing.assert_allclose(P @ np.kron(A, B), np.eye(9), atol=0.1)


def test_psgd_without_probes_is_plain_descent():
    oracle = MODEL_ORACLES["psgd", "kron"]([START], 0.1, scale=4.0)
    np.testing.assert_allclose(path(oracle, SQUARES)[-1], START - 1.6 * np.sum(SQUARES, axis=0))
