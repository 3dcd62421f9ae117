"""What the decks, the papers and the field know about these rules, asked of the oracles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from oracles import ORACLES
from oracles.gradients import START, gradients

if TYPE_CHECKING:
    from oracles.protocol import Array, Oracle

Q = np.array([[3.0, 1.0], [1.0, 2.0]])
HERE = np.array([1.0, -2.0])


def assert_same(p: Array | list[float], q: Array | list[float], *, rtol: float = 1e-12, atol: float = 1e-12) -> None:
    np.testing.assert_allclose(p, q, rtol=rtol, atol=atol)


def quadratic_gradient(p: Array) -> Array:
    return Q @ p


def paths(one: Oracle, two: Oracle, all_gradients: Array) -> list[tuple[Array, Array]]:
    return [(one.step(g), two.step(g)) for g in all_gradients]


def test_heavy_ball_is_the_decayed_sum_of_all_gradients():
    # Deck A: θ_{k+1} = θ_k − α Σ β^{k−i} g_i.
    alpha, beta, g = 0.1, 0.8, gradients(20)
    oracle = ORACLES["heavy_ball", "rate_inside"](START, alpha, beta=beta)
    p = START
    for k in range(20):
        p = p - alpha * sum(beta ** (k - i) * g[i] for i in range(k + 1))
        assert_same(oracle.step(g[k]), p)


def test_heavy_ball_with_constant_rate_is_one_rule_inside_and_outside():
    inside = ORACLES["heavy_ball", "rate_inside"](START, 0.1, beta=0.8)
    outside = ORACLES["heavy_ball", "rate_outside"](START, 0.1, beta=0.8)
    for p, q in paths(inside, outside, gradients()):
        assert_same(p, q)


def test_the_damped_average_is_rate_outside_at_a_larger_rate():
    damped = ORACLES["heavy_ball", "damped_average"](START, 0.1 / (1 - 0.8), beta=0.8)
    outside = ORACLES["heavy_ball", "rate_outside"](START, 0.1, beta=0.8)
    for p, q in paths(damped, outside, gradients()):
        assert_same(p, q)


def test_torchs_dampening_is_not_the_damped_average():
    damped = ORACLES["heavy_ball", "damped_average"](START, 0.1, beta=0.8)
    torchs = ORACLES["heavy_ball", "rate_outside"](START, 0.1, beta=0.8, dampening=0.8)
    (p, q), *_ = paths(damped, torchs, gradients())
    assert not np.allclose(p, q, rtol=1e-3)


def test_two_sequences_are_heavy_ball_when_the_one_decays_and_the_other_grows():
    alpha, beta = 0.1, 0.8
    two = ORACLES["heavy_ball_two_sequences", "undamped"](START, lambda t: alpha / beta**t, gamma=lambda t: beta**t)
    one = ORACLES["heavy_ball", "rate_inside"](START, alpha, beta=beta)
    for p, q in paths(two, one, gradients(50)):
        assert_same(p, q, rtol=1e-10, atol=1e-12)


def test_two_constant_sequences_do_not_damp():
    oracle = ORACLES["heavy_ball_two_sequences", "undamped"]([0.0], 0.1, gamma=1.0)
    path = [oracle.step([1.0])[0] for _ in range(4)]
    np.testing.assert_allclose(path, [-0.1, -0.3, -0.6, -1.0])


@pytest.mark.parametrize(("rule", "dialect"), [("heavy_ball", "rate_inside"), ("nesterov", "rate_outside")])
def test_momentum_without_momentum_is_gradient_descent(rule: str, dialect: str):
    momentum = ORACLES[rule, dialect](START, 0.1, beta=0.0)
    plain = ORACLES["gradient_descent", "plain"](START, 0.1)
    for p, q in paths(momentum, plain, gradients()):
        assert_same(p, q)


def test_momentum_multiplies_a_constant_gradient_by_one_over_one_minus_mu():
    # Deck C.
    oracle = ORACLES["heavy_ball", "rate_inside"]([0.0], 0.1, beta=0.9)
    path = [oracle.step([1.0])[0] for _ in range(300)]
    assert path[-1] - path[-2] == pytest.approx(-0.1 / (1 - 0.9), rel=1e-10)


def test_look_ahead_and_change_of_variables_are_one_sequence_seen_at_two_points():
    # Deck D: the second walks through the points p + βv where the first asks for its gradient.
    ahead = ORACLES["nesterov", "look_ahead"](HERE, 0.05, beta=0.9)
    changed = ORACLES["nesterov", "change_of_variables"](HERE, 0.05, beta=0.9)
    p = HERE
    for _ in range(100):
        ahead.step(quadratic_gradient)
        p = changed.step(quadratic_gradient(p))
        assert_same(p, ahead.ahead)
    assert np.linalg.norm(p) < 1e-2


def test_torchs_nesterov_is_the_change_of_variables_while_the_rate_is_constant():
    changed = ORACLES["nesterov", "change_of_variables"](START, 0.05, beta=0.9)
    torchs = ORACLES["nesterov", "rate_outside"](START, 0.05, beta=0.9)
    for p, q in paths(changed, torchs, gradients()):
        assert_same(p, q)


def test_constant_acceleration_is_nesterov_momentum_after_its_first_step():
    # Sutskever et al. 2013, appendix: x of one is the parameter of the other. At the first step x starts at
    # p, so the velocity that the next step sees is the same −αg.
    accelerated = ORACLES["nesterov_acceleration", "constant"](START, 0.05, beta=0.9)
    changed = ORACLES["nesterov", "change_of_variables"](START, 0.05, beta=0.9)
    for p, q in paths(accelerated, changed, gradients()):
        assert_same(p, q)


def test_acceleration_begins_with_weights_0_a_quarter_two_fifths():
    # p is where k/(k+3) puts it; f(x) = x²/2 with α = 1/2, from 1, by hand:
    # k=0: x=1/2, p=1/2; k=1: x=1/4, p=1/4 + 1/4(1/4−1/2) = 3/16; k=2: x=3/32, p=3/32 + 2/5(3/32−1/4) = 1/32.
    oracle = ORACLES["nesterov_acceleration", "growing"]([1.0], 0.5)
    p, path = np.array([1.0]), []
    for _ in range(3):
        p = oracle.step(p)
        path.append(p[0])
    assert_same(path, [1 / 2, 3 / 16, 1 / 32])


@pytest.mark.parametrize("dialect", ["minus", "improved_minus", "plus"])
def test_nine_gradients_of_a_tenth_and_one_of_minus_nine_tenths(dialect: str):
    # Deck C: SGD stays where it was, and the Manhattan rule (Rprop with both factors 1) walks 8δ; where it
    # backtracks or skips at the change of sign, 8δ and 9δ.
    minibatches, delta = [0.1] * 9 + [-0.9], 0.01
    sgd = ORACLES["gradient_descent", "plain"]([0.0], 1.0)
    manhattan = ORACLES["rprop", dialect]([0.0], delta, eta_plus=1.0, eta_minus=1.0)
    grown = ORACLES["rprop", dialect]([0.0], delta)
    at_sgd, at_manhattan, at_grown = [
        [oracle.step([g])[0] for g in minibatches][-1] for oracle in (sgd, manhattan, grown)
    ]
    assert at_sgd == pytest.approx(0.0, abs=1e-15)
    assert at_manhattan == pytest.approx(-9 * delta if dialect == "improved_minus" else -8 * delta)
    assert at_grown < at_manhattan


def test_the_four_rprops_by_hand():
    # g: +, +, −, −, + from 0 with Δ₀ = 1, η⁺ = 2, η⁻ = 1/2. The first two steps are −1 and −2 in all four, to
    # −3; at the third Δ falls to 1. Rprop⁻ steps +1, then +2 (same sign), then −1 (changed). iRprop⁻ skips,
    # steps +1 without adapting, then Δ falls to 1/2 and it skips. Rprop⁺ takes 2 back to −1, steps +1 to 0,
    # then takes 1 back. iRprop⁺ with the loss first rising (backtracks) then falling (skips).
    signs = [1.0, 1.0, -1.0, -1.0, 1.0]
    hyper = {"eta_plus": 2.0, "eta_minus": 0.5}

    def walk(dialect: str, *losses: float) -> list[float]:
        oracle = ORACLES["rprop", dialect]([0.0], 1.0, **hyper)
        extra = [(loss,) for loss in losses] or [()] * 5
        return [oracle.step([g], *more)[0] for g, more in zip(signs, extra, strict=True)]

    assert walk("minus") == [-1, -3, -2, 0, -1]
    assert walk("improved_minus") == [-1, -3, -3, -2, -2]
    assert walk("plus") == [-1, -3, -1, 0, -1]
    assert walk("improved_plus", 5.0, 4.0, 6.0, 3.0, 2.0) == [-1, -3, -1, 0, 0]
    assert walk("improved_plus", 5.0, 4.0, 3.0, 2.0, 1.0) == walk("improved_minus")
    assert walk("improved_plus", 1.0, 2.0, 3.0, 4.0, 5.0) == walk("plus")


def test_rprop_ignores_the_size_of_the_gradient():
    one = ORACLES["rprop", "improved_minus"](START, 0.1)
    other = ORACLES["rprop", "improved_minus"](START, 0.1)
    for g in gradients():
        np.testing.assert_array_equal(one.step(g), other.step(1e-9 * g))


def test_rprops_steps_stay_between_their_bounds():
    oracle = ORACLES["rprop", "minus"]([0.0, 0.0], 0.1, delta_min=0.01, delta_max=1.0)
    path = [oracle.step([1.0, (-1.0) ** k]) for k in range(60)]
    assert_same(np.abs(path[-1] - path[-2]), [1.0, 0.01], rtol=1e-10)


def test_adagrads_rate_falls_as_one_over_root_t_on_a_constant_gradient():
    oracle = ORACLES["adagrad", "eps_outside"]([0.0], 0.1, eps=0.0)
    path = [0.0] + [oracle.step([7.0])[0] for _ in range(9)]
    np.testing.assert_allclose(-np.diff(path), 0.1 / np.sqrt(np.arange(1, 10)))


def test_rmsprops_rate_does_not_fall_on_a_constant_gradient():
    oracle = ORACLES["rmsprop", "eps_outside"]([0.0], 0.1, rho=0.9, eps=0.0)
    path = [0.0] + [oracle.step([7.0])[0] for _ in range(400)]
    steps = -np.diff(path)
    assert steps[0] == pytest.approx(0.1 / np.sqrt(0.1))
    assert steps[-1] == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize(
    ("rule", "outside", "inside", "hyper"),
    [
        ("adagrad", "eps_outside", "eps_inside", {"initial": 0.1}),
        ("rmsprop", "eps_outside", "eps_inside", {}),
        ("rmsprop", "centred", "centred_eps_inside", {"rho": 0.9}),
        ("rmsprop_momentum", "rate_inside_eps_outside", "rate_inside", {}),
        ("adam", "eps_outside", "eps_inside", {"beta2": 0.99}),
        ("adam", "uncorrected", "uncorrected_eps_inside", {}),
    ],
)
def test_where_eps_stands_does_not_matter_when_it_is_zero(
    rule: str, outside: str, inside: str, hyper: dict[str, float]
):
    one, two = (ORACLES[rule, dialect](START, 0.1, eps=0.0, **hyper) for dialect in (outside, inside))
    for p, q in paths(one, two, gradients(zeros=False)):
        assert_same(p, q)


# The first step of a gradient g = 2 at rate 1 with ε = 0.5, by hand: the square root holds what stands before `/`.
BY_HAND = {
    ("adagrad", "eps_inside"): 2 / (0.1 + 4 + 0.5) ** 0.5,
    ("rmsprop", "eps_inside"): 2 / (0.01 * 4 + 0.5) ** 0.5,
    ("rmsprop", "centred_eps_inside"): 2 / (0.05 * 4 - (0.05 * 2) ** 2 + 0.5) ** 0.5,
    ("rmsprop_momentum", "rate_inside"): 2 / (0.01 * 4 + 0.5) ** 0.5,
    ("rmsprop_momentum", "rate_inside_eps_outside"): 2 / (0.1 * 2 + 0.5),
    ("rmsprop_momentum", "graves"): 2 / (0.05 * 4 - (0.05 * 2) ** 2 + 0.5) ** 0.5,
    ("rmsprop_momentum", "nesterov"): (1 + 0.9) * 2 / (0.01 * 4 + 0.5) ** 0.5,
    ("adam", "eps_inside"): 2 / (4 + 0.5) ** 0.5,
    ("adam", "uncorrected"): 0.1 * 2 / (0.001**0.5 * 2 + 0.5),
    ("adam", "uncorrected_eps_inside"): 0.1 * 2 / (0.001 * 4 + 0.5) ** 0.5,
    ("adam", "efficient"): 0.001**0.5 * 2 / (0.001**0.5 * 2 + 0.5),
    ("adam", "amsgrad"): 0.1 * 2 / (0.001**0.5 * 2 + 0.5),
    ("adam", "amsgrad_of_corrected"): 2 / (2 + 0.5),
}


@pytest.mark.parametrize("key", BY_HAND, ids="-".join)
def test_the_first_step_by_hand_tells_where_eps_stands(key: tuple[str, str]):
    oracle = ORACLES[key]([10.0, -10.0], 1.0, eps=0.5)
    assert_same(oracle.step([2.0, -2.0]), [10 - BY_HAND[key], -10 + BY_HAND[key]])


@pytest.mark.parametrize(
    ("rule", "one", "two"),
    [
        ("adagrad", "eps_outside", "eps_inside"),
        ("rmsprop", "eps_outside", "eps_inside"),
        ("rmsprop", "centred", "centred_eps_inside"),
        ("rmsprop_momentum", "rate_inside", "rate_inside_eps_outside"),
        ("adam", "eps_outside", "eps_inside"),
        ("adam", "eps_outside", "efficient"),
        ("adam", "uncorrected", "uncorrected_eps_inside"),
    ],
)
def test_dialects_differ_in_fact_when_eps_is_not_zero(rule: str, one: str, two: str):
    first, second = ORACLES[rule, one](START, 0.1, eps=1e-3), ORACLES[rule, two](START, 0.1, eps=1e-3)
    p, q = paths(first, second, gradients(20))[-1]
    assert np.max(np.abs(p - q)) > 1e-3


def test_rmsprop_with_momentum_is_one_rule_inside_and_outside_while_the_rate_is_constant():
    inside = ORACLES["rmsprop_momentum", "rate_inside_eps_outside"](START, 0.01, eps=1e-8)
    outside = ORACLES["rmsprop_momentum", "rate_outside"](START, 0.01, eps=1e-8)
    for p, q in paths(inside, outside, gradients()):
        assert_same(p, q)


@pytest.mark.parametrize(
    ("momentum", "plain"),
    [("rate_inside", "eps_inside"), ("rate_outside", "eps_outside"), ("nesterov", "eps_inside")],
)
def test_rmsprop_with_zero_momentum_is_rmsprop(momentum: str, plain: str):
    one = ORACLES["rmsprop_momentum", momentum](START, 0.01, momentum=0.0)
    two = ORACLES["rmsprop", plain](START, 0.01)
    for p, q in paths(one, two, gradients()):
        assert_same(p, q)


def test_graves_without_momentum_is_centred_rmsprop():
    one = ORACLES["rmsprop_momentum", "graves"](START, 0.01, momentum=0.0)
    two = ORACLES["rmsprop", "centred_eps_inside"](START, 0.01)
    for p, q in paths(one, two, gradients()):
        assert_same(p, q)


@pytest.mark.parametrize("dialect", ["rate_inside", "rate_outside"])
def test_adadelta_without_eps_never_moves(dialect: str):
    oracle = ORACLES["adadelta", dialect](START, 1.0, eps=0.0)
    for g in gradients(20, zeros=False):
        np.testing.assert_array_equal(oracle.step(g), START)


def test_adadelta_is_one_rule_at_rate_one():
    one = ORACLES["adadelta", "rate_inside"](START, 1.0, rho1=0.8, rho2=0.8)
    two = ORACLES["adadelta", "rate_outside"](START, 1.0, rho=0.8)
    for p, q in paths(one, two, gradients()):
        assert_same(p, q)


def test_two_steps_of_adadelta_with_the_rate_inside_by_hand():
    # r: 1/2, 3/4; v₁ = 2·√1/√(3/2); q = 3/4·v₁² = 2; v₂ = 2·√3/√(7/4).
    oracle = ORACLES["adadelta", "rate_inside"]([0.0], 2.0, rho1=0.5, rho2=0.25, eps=1.0)
    path = [oracle.step([1.0])[0] for _ in range(2)]
    first, second = 2 / 1.5**0.5, 2 * 3**0.5 / 1.75**0.5
    assert_same(path, [-first, -first - second])


def test_adadelta_with_the_rate_inside_differs_at_another_rate():
    one = ORACLES["adadelta", "rate_inside"](START, 0.1)
    two = ORACLES["adadelta", "rate_outside"](START, 0.1)
    p, q = paths(one, two, gradients())[-1]
    assert not np.allclose(p - START, q - START, rtol=1e-2)


def test_adadeltas_first_step_by_hand():
    g, eps = gradients(1, zeros=False)[0], 1e-6
    oracle = ORACLES["adadelta", "rate_outside"](START, 1.0, rho=0.9, eps=eps)
    assert_same(oracle.step(g), START - np.sqrt(eps) / np.sqrt(0.1 * g**2 + eps) * g)


@pytest.mark.parametrize(
    ("rule", "dialect", "keeps_units"),
    [("adadelta", "rate_outside", True), ("adadelta", "rate_inside", True), ("adam", "eps_outside", False)],
)
def test_adadeltas_steps_have_the_parameters_units_and_adams_have_none(rule: str, dialect: str, keeps_units: bool):
    # Deck C. With p measured in units 100 times smaller, p and its steps are 100 times larger and g 100 times
    # smaller. ε must be rescaled too; here it is 0, and AdaDelta's q starts at what ε was there for.
    units = 100.0
    one, two = (
        ORACLES[rule, dialect](START, 0.5, eps=0.0),
        ORACLES[rule, dialect](units * START, 0.5, eps=0.0),
    )
    if rule == "adadelta":
        one.q, two.q = one.q + 1e-6, two.q + units**2 * 1e-6
    agree = [
        np.allclose(units * (one.step(g) - START), two.step(g / units) - units * START, rtol=1e-9)
        for g in gradients(30, zeros=False)
    ]
    assert all(agree) if keeps_units else not any(agree)


def test_adams_first_step_is_the_rate_times_the_sign_whatever_the_gradients_size():
    oracle = ORACLES["adam", "eps_outside"](START, 0.1, eps=0.0)
    g = gradients(1, zeros=False)[0]
    assert_same(oracle.step(g), START - 0.1 * np.sign(g))


def test_without_correction_adams_first_step_is_more_than_three_times_too_large():
    # Deck D's claim: (1 − β₁)/√(1 − β₂) = 3.16 with the defaults.
    oracle = ORACLES["adam", "uncorrected"](START, 0.1, eps=0.0)
    g = gradients(1, zeros=False)[0]
    assert_same(oracle.step(g), START - 0.1 * 0.1 / np.sqrt(0.001) * np.sign(g), rtol=1e-12)


def test_without_correction_adams_moments_are_rmsprops_and_the_damped_average():
    oracle = ORACLES["adam", "uncorrected"](START, 0.1, beta1=0.0, beta2=0.9)
    rmsprop = ORACLES["rmsprop", "eps_outside"](START, 0.1, rho=0.9)
    for p, q in paths(oracle, rmsprop, gradients()):
        np.testing.assert_allclose(p, q)


def test_correction_wears_off():
    corrected = ORACLES["adam", "eps_outside"]([0.0], 0.1, beta2=0.9)
    uncorrected = ORACLES["adam", "uncorrected"]([0.0], 0.1, beta2=0.9)
    random = np.random.default_rng(1)
    moves = []
    before = np.zeros(2)
    for _ in range(600):
        g = random.standard_normal(1)
        now = np.array([corrected.step(g)[0], uncorrected.step(g)[0]])
        moves.append(now - before)
        before = now
    assert moves[0][0] != pytest.approx(moves[0][1], rel=1e-3)
    assert moves[-1][0] == pytest.approx(moves[-1][1], rel=1e-9)


def test_kingma_and_bas_efficient_form_is_algorithm_1_but_for_eps():
    efficient = ORACLES["adam", "efficient"](START, 0.1, eps=0.0)
    algorithm_1 = ORACLES["adam", "eps_outside"](START, 0.1, eps=0.0)
    for p, q in paths(efficient, algorithm_1, gradients(zeros=False)):
        assert_same(p, q)


def test_kingma_and_bas_efficient_form_with_the_right_eps_at_each_step_is_algorithm_1():
    eps_hat, beta2 = 1e-2, 0.999
    efficient = ORACLES["adam", "efficient"](START, 0.1, eps=eps_hat)
    algorithm_1 = ORACLES["adam", "eps_outside"](START, 0.1)
    for t, g in enumerate(gradients(), start=1):
        algorithm_1.eps = eps_hat / np.sqrt(1 - beta2**t)
        assert_same(efficient.step(g), algorithm_1.step(g))


@pytest.mark.parametrize(("amsgrad", "adam"), [("amsgrad", "uncorrected"), ("amsgrad_torch", "eps_outside")])
def test_amsgrad_is_adam_while_the_second_moment_only_grows(amsgrad: str, adam: str):
    growing = np.outer(2.0 ** np.arange(20), np.ones(START.size))
    one, two = ORACLES["adam", amsgrad](START, 0.1, eps=1e-8), ORACLES["adam", adam](START, 0.1, eps=1e-8)
    for p, q in paths(one, two, growing):
        assert_same(p, q)


def test_amsgrad_remembers_one_great_gradient_and_adam_forgets_it():
    adam = ORACLES["adam", "uncorrected"]([0.0], 0.1, beta2=0.5)
    amsgrad = ORACLES["adam", "amsgrad"]([0.0], 0.1, beta2=0.5)
    path = [(adam.step([g])[0], amsgrad.step([g])[0]) for g in [1000.0] + [1.0] * 200]
    step = np.subtract(path[-2], path[-1])
    assert step[0] == pytest.approx(0.1, rel=1e-6)
    assert step[1] == pytest.approx(0.1 / np.sqrt(0.5 * 1000.0**2), rel=1e-3)


def test_the_three_amsgrads_differ():
    kinds = ["amsgrad", "amsgrad_torch", "amsgrad_of_corrected"]
    oracles = [ORACLES["adam", kind](START, 0.1, beta2=0.9, eps=1e-8) for kind in kinds]
    a, b, c = [[oracle.step(g) for g in gradients(30)][-1] for oracle in oracles]
    assert np.max(np.abs(a - b)) > 1e-3
    assert np.max(np.abs(b - c)) > 1e-3
    assert np.max(np.abs(a - c)) > 1e-3


def test_adamaxs_first_step_is_the_rate_times_the_sign():
    oracle = ORACLES["adamax", "paper"](START, 0.1)
    g = gradients(1, zeros=False)[0]
    assert_same(oracle.step(g), START - 0.1 * np.sign(g))


def test_adamaxs_steps_are_bounded_by_the_rate():
    # Kingma and Ba, section 7.1: |Δ_t| ≤ α, a bound that the correction keeps.
    oracle = ORACLES["adamax", "paper"](START, 0.1, beta2=0.999)
    before = START
    for g in gradients(zeros=False):
        after = oracle.step(g)
        assert np.all(np.abs(after - before) <= 0.1 * (1 + 1e-3))
        before = after


def test_adamaxs_norm_is_the_limit_of_the_p_norms():
    # Kingma and Ba, section 7.1, Eq. 8 to 12: u_t = max over i of β₂^(t−i)|g_i|.
    g, beta2 = gradients(12, zeros=False), 0.9
    oracle = ORACLES["adamax", "paper"](START, 0.1, beta2=beta2)
    for t in range(12):
        oracle.step(g[t])
        by_hand = np.max([beta2 ** (t - i) * np.abs(g[i]) for i in range(t + 1)], axis=0)
        assert_same(oracle.u, by_hand, rtol=1e-12)


@pytest.mark.parametrize("dialect", ["coupled_to_rate", "paper", "fully_decoupled"])
def test_adamw_without_decay_is_adam(dialect: str):
    one = ORACLES["adamw", dialect](START, 0.1, weight_decay=0.0)
    two = ORACLES["adam", "eps_outside"](START, 0.1)
    for p, q in paths(one, two, gradients()):
        np.testing.assert_allclose(p, q)


@pytest.mark.parametrize(
    ("dialect", "hyper", "kept"),
    [
        ("coupled_to_rate", {}, 1 - 0.1 * 0.3),
        ("paper", {"eta": 0.5}, 1 - 0.5 * 0.3),
        ("fully_decoupled", {}, 1 - 0.3),
    ],
)
def test_what_is_left_of_a_weight_without_gradient(dialect: str, hyper: dict[str, float], kept: float):
    oracle = ORACLES["adamw", dialect]([2.0], 0.1, weight_decay=0.3, **hyper)
    oracle.step([0.0])
    assert oracle.step([0.0])[0] == pytest.approx(2.0 * kept**2, rel=1e-14)


def test_fully_decoupled_is_the_papers_without_a_schedule():
    one = ORACLES["adamw", "fully_decoupled"](START, 0.1, weight_decay=0.2)
    two = ORACLES["adamw", "paper"](START, 0.1, weight_decay=0.2)
    for p, q in paths(one, two, gradients()):
        assert_same(p, q)


def test_torchs_adamw_is_the_papers_with_the_decay_times_the_rate_put_inside():
    # Both multiply α and the decay by one schedule once λ_paper = α₀ λ_torch.
    one = ORACLES["adamw", "coupled_to_rate"](START, lambda k: 0.1 / (k + 1), weight_decay=0.2)
    two = ORACLES["adamw", "paper"](START, 0.1, weight_decay=0.02, eta=lambda k: 1 / (k + 1))
    for p, q in paths(one, two, gradients()):
        assert_same(p, q)


def test_decoupled_decay_is_not_l2_for_adam():
    l2 = ORACLES["adam", "l2"](START, 0.1, weight_decay=0.1)
    decoupled = ORACLES["adamw", "coupled_to_rate"](START, 0.1, weight_decay=0.1)
    p, q = paths(l2, decoupled, gradients())[-1]
    assert not np.allclose(p, q, rtol=1e-2)
