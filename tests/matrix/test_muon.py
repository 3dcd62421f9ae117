"""Muon: against its polynomial on the singular values, against torch's, and what defines a polar factor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from matrix.oracles_muon import Muon, polynomial
from matrix.stacks import distance, gradients, run
from thalweg.matrix import muon
from thalweg.matrix.muon import newton_schulz, polar_factor

SHAPES = [(6, 6), (9, 4), (4, 9), (1, 5), (5, 1)]
TALL_AND_WIDE = [(64, 64), (96, 32), (24, 80), (8, 5)]
BFLOAT16 = 2**-7
"""Of the largest entry, at one step: a bfloat16 has eight bits, and a library may sum the products in another order."""


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_applies_its_polynomial_to_the_singular_values(shape: tuple[int, int], nesterov: bool) -> None:
    stacks = gradients(20, 3, *shape)
    found, _ = run(muon, stacks, polar="full", nesterov=nesterov, momentum=0.9)
    for place in range(3):
        oracle = Muon(momentum=0.9, nesterov=nesterov)
        for stack, direction in zip(stacks, found, strict=True):
            assert distance(direction[place], oracle.direction(stack[place].numpy())) < 1e-12


@pytest.mark.parametrize("shape", TALL_AND_WIDE)
@pytest.mark.parametrize("adjust", ["original", "match_rms_adamw"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_is_torchs(shape: tuple[int, int], adjust: str, nesterov: bool) -> None:
    stacks = gradients(15, 2, *shape, dtype=torch.float32)
    torch.manual_seed(1)
    weights = torch.randn(2, *shape)
    parameters = [torch.nn.Parameter(weight.clone()) for weight in weights]
    rate, decay = 0.02, 0.1
    theirs = torch.optim.Muon(parameters, lr=rate, weight_decay=decay, adjust_lr_fn=adjust, nesterov=nesterov)
    numbers = {"adjust": adjust, "nesterov": nesterov}
    states = muon.begin(weights, numbers)
    for step, stack in enumerate(stacks, start=1):
        before = torch.stack([parameter.detach().clone() for parameter in parameters])
        for parameter, gradient in zip(parameters, stack, strict=True):
            parameter.grad = gradient.clone()
        theirs.step()
        direction = muon.direction(stack, states, numbers, step)
        moved = (before * (1 - rate * decay) - torch.stack([p.detach() for p in parameters])) / rate
        assert distance(direction, moved) < BFLOAT16
        kept = torch.stack([theirs.state[parameter]["momentum_buffer"] for parameter in parameters])
        assert torch.equal(states["m"], kept)


def test_muon_has_torchs_defaults() -> None:
    theirs = torch.optim.Muon([torch.nn.Parameter(torch.zeros(2, 2))]).defaults
    ours = muon().values
    assert theirs["ns_coefficients"] == (ours["a"], ours["b"], ours["c"])
    renamed = {"momentum": "momentum", "nesterov": "nesterov", "eps": "eps", "ns_steps": "steps"}
    assert {name: theirs[name] for name in renamed} == {name: ours[own] for name, own in renamed.items()}
    assert theirs["adjust_lr_fn"] is None
    assert ours["adjust"] == "original"  # what None stands for


def test_torch_takes_no_convolution_and_muon_views_it_as_filters_by_rest() -> None:
    with pytest.raises(ValueError, match="2D"):
        torch.optim.Muon([torch.nn.Parameter(torch.zeros(4, 3, 2, 2))])
    assert muon.takes((4, 3, 2, 2), "matrix")


@pytest.mark.parametrize("shape", SHAPES)
def test_by_svd_all_singular_values_are_one(shape: tuple[int, int]) -> None:
    (stack,) = gradients(1, 4, *shape)
    (direction,), _ = run(muon, [stack], polar="svd", adjust="match_rms_adamw")
    sigma = torch.linalg.svdvals(direction) / (0.2 * max(shape) ** 0.5)
    assert torch.allclose(sigma, torch.ones_like(sigma), atol=1e-12)


def test_the_polar_factor_leaves_a_symmetric_positive_rest() -> None:
    (X,) = gradients(1, 4, 7, 5)
    rest = polar_factor(X).mT @ X  # X = QP with Q orthogonal and P symmetric positive: what defines it
    assert torch.allclose(rest, rest.mT, atol=1e-12)
    assert bool((torch.linalg.eigvalsh(rest) > 0).all())


def test_the_polar_factor_of_a_rank_one_matrix_has_rank_one() -> None:
    u, v = torch.randn(1, 6, 1), torch.randn(1, 1, 4)
    expected = u / u.norm() @ (v / v.norm())
    assert distance(polar_factor(u @ v), expected) < 1e-6


def test_newton_schulz_ends_where_its_docstring_says() -> None:
    sigma = np.geomspace(0.002, 1, 4001)
    ends = polynomial(sigma)
    assert ends.min() > 0.68
    assert ends.max() < 1.21
    assert polynomial(np.array([0.001])) < 0.6  # and not below
    few = sigma[::400]
    found = newton_schulz(torch.diag(torch.from_numpy(few))[None], 3.4445, -4.775, 2.0315, steps=5, eps=1e-7)
    assert distance(torch.diagonal(found[0]), polynomial(few / np.linalg.norm(few))) < 1e-12


def test_a_gradient_shorter_than_eps_is_not_stretched_to_one() -> None:
    (stack,) = gradients(1, 1, 4, 4)
    tiny = stack / stack.norm() * 1e-12
    (direction,), _ = run(muon, [tiny], polar="full", momentum=0.0)
    assert distance(direction, 3.4445**5 * tiny / 1e-7) < 1e-2  # in front of the cube, five times


def test_bfloat16_differs_from_full_precision_by_its_rounding_only() -> None:
    stacks = gradients(5, 3, 48, 32, dtype=torch.float32)
    narrow, _ = run(muon, stacks)
    full, _ = run(muon, stacks, polar="full")
    assert 1e-4 < distance(narrow[-1], full[-1]) < 0.1


def test_muon_ignores_the_scale_of_the_gradient() -> None:
    stacks = gradients(4, 2, 12, 8, dtype=torch.float32)
    plain, _ = run(muon, stacks)
    scaled, _ = run(muon, [stack * 2**20 for stack in stacks])
    assert all(torch.equal(a, b) for a, b in zip(plain, scaled, strict=True))


def test_without_steps_nothing_is_iterated() -> None:
    (stack,) = gradients(1, 2, 4, 6)
    (direction,), _ = run(muon, [stack], steps=0, polar="full")
    assert distance(direction, stack / torch.linalg.vector_norm(stack, dim=(1, 2), keepdim=True)) < 1e-15
