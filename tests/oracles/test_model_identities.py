"""What the papers know about rules whose step takes a norm, a mean or a curvature, asked of the oracles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oracles import MODEL_ORACLES, lamb
from oracles.cautious import by_mean
from oracles.each_tensor import EachTensor, assert_same, rate
from oracles.gradients import MODEL, START, gradients, model_gradients

if TYPE_CHECKING:
    from oracles.protocol import Array


def no_mask(u: Array, _: Array) -> Array:
    return np.ones_like(u)


# A rule over the model, what makes it plain, and the rule of single elements that it is then.
PLAIN = [
    ("clip-over_model", {"max_norm": 1e9}, ("gradient_descent", "plain"), {}),
    ("clip-per_tensor", {"max_norm": 1e9}, ("gradient_descent", "plain"), {}),
    ("cautious-lion", {"mask": no_mask}, ("lion", "paper"), {}),
    ("cautious-momentum", {"mask": no_mask}, ("heavy_ball", "rate_outside"), {}),
    (
        "cautious-adamw",
        {"mask": no_mask, "weight_decay": 0.2},
        ("adamw", "coupled_to_rate"),
        {"weight_decay": 0.2},
    ),
    ("sgdw-decoupled", {"weight_decay": 0.0}, ("heavy_ball", "rate_inside"), {"beta": 0.9}),
    ("sgdw-l2", {"weight_decay": 0.0}, ("heavy_ball", "rate_inside"), {"beta": 0.9}),
    ("lookahead-around_descent", {"alpha": 1.0}, ("gradient_descent", "plain"), {}),
    ("lookahead-around_adam", {"alpha": 1.0}, ("adam", "eps_outside"), {}),
    ("schedule_free-sgd", {"momentum": 0.0}, ("gradient_descent", "plain"), {}),
    (
        "schedule_free-adamw",
        {"beta1": 0.0, "weight_decay": 0.2},
        ("adamw", "coupled_to_rate"),
        {"beta1": 0.0, "weight_decay": 0.2},
    ),
    ("sophia-paper", {"weight_decay": 0.0, "eps": 1e-300}, ("signum", "paper"), {"beta": 0.96}),
    ("prodigy-adam", {"d_coef": 0.0, "d0": 1.0}, ("adam", "uncorrected"), {}),
    ("average-polyak", {}, ("gradient_descent", "plain"), {}),
    ("average-swa", {}, ("gradient_descent", "plain"), {}),
    ("average-ema", {}, ("gradient_descent", "plain"), {}),
]


@pytest.mark.parametrize(("key", "hyper", "plain", "plain_hyper"), PLAIN, ids=[p[0] for p in PLAIN])
def test_made_plain_a_rule_is_the_one_it_was_built_on(
    key: str, hyper: dict[str, Any], plain: tuple[str, str], plain_hyper: dict[str, Any]
):
    rule, dialect = key.split("-")
    one, two = MODEL_ORACLES[rule, dialect](MODEL, rate, **hyper), EachTensor(plain, **plain_hyper)
    for g in model_gradients():
        assert_same(one.step(g), two.step(g))


@pytest.mark.parametrize("dialect", ["corrected", "uncorrected"])
def test_lamb_with_a_trust_ratio_of_one_is_adamw(dialect: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lamb, "trust_ratio", lambda *_: 1.0)
    one = MODEL_ORACLES["lamb", dialect](MODEL, rate, weight_decay=0.2, eps=1e-3)
    two = EachTensor(("adamw", "coupled_to_rate"), weight_decay=0.2, eps=1e-3)
    bare = EachTensor(("adam", "uncorrected"), eps=1e-3)
    for k, g in enumerate(model_gradients()):
        before = [p.copy() for p in one.p]
        p, q, r = one.step(g), two.step(g), bare.step(g)
        if dialect == "corrected":
            assert_same(p, q)
        elif k == 0:
            assert_same(p, [r_i - rate(0) * 0.2 * p0 for r_i, p0 in zip(r, before, strict=True)])


def test_lambs_steps_are_as_long_as_the_rate_times_the_tensor():
    oracle = MODEL_ORACLES["lamb", "corrected"](MODEL, rate)
    before = MODEL
    for k, g in enumerate(model_gradients()):
        after = oracle.step(g)
        for p, q in zip(after, before, strict=True):
            assert np.linalg.norm(p - q) == pytest.approx(rate(k) * np.linalg.norm(q))
        before = after


def test_lamb_needs_no_correction_where_nothing_is_added_to_the_moments():
    one, two = (MODEL_ORACLES["lamb", d](MODEL, rate, eps=0.0, weight_decay=0.0) for d in ("corrected", "uncorrected"))
    for g in model_gradients(zeros=False):
        assert_same(one.step(g), two.step(g))


@pytest.mark.parametrize("key", [("lars", "paper"), ("lars", "norm_of_sum"), ("adafactor", "paper")], ids="-".join)
def test_some_rules_ignore_the_scale_of_the_gradient(key: tuple[str, str]):
    settings = {"weight_decay": 0.0} if key[0] == "lars" else {}
    one, two = (MODEL_ORACLES[key](MODEL, rate, **settings) for _ in range(2))
    for g in model_gradients(zeros=False):
        assert_same(one.step(g), two.step([1000 * g_i for g_i in g]))


@pytest.mark.parametrize("rule", ["normalised_descent", "clip", "dog"])
def test_over_the_model_and_per_tensor_are_one_for_a_single_tensor_and_two_for_many(rule: str):
    for tensors, same in ((slice(1), True), (slice(3), False)):
        one, two = (MODEL_ORACLES[rule, d](MODEL[tensors], rate) for d in ("over_model", "per_tensor"))
        for g in model_gradients(10):
            p, q = one.step(g[tensors]), two.step(g[tensors])
        if same:
            assert_same(p, q)
        else:
            assert not np.allclose(p[0] - MODEL[0], q[0] - MODEL[0], rtol=1e-3)


def test_clipping_every_gradient_is_normalised_descent_at_the_clipped_rate():
    one = MODEL_ORACLES["clip", "over_model"](MODEL, rate, max_norm=0.01, eps=0.0)
    two = MODEL_ORACLES["normalised_descent", "over_model"](MODEL, lambda k: 0.01 * rate(k))
    for g in model_gradients():
        assert_same(one.step(g), two.step(g))


def test_adafactor_of_a_matrix_whose_squares_have_rank_one_is_that_of_the_same_vector():
    random = np.random.default_rng(4)
    columns = random.standard_normal((30, 3))
    start = random.standard_normal((4, 3))
    matrix = MODEL_ORACLES["adafactor", "paper"]([start])
    vector = MODEL_ORACLES["adafactor", "paper"]([start.ravel()])
    rows = random.standard_normal(4)
    for c in columns:
        signs = np.where(random.random((4, 3)) < 0.5, -1.0, 1.0)
        g = signs * np.outer(np.abs(rows), np.abs(c))
        assert_same([matrix.step([g])[0].ravel()], vector.step([g.ravel()]))


def test_the_two_adafactors_are_one_where_eps_does_not_matter():
    paper = MODEL_ORACLES["adafactor", "paper"](MODEL)
    torchs = MODEL_ORACLES["adafactor", "torch"](MODEL, 1e-2)
    for g in model_gradients(zeros=False):
        assert_same(paper.step(g), torchs.step(g))


@pytest.mark.parametrize("dialect", ["exact", "approximate", "approximate_from_zero"])
def test_mars_without_correction_is_adamw_on_gradients_of_norm_below_one(dialect: str):
    one = MODEL_ORACLES["mars", dialect](MODEL, rate, gamma=0.0, weight_decay=0.2)
    two = EachTensor(("adamw", "coupled_to_rate"), beta1=0.95, beta2=0.99, weight_decay=0.2)
    for g in model_gradients():
        small = [0.01 * g_i for g_i in g]
        assert_same(one.step(small), two.step(small))


def test_a_cautious_step_never_goes_uphill_and_keeps_the_steps_mean_size():
    oracle = MODEL_ORACLES["cautious", "lion"](MODEL, rate, mask=by_mean)
    before = MODEL
    for k, g in enumerate(model_gradients(zeros=False)):
        after = oracle.step(g)
        for p, q, g_i in zip(after, before, g, strict=True):
            assert np.all((p - q) * g_i <= 0)
            assert np.mean(np.abs(p - q)) == pytest.approx(rate(k))
        before = after


def test_vsgds_rate_is_at_most_one_over_the_curvature_and_that_without_noise():
    h = np.array([1.0, 10.0, 0.1])
    oracle = MODEL_ORACLES["vsgd", "element_wise"]([np.ones(3)], bootstrap=[([h], [h])] * 10, slow_start=1.0)
    assert_same(oracle.step([h], [h]), [np.zeros(3)])  # one gradient over and over: Newton's step
    noisy = MODEL_ORACLES["vsgd", "element_wise"]([START], bootstrap=[([g], [START]) for g in gradients(10)])
    before = START
    for g in gradients(zeros=False):
        (after,) = noisy.step([g], [START])
        assert np.all(np.abs(after - before) <= np.abs(g) / noisy.h[0] * (1 + 1e-6))
        before = after


def test_esgd_on_a_diagonal_quadratic_takes_newtons_step_downhill():
    h = np.array([4.0, -2.0])
    oracle = MODEL_ORACLES["esgd", "paper"]([[1.0, 1.0]], 1.0, damping=0.0)
    assert_same(oracle.step([h], [h**2]), [np.array([0.0, 2.0])])


def test_decoupled_decay_is_l2_for_plain_descent_with_lambda_rescaled():
    # Loshchilov and Hutter, Proposition 1.
    one = MODEL_ORACLES["sgdw", "decoupled"](MODEL, 0.05, beta1=0.0, weight_decay=0.02, eta=rate)
    two = MODEL_ORACLES["sgdw", "l2"](MODEL, 0.05, beta1=0.0, weight_decay=0.4, eta=rate)
    momentum = MODEL_ORACLES["sgdw", "l2"](MODEL, 0.05, beta1=0.9, weight_decay=0.4, eta=rate)
    for g in model_gradients():
        p, q, r = one.step(g), two.step(g), momentum.step(g)
        assert_same(p, q)
    assert not np.allclose(p[0], r[0], rtol=1e-2)
