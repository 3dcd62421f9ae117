"""Shampoo: against its algorithm by hand, and the closed forms that it has in special cases."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from matrix.oracles_shampoo import Shampoo, adagrad_graft, adam_graft
from matrix.stacks import distance, gradients, run
from thalweg.matrix import shampoo

FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the paper's": ({}, {}),
    "averaged": ({"beta2": 0.9}, {"beta2": 0.9}),
    "another power": ({"power": 0.5}, {"power": 0.5}),
    "roots at times": ({"every": 4}, {"every": 4}),
    "averaged, roots at times": ({"beta2": 0.9, "every": 3}, {"beta2": 0.9, "every": 3}),
    "rows diagonal": ({"largest": 4}, {"diagonal": (True, False)}),
    "both diagonal, averaged": ({"largest": 2, "beta2": 0.8}, {"diagonal": (True, True), "beta2": 0.8}),
    "grafted onto plain": ({"graft": "sgd"}, {"graft": lambda: lambda g: g}),
    "grafted onto AdaGrad": ({"graft": "adagrad", "graft_eps": 1e-3}, {"graft": lambda: adagrad_graft(1e-3)}),
    "grafted onto Adam": (
        {"graft": "adam", "graft_beta2": 0.9, "graft_eps": 1e-3},
        {"graft": lambda: adam_graft(0.9, 1e-3)},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_shampoo_is_the_algorithm_by_hand(form: str) -> None:
    ours, by_hand = FORMS[form]
    stacks = gradients(12, 3, 6, 4)
    found, _ = run(shampoo, stacks, eps=1e-2, **ours)
    for place in range(3):
        fresh = {name: value() if name == "graft" else value for name, value in by_hand.items()}
        oracle = Shampoo(6, 4, eps=1e-2, **fresh)
        for stack, direction in zip(stacks, found, strict=True):
            assert distance(direction[place], oracle.direction(stack[place].numpy())) < 1e-10


def test_on_a_diagonal_problem_shampoo_is_adagrad() -> None:
    torch.manual_seed(2)
    values = [torch.randn(2, 5, dtype=torch.float64) for _ in range(10)]
    found, _ = run(shampoo, [torch.diag_embed(g) for g in values], eps=1e-3)
    total = torch.zeros(2, 5, dtype=torch.float64)
    for g, direction in zip(values, found, strict=True):
        total += g**2
        assert distance(direction, torch.diag_embed(g / (total + 1e-3).sqrt())) < 1e-12


def test_the_first_step_of_shampoo_is_the_polar_factor() -> None:
    (stack,) = gradients(1, 3, 6, 4)
    (direction,), _ = run(shampoo, [stack], eps=0.0)
    U, _, V = torch.linalg.svd(stack, full_matrices=False)  # (GGᵀ)^(−1/4) G (GᵀG)^(−1/4) = U σ^(−1/2) σ σ^(−1/2) Vᵀ
    assert distance(direction, U @ V) < 1e-6  # the columns' null space, raised to rounding, adds the root of it


def test_shampoo_turns_with_its_coordinates() -> None:
    stacks = gradients(8, 1, 5, 5)
    U, V = torch.linalg.qr(stacks[0])[0], torch.linalg.qr(stacks[1])[0]
    plain, _ = run(shampoo, stacks, eps=1e-3, beta2=0.9, every=2)
    turned, _ = run(shampoo, [U @ stack @ V.mT for stack in stacks], eps=1e-3, beta2=0.9, every=2)
    assert all(distance(b, U @ a @ V.mT) < 1e-10 for a, b in zip(plain, turned, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_statistics_without_full_rank_give_a_bounded_direction(dtype: torch.dtype) -> None:
    u, v = torch.randn(2, 30, 1, dtype=dtype), torch.randn(2, 1, 20, dtype=dtype)
    found, _ = run(shampoo, [u @ v] * 3)
    unit = (u / torch.linalg.vector_norm(u, dim=1, keepdim=True)) @ (
        v / torch.linalg.vector_norm(v, dim=2, keepdim=True)
    )
    for step, direction in enumerate(found, start=1):
        assert distance(direction, unit / step**0.5) < (2e-3 if dtype == torch.float32 else 1e-7)


def test_roots_are_sought_again_where_the_first_gradients_were_zero() -> None:
    (stack,) = gradients(1, 2, 4, 3)
    stack[1] = 0
    later = gradients(1, 2, 4, 3, seed=1)[0]
    found, _ = run(shampoo, [stack, later], every=10, eps=1e-4)
    assert torch.equal(found[0][1], torch.zeros_like(stack[1]))
    alone, _ = run(shampoo, [later[1:]], every=10, eps=1e-4)
    assert distance(found[1][1], alone[0][0]) < 1e-12


def test_a_grafted_direction_has_the_length_of_the_other_rules() -> None:
    stacks = gradients(6, 2, 5, 7, dtype=torch.float32)
    found, _ = run(shampoo, stacks, graft="sgd")
    for stack, direction in zip(stacks, found, strict=True):
        assert torch.allclose(direction.norm(dim=(1, 2)), stack.norm(dim=(1, 2)), rtol=1e-5)
