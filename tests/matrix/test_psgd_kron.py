"""PSGD-Kron: against its algorithm by hand, that it whitens, and that it repeats."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from matrix.oracles_psgd import PsgdKron, lower_bound
from matrix.stacks import distance, gradients, run
from thalweg.matrix import psgd_kron
from thalweg.matrix.psgd_kron import _balance, _norm, probe

FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "square": ({}, {}),
    "momentum of the whitened": ({"momentum": 0.8}, {"momentum": 0.8}),
    "whitened momentum": ({"momentum": 0.8, "whiten": "momentum"}, {"momentum": 0.8, "whiten": "momentum"}),
    "faster": ({"rate": 0.4}, {"rate": 0.4}),
    "both diagonal": ({"max_size": 3}, {"diagonal": (True, True)}),
    "both diagonal by skew": ({"max_skew": 0.5}, {"diagonal": (True, True)}),
}


def drawn(
    step: int, stack: torch.Tensor, *, seed: int = 0, probability: float = 1.0
) -> tuple[bool, bool, torch.Tensor]:
    """What PSGD-Kron draws at a step: whether it fits, whether it balances, and its probe."""
    dice = random.Random(f"{seed} {step}")
    fits = dice.random() < probability
    balances = dice.random() < 0.01
    return fits, balances, probe(dice.getrandbits(63), stack)


@pytest.mark.parametrize("form", FORMS)
def test_psgd_kron_is_the_algorithm_by_hand(form: str) -> None:
    ours, by_hand = FORMS[form]
    stacks = gradients(15, 2, 5, 5)
    found, _ = run(psgd_kron, stacks, scale=1.5, probability=0.7, **ours)
    kinds = [drawn(step, stack, probability=0.7)[:2] for step, stack in enumerate(stacks, start=1)]
    assert {fits for fits, _ in kinds} == {True, False}
    assert not any(balances for _, balances in kinds)
    for i in range(2):
        oracle = PsgdKron(5, 5, scale=1.5, **by_hand)
        for step, (stack, direction) in enumerate(zip(stacks, found, strict=True), start=1):
            fits, _, v = drawn(step, stack, probability=0.7)
            assert distance(direction[i], oracle.direction(stack[i].numpy(), v.numpy() if fits else None)) < 1e-10


@pytest.mark.parametrize(("shape", "skew", "diagonal"), [((4, 7), 1.0, (False, True)), ((7, 4), 2.0, (False, False))])
def test_a_longer_side_has_a_diagonal_factor(shape: tuple[int, int], skew: float, diagonal: tuple[bool, bool]) -> None:
    stacks = gradients(10, 1, *shape)
    found, states = run(psgd_kron, stacks, scale=1.0, max_skew=skew)
    assert tuple(states[name].ndim == 2 for name in ("Q_l", "Q_r")) == diagonal
    oracle = PsgdKron(*shape, scale=1.0, diagonal=diagonal)
    for step, (stack, direction) in enumerate(zip(stacks, found, strict=True), start=1):
        assert distance(direction[0], oracle.direction(stack[0].numpy(), drawn(step, stack)[2].numpy())) < 1e-10


def test_a_row_has_a_diagonal_factor_of_one_number() -> None:
    _, states = run(psgd_kron, gradients(3, 2, 1, 6, dtype=torch.float32))
    assert states["Q_l"].shape == (2, 1)
    assert states["Q_r"].shape == (2, 6)


def test_the_first_scale_makes_the_mean_fourth_power_one_sided() -> None:
    stacks = gradients(1, 3, 6, 6)
    (direction,), _ = run(psgd_kron, stacks, probability=0.0)
    wanted = stacks[0] * (stacks[0] ** 4).mean((1, 2), keepdim=True) ** -0.25  # P = Q², Q = (mean G⁴)^(−1/8)
    assert distance(direction, wanted) < 1e-12
    tiny, _ = run(psgd_kron, [stacks[0].float() * 1e-16], probability=0.0)  # whose fourth power is no float32
    assert distance(tiny[0], wanted) < 1e-5


def test_psgd_kron_whitens_gradients_of_a_kronecker_covariance() -> None:
    torch.manual_seed(0)
    left = torch.diag(torch.tensor([4.0, 2.0, 1.0, 0.5])) @ torch.linalg.qr(torch.randn(4, 4))[0]
    right = torch.diag(torch.tensor([0.5, 1.0, 2.0, 4.0])) @ torch.linalg.qr(torch.randn(4, 4))[0]
    states = psgd_kron.begin(torch.zeros(1, 4, 4))
    for step in range(1, 1501):
        gradient = (left.T @ torch.randn(4, 4) @ right)[None]
        psgd_kron.direction(gradient, states, {"rate": 0.3 if step < 500 else 0.1 if step < 1000 else 0.02}, step)
    many = left.T @ torch.randn(20000, 4, 4) @ right
    P_l, P_r = (states[name][0].T @ states[name][0] for name in ("Q_l", "Q_r"))
    white = (P_l @ many @ P_r).reshape(len(many), -1)
    spread = torch.linalg.eigvalsh(white.T @ white / len(many))
    assert spread.min() > 0.6
    assert spread.max() < 1.5
    raw = many.reshape(len(many), -1)
    assert torch.linalg.cond(raw.T @ raw) > 1000


def test_the_factors_stay_upper_triangular_and_positive() -> None:
    _, states = run(psgd_kron, gradients(60, 3, 6, 6, dtype=torch.float32), rate=0.5)
    for name in ("Q_l", "Q_r"):
        assert torch.equal(states[name], states[name].triu())
        assert bool((torch.diagonal(states[name], dim1=1, dim2=2) > 0).all())


def test_a_run_repeats_and_another_seed_does_not() -> None:
    stacks = gradients(20, 2, 6, 6, dtype=torch.float32)
    once, _ = run(psgd_kron, stacks, probability=0.5, seed=3)
    torch.manual_seed(99)
    again, _ = run(psgd_kron, stacks, probability=0.5, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    other, _ = run(psgd_kron, stacks, probability=0.5, seed=4)
    assert not torch.equal(once[-1], other[-1])


def test_its_draws_leave_torchs_own_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(psgd_kron, gradients(3, 1, 4, 4))
    assert torch.equal(torch.rand(3), expected)


def test_with_probability_zero_only_the_scale_is_fitted() -> None:
    _, states = run(psgd_kron, gradients(5, 1, 4, 4), probability=0.0)
    assert torch.equal(states["ell_l"], torch.zeros(1, dtype=torch.float64))
    assert torch.allclose(states["Q_l"][0], states["scale"].sqrt() * torch.eye(4, dtype=torch.float64))


def test_a_gradient_of_zeros_is_not_fitted() -> None:
    stacks = gradients(5, 2, 4, 4)
    _, states = run(psgd_kron, stacks)
    before = {name: state.clone() for name, state in states.items()}
    zero = stacks[0].clone()
    zero[1] = 0
    direction = psgd_kron.direction(zero, states, {}, 6)
    assert torch.equal(direction[1], torch.zeros_like(zero[1]))
    assert all(torch.equal(state[1], before[name][1]) for name, state in states.items())
    assert not torch.equal(states["Q_l"][0], before["Q_l"][0])


def test_balancing_evens_the_factors_and_keeps_their_product() -> None:
    stacks = gradients(5, 2, 4, 6)
    _, states = run(psgd_kron, stacks)
    states["Q_l"].mul_(1e6)
    states["Q_r"].mul_(1e-6)
    numbers = {"probability": 0.0}
    before = psgd_kron.direction(stacks[0], states, numbers, 6)
    _balance(states, slice(None))
    largest = [states[name].abs().flatten(1).amax(1) for name in ("Q_l", "Q_r")]
    assert torch.allclose(*largest, rtol=1e-12)
    assert distance(psgd_kron.direction(stacks[0], states, numbers, 7), before) < 1e-12


def test_the_factors_are_balanced_when_the_dice_say_so() -> None:
    seed, step = next((s, k) for s in range(50) for k in range(2, 12) if drawn(k, torch.zeros(1, 1, 1), seed=s)[1])
    stacks = gradients(step, 1, 5, 5)
    found, states = run(psgd_kron, stacks, scale=3.0, seed=seed)
    oracle = PsgdKron(5, 5, scale=3.0)
    for k, (stack, direction) in enumerate(zip(stacks, found, strict=True), start=1):
        _, balances, v = drawn(k, stack, seed=seed)
        assert distance(direction[0], oracle.direction(stack[0].numpy(), v.numpy())) < 1e-10
        if balances:
            oracle.balance()
    assert distance(states["Q_l"][0], oracle.factors[0]) < 1e-10


def test_the_norm_is_the_authors_bound_and_at_most_the_spectral_norm() -> None:
    (stack,) = gradients(1, 5, 6, 6)
    S = stack @ stack.mT
    found, spectral = _norm(S), torch.linalg.matrix_norm(S, 2)
    assert bool((found <= spectral * (1 + 1e-12)).all())
    assert bool((found > spectral / 2**0.5).all())
    top = S.abs().amax((1, 2))
    expected = torch.tensor([lower_bound(s.numpy()) for s in S], dtype=torch.float64) * top
    assert distance(found, expected) < 1e-12
    assert float(_norm(torch.zeros(1, 3, 3))) == 0
