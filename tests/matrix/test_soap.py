"""SOAP: against its algorithm by hand, and against Adam where the basis is the identity."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from matrix.oracles_soap import Soap
from matrix.stacks import distance, gradients, run
from thalweg.matrix import soap

FORMS: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "a basis at each step": {"every": 1},
    "a basis at times": {"every": 3, "beta1": 0.8, "beta2": 0.9},
    "statistics of their own": {"every": 4, "shampoo_beta": 0.7, "eps": 1e-2},
}


CASES = [(shape, form) for shape in ((5, 5), (4, 6)) for form in FORMS]
# Statistics of a single gradient have a null space, which has no basis of its own: no oracle for turning it at once.
CASES.remove(((4, 6), "a basis at each step"))


@pytest.mark.parametrize(("shape", "form"), CASES)
def test_soap_is_the_algorithm_by_hand(shape: tuple[int, int], form: str) -> None:
    numbers = FORMS[form]
    stacks = gradients(25, 2, *shape)
    states = soap.begin(stacks[0], numbers)
    assert torch.equal(soap.direction(stacks[0], states, numbers, 1), torch.zeros_like(stacks[0]))
    oracles = [
        Soap(stacks[0][i].numpy(), states["Q_L"][i].numpy(), states["Q_R"][i].numpy(), **numbers) for i in range(2)
    ]
    for step, stack in enumerate(stacks[1:], start=2):
        direction = soap.direction(stack, states, numbers, step)
        for i, oracle in enumerate(oracles):
            assert distance(direction[i], oracle.direction(stack[i].numpy())) < 1e-8


def test_the_first_basis_diagonalises_the_first_statistics() -> None:
    stacks = gradients(1, 3, 6, 4)
    _, states = run(soap, stacks)
    for name, product in (("L", stacks[0] @ stacks[0].mT), ("R", stacks[0].mT @ stacks[0])):
        Q = states[f"Q_{name}"]
        assert torch.allclose(Q.mT @ Q, torch.eye(Q.shape[-1], dtype=Q.dtype).expand_as(Q), atol=1e-12)
        turned = Q.mT @ product @ Q
        values = torch.diagonal(turned, dim1=1, dim2=2)
        assert torch.allclose(turned, torch.diag_embed(values), atol=1e-12 * float(values.max()) * 10)
        assert bool((values.diff(dim=-1) <= 1e-12).all()), "the largest eigenvalue comes first"


def test_with_the_identity_for_a_basis_soap_is_adam() -> None:
    stacks = gradients(15, 2, 4, 6)
    numbers = {"beta1": 0.9, "beta2": 0.99, "every": 10**6}
    states = soap.begin(stacks[0], numbers)
    soap.direction(stacks[0], states, numbers, 1)
    for name in ("Q_L", "Q_R"):
        states[name].copy_(torch.eye(states[name].shape[-1], dtype=torch.float64).expand_as(states[name]))
    parameter = torch.nn.Parameter(torch.zeros_like(stacks[0]))
    adam = torch.optim.Adam([parameter], lr=1.0, betas=(0.9, 0.99), eps=1e-8)
    for step, stack in enumerate(stacks[1:], start=2):
        before = parameter.detach().clone()
        parameter.grad = stack.clone()
        adam.step()
        direction = soap.direction(stack, states, numbers, step)
        assert distance(direction, before - parameter.detach()) < 1e-12


def test_on_diagonal_gradients_soap_is_adam_whatever_the_bases() -> None:
    torch.manual_seed(3)
    sizes = torch.tensor([5.0, 3.0, 2.0, 1.0], dtype=torch.float64)
    values = [sizes * (1 + 0.1 * torch.rand(1, 4, dtype=torch.float64)) for _ in range(12)]
    found, _ = run(soap, [torch.diag_embed(g) for g in values], every=2)
    m = v = torch.zeros(1, 4, dtype=torch.float64)
    for k, (g, direction) in enumerate(zip(values[1:], found[1:], strict=True), start=1):
        m, v = 0.95 * m + 0.05 * g, 0.95 * v + 0.05 * g**2
        adam = m / (1 - 0.95**k) / ((v / (1 - 0.95**k)).sqrt() + 1e-8)
        assert distance(torch.diagonal(direction, dim1=1, dim2=2), adam) < 1e-12


def test_power_iteration_finds_the_eigenvectors() -> None:
    (stack,) = gradients(1, 1, 4, 4)
    numbers = {"every": 1}
    states = soap.begin(stack, numbers)
    soap.direction(gradients(1, 1, 4, 4, seed=5)[0], states, numbers, 1)
    for step in range(2, 400):
        soap.direction(stack, states, numbers, step)
    expected = torch.linalg.eigh(stack @ stack.mT)[1].flip(-1)
    overlap = (states["Q_L"].mT @ expected).abs()
    assert torch.allclose(overlap, torch.eye(4, dtype=torch.float64)[None], atol=1e-6)


def test_a_long_side_is_not_turned() -> None:
    stacks = gradients(8, 2, 4, 7)
    found, states = run(soap, stacks, largest=5, every=2)
    assert states.keys() == {"m", "v", "L", "Q_L"}
    shuffled = torch.randperm(7)
    again, _ = run(soap, [stack[..., shuffled] for stack in stacks], largest=5, every=2)
    assert all(distance(b, a[..., shuffled]) < 1e-9 for a, b in zip(found[1:], again[1:], strict=True))


def test_with_no_side_turned_soap_is_adam() -> None:
    stacks = gradients(6, 2, 4, 7)
    found, states = run(soap, stacks, largest=1)
    assert states.keys() == {"m", "v"}
    m = v = torch.zeros_like(stacks[0])
    for k, (g, direction) in enumerate(zip(stacks[1:], found[1:], strict=True), start=1):
        m, v = 0.95 * m + 0.05 * g, 0.95 * v + 0.05 * g**2
        assert distance(direction, m / (1 - 0.95**k) / ((v / (1 - 0.95**k)).sqrt() + 1e-8)) < 1e-12


def test_soap_turns_with_its_coordinates() -> None:
    stacks = gradients(12, 1, 5, 5)
    U, V = torch.linalg.qr(stacks[0])[0], torch.linalg.qr(stacks[1])[0]
    plain, _ = run(soap, stacks, every=3)
    turned, _ = run(soap, [U @ stack @ V.mT for stack in stacks], every=3)
    assert all(distance(b, U @ a @ V.mT) < 1e-7 for a, b in zip(plain[1:], turned[1:], strict=True))
