"""What the papers know about rules that look at other points, or at the way so far, asked of the oracles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from oracles import MODEL_ORACLES
from oracles.each_tensor import EachTensor, assert_same, rate
from oracles.gradients import MODEL, model_gradients

if TYPE_CHECKING:
    from oracles.protocol import Array


@pytest.mark.parametrize("dialect", ["adam", "adam_of_code"])
def test_d_adaptations_adam_with_its_estimate_held_is_uncorrected_adam(dialect: str):
    one = MODEL_ORACLES["d_adaptation", dialect](MODEL, 1.0, d0=0.03, growth_rate=1.0)
    two = EachTensor(("adam", "uncorrected"), 0.03)
    for g in model_gradients():
        assert_same(one.step(g), two.step(g))


def distance_gradient(p: list[Array]) -> list[Array]:
    """The gradient of the convex ‖p − 2‖, whose solution is 2 everywhere."""
    size = np.sqrt(sum(np.sum((x - 2) ** 2) for x in p))
    return [(x - 2) / size for x in p]


@pytest.mark.parametrize(("key", "greatest"), [("d_adaptation-sgd", 2.0), ("prodigy-adam", 1.0)])
def test_the_estimate_grows_and_stays_a_lower_bound_of_the_distance(key: str, greatest: float):
    # By convexity Σλ⟨g, x₀ − x*⟩ ≥ Σλ⟨g, x₀ − x⟩; the code's d̂ for SGD is twice what follows from it.
    rule, dialect = key.split("-")
    start = [np.full(3, 5.0), np.full(2, 1.0)]
    distance = np.sqrt(3 * 9 + 2) if dialect == "sgd" else 3.0
    oracle = MODEL_ORACLES[rule, dialect](start)
    p, d = start, 0.0
    for _ in range(300):
        p = oracle.step(distance_gradient(p))
        assert d <= oracle.d <= greatest * distance * (1 + 1e-12)
        d = oracle.d
    assert d > distance / 20


def test_dogs_first_step_is_as_long_as_its_first_distance():
    oracle = MODEL_ORACLES["dog", "over_model"](MODEL, reps_rel=1e-3, eps=0.0)
    after = oracle.step(model_gradients(1)[0])
    length = np.sqrt(sum(np.sum((p - q) ** 2) for p, q in zip(after, MODEL, strict=True)))
    size = np.sqrt(sum(np.sum(q**2) for q in MODEL))
    assert length == pytest.approx(1e-3 * (1 + size), rel=1e-9)


def test_schedule_free_at_the_stepping_point_averages_as_polyak_does():
    # β = 0: y = z, and with a constant rate x is the plain mean of the points after the first.
    one = MODEL_ORACLES["schedule_free", "sgd"](MODEL, 0.1, momentum=0.0)
    two = MODEL_ORACLES["average", "polyak"](MODEL, 0.1)
    for g in model_gradients():
        assert_same(one.step(g), two.step(g))
        assert_same(one.x, two.x)


@pytest.mark.parametrize("dialect", ["sgd", "adamw", "adamw_paper"])
def test_schedule_free_at_the_average_is_primal_averaging(dialect: str):
    # β = 1: y = x.
    beta = {"momentum": 1.0} if dialect == "sgd" else {"beta1": 1.0}
    oracle = MODEL_ORACLES["schedule_free", dialect](MODEL, rate, **beta)
    for g in model_gradients():
        assert_same(oracle.step(g), oracle.x)


def test_the_two_schedule_free_adamws_are_one_without_eps_and_with_equal_weights():
    settings = {"eps": 0.0, "weight_lr_power": 0.0}
    one, two = (MODEL_ORACLES["schedule_free", d](MODEL, rate, **settings) for d in ("adamw", "adamw_paper"))
    for g in model_gradients(zeros=False):
        assert_same(one.step(g), two.step(g))


def test_averages_are_what_they_say_of_the_points():
    names = ["polyak", "swa", "polynomial_decay", "ema_corrected"]
    hypers: list[dict[str, float]] = [{}, {"start": 5, "every": 4}, {"gamma": 0.0}, {"decay": 0.9}]
    oracles = [MODEL_ORACLES["average", n](MODEL, rate, **h) for n, h in zip(names, hypers, strict=True)]
    points = [MODEL]
    for g in model_gradients(25):
        at_one_point = [oracle.step(g) for oracle in oracles]
        points += at_one_point[:1]
    weights = [0.9 ** (25 - t) for t in range(1, 26)]
    for i in range(3):
        path = np.array([p[i] for p in points])
        np.testing.assert_allclose(oracles[0].x[i], np.mean(path[1:], axis=0))
        np.testing.assert_allclose(oracles[1].x[i], np.mean(path[5::4], axis=0))
        np.testing.assert_allclose(oracles[2].x[i], np.mean(path[1:], axis=0))
        np.testing.assert_allclose(oracles[3].x[i], np.average(path[1:], axis=0, weights=weights))


def test_lookahead_after_every_step_is_descent_at_a_share_of_the_rate():
    one = MODEL_ORACLES["lookahead", "around_descent"](MODEL, rate, alpha=0.25, k=1)
    two = EachTensor(("gradient_descent", "plain"), lambda k: 0.25 * rate(k))
    for g in model_gradients():
        assert_same(one.step(g), two.step(g))
        assert_same(one.x, one.p)


@pytest.mark.parametrize("dialect", ["paper", "adaptive"])
def test_sam_without_a_neighbourhood_or_where_the_gradient_is_the_same_everywhere_is_descent(dialect: str):
    nowhere = MODEL_ORACLES["sam", dialect](MODEL, rate, rho=0.0)
    linear = MODEL_ORACLES["sam", dialect](MODEL, rate)
    plain_curved, plain_linear = (EachTensor(("gradient_descent", "plain")) for _ in range(2))
    p = MODEL
    for g in model_gradients(20):
        curved = [np.tanh(x) for x in p]
        p = nowhere.step(lambda q: [np.tanh(x) for x in q])
        assert_same(p, plain_curved.step(curved))
        assert_same(linear.step(lambda _, g=g: g), plain_linear.step(g))


def test_sams_neighbour_is_rho_away_over_the_whole_model():
    asked: list[list[Array]] = []

    def gradient(p: list[Array]) -> list[Array]:
        asked.append(p)
        return [np.tanh(x) for x in p]

    MODEL_ORACLES["sam", "paper"](MODEL, 0.1, rho=0.3).step(gradient)
    here, there = asked
    assert np.sqrt(sum(np.sum((x - y) ** 2) for x, y in zip(here, there, strict=True))) == pytest.approx(0.3)


def test_entropy_sgd_with_one_quiet_step_is_descent_at_the_product_of_its_rates():
    one = MODEL_ORACLES["entropy_sgd", "paper"](MODEL, 2.0, eta_inner=0.1, gamma=0.5, alpha=0.7)
    two = EachTensor(("gradient_descent", "plain"), 2.0 * 0.5 * 0.7 * 0.1)
    code = MODEL_ORACLES["entropy_sgd", "of_code"](MODEL, 2.0, eta_inner=0.1, beta=0.3)
    three = EachTensor(("gradient_descent", "plain"), 2.0 * 0.7 * 0.1)
    quiet = [[np.zeros_like(p) for p in MODEL]]
    for g in model_gradients(10):
        assert_same(one.step(lambda _, g=g: g, quiet), two.step(g))
        assert_same(code.step(lambda _, g=g: g, quiet), three.step(g))
