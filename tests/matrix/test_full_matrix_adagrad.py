"""Full-matrix AdaGrad: against its definition by hand, against the diagonal, and its regret against its bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from matrix.oracles_full_matrix_adagrad import FullMatrixAdagrad, regret_bound
from matrix.stacks import distance, gradients, run
from thalweg.errors import ParameterError
from thalweg.matrix import full_matrix_adagrad
from thalweg.matrix import regret_bound as our_bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Losses = list[tuple[Callable[[NDArray], float], Callable[[NDArray], NDArray]]]


@pytest.mark.parametrize(("eps", "s0"), [(1e-3, 0.0), (0.0, 1e-2), (0.1, 0.1)])
def test_full_matrix_adagrad_is_its_definition_by_hand(eps: float, s0: float) -> None:
    stacks = gradients(12, 2, 3, 2)
    found, _ = run(full_matrix_adagrad, stacks, eps=eps, s0=s0)
    for i in range(2):
        oracle = FullMatrixAdagrad(6, delta=eps, s0=s0)
        for stack, direction in zip(stacks, found, strict=True):
            expected = oracle.direction(stack[i].numpy())
            assert distance(direction[i], expected) < 1e-10


def test_on_gradients_along_the_axes_it_is_the_diagonal_adagrad() -> None:
    torch.manual_seed(0)
    total = torch.zeros(1, 1, 5, dtype=torch.float64)
    states = full_matrix_adagrad.begin(total)
    for step in range(1, 12):
        g = torch.zeros_like(total)
        g[0, 0, step % 5] = torch.randn(())
        total += g**2
        direction = full_matrix_adagrad.direction(g, states, {"eps": 1e-6}, step)
        assert distance(direction, g / (total.sqrt() + 1e-6)) < 1e-9


def test_the_first_direction_is_the_gradient_as_a_unit_vector() -> None:
    for dtype, tolerance in ((torch.float64, 1e-7), (torch.float32, 1e-3)):
        (stack,) = gradients(1, 3, 4, 5, dtype=dtype)
        (direction,), _ = run(full_matrix_adagrad, [stack])
        assert distance(direction, stack / stack.norm(dim=(1, 2), keepdim=True)) < tolerance


def test_it_turns_with_its_coordinates() -> None:
    stacks = gradients(15, 1, 2, 3)
    Q = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
    plain, _ = run(full_matrix_adagrad, stacks, s0=1e-3)
    turned, _ = run(full_matrix_adagrad, [(Q @ s.reshape(6)).reshape(1, 2, 3) for s in stacks], s0=1e-3)
    assert all(distance(b.reshape(6), Q @ a.reshape(6)) < 1e-9 for a, b in zip(plain, turned, strict=True))


def test_roots_may_be_computed_at_times() -> None:
    stacks = gradients(5, 2, 3, 2)
    found, _ = run(full_matrix_adagrad, stacks, every=3, s0=0.1)
    at_each, _ = run(full_matrix_adagrad, stacks, s0=0.1)
    assert torch.equal(found[0], at_each[0])
    assert distance(found[1], at_each[1]) > 1e-3
    assert distance(found[3], at_each[3]) < 1e-12


def linear(size: int, count: int, generator: np.random.Generator) -> Losses:
    mix = generator.standard_normal((size, size))
    vectors = [mix @ generator.standard_normal(size) for _ in range(count)]
    return [(lambda x, g=g: float(g @ x), lambda _, g=g: g) for g in vectors]


def quadratic(size: int, count: int, generator: np.random.Generator) -> Losses:
    pairs = [(generator.standard_normal((2, size)), generator.standard_normal(2)) for _ in range(count)]
    return [
        (lambda x, a=a, b=b: float(np.sum((a @ x - b) ** 2)) / 2, lambda x, a=a, b=b: a.T @ (a @ x - b))
        for a, b in pairs
    ]


def play(losses: Losses, size: int, rate: float, eps: float, sign: float = 1.0) -> tuple[list[NDArray], list[NDArray]]:
    """Where full-matrix AdaGrad was at each loss, and the gradients it saw."""
    x = torch.zeros(1, 1, size, dtype=torch.float64)
    states = full_matrix_adagrad.begin(x)
    points, seen = [], []
    for step, (_, gradient) in enumerate(losses, start=1):
        points.append(x[0, 0].numpy().copy())
        seen.append(gradient(points[-1]))
        direction = full_matrix_adagrad.direction(
            torch.from_numpy(seen[-1]).reshape(1, 1, -1), states, {"eps": eps}, step
        )
        x = x - sign * rate * direction
    radius_independent = our_bound(states["S"], radius=1.0, learning_rate=rate, eps=eps)
    assert distance(radius_independent, np.array([regret_bound(seen, radius=1.0, rate=rate, delta=eps)])) < 1e-6
    return points, seen


def regret(losses: Losses, points: list[NDArray], best: NDArray) -> float:
    return sum(loss(x) - loss(best) for x, (loss, _) in zip(points, losses, strict=True))


@pytest.mark.parametrize("rate", [0.03, 0.3, 3.0])
@pytest.mark.parametrize("eps", [1e-8, 1.0])
@pytest.mark.parametrize("kind", [linear, quadratic])
@pytest.mark.parametrize("seed", range(4))
def test_the_regret_stays_below_its_bound(
    kind: Callable[[int, int, np.random.Generator], Losses], seed: int, rate: float, eps: float
) -> None:
    generator = np.random.default_rng(seed)
    size, count = 5, 80
    losses = kind(size, count, generator)
    points, seen = play(losses, size, rate, eps)
    if kind is quadratic:
        total = sum(gradient(np.zeros(size)) for _, gradient in losses)
        columns = np.stack([sum(g(e) for _, g in losses) - total for e in np.eye(size)], axis=1)
        rivals = [np.linalg.solve(columns, -total)]  # where the gradient of the sum is zero
    else:
        total = np.sum(seen, axis=0)
        rivals = [-length * total / np.linalg.norm(total) for length in (0.1, 1.0, 10.0)]
    for best in rivals:
        radius = max(float(np.linalg.norm(x - best)) for x in points)
        assert regret(losses, points, best) <= regret_bound(seen, radius=radius, rate=rate, delta=eps)


def test_the_bound_tells_descent_from_ascent() -> None:
    generator = np.random.default_rng(0)
    losses = quadratic(5, 400, generator)
    best = np.zeros(5)
    points, seen = play(losses, 5, 0.3, 1e-8)
    limit = regret_bound(seen, radius=max(float(np.linalg.norm(x - best)) for x in points), rate=0.3, delta=1e-8)
    uphill, _ = play(losses, 5, 0.3, 1e-8, sign=-1.0)
    assert regret(losses, points, best) < limit < regret(losses, uphill, best)


def test_a_tensor_beyond_the_declared_size_is_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"full_matrix_adagrad: a tensor of 1056 elements needs a matrix of 1056 × "
    ):
        full_matrix_adagrad.begin(torch.zeros(1, 32, 33))
    with pytest.raises(
        ParameterError, match=r"`largest` is 10; raise it, or give such tensors to an element-wise rule"
    ):
        full_matrix_adagrad.begin(torch.zeros(1, 4, 4), {"largest": 10})
    assert full_matrix_adagrad.begin(torch.zeros(1, 4, 4), {"largest": 16})["S"].shape == (1, 16, 16)
    assert "1056" in full_matrix_adagrad().refusal((32, 33), "matrix")
    assert full_matrix_adagrad(largest=2000).takes((32, 33), "matrix")
