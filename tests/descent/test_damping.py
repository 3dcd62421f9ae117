"""Powell's damping: against a dense twin, where the curvature is negative; and on minibatches, without a search."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.descent import bfgs, lbfgs
from thalweg.descent.directions import Guide
from thalweg.descent.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from thalweg.descent.directions import Direction

    Array = NDArray[np.float64]
    Pair = tuple[Array, Array]


def wells(x: Tensor) -> Tensor:
    """Its curvature is negative wherever an element is less than about 0.6."""
    return (x**4 / 4 - x**2 / 2).sum() + 0.1 * (x[1:] * x[:-1]).sum()


def inverse_update(H: Array, pair: Pair) -> Array:
    s, y = pair
    V = np.eye(len(s)) - np.outer(y, s) / (s @ y)
    return V.T @ H @ V + np.outer(s, s) / (s @ y)


def damped(s: Array, y: Array, B: Array, damping: float) -> Array:
    """Nocedal and Wright, Procedure 18.2, with `damping` for its 0.2."""
    expected = s @ B @ s
    theta = 1.0 if s @ y >= damping * expected else (1 - damping) * expected / (expected - s @ y)
    return theta * y + (1 - theta) * B @ s


@pytest.mark.parametrize(("direction", "memory"), [(lbfgs(memory=3, damping=0.2), 3), (bfgs(damping=0.4), None)])
def test_the_directions_are_those_of_a_dense_twin(direction: Direction, memory: int | None) -> None:
    objective, guide = Objective(wells, torch.Size([6])), direction.start()
    assert isinstance(guide, Guide)
    here = objective.at(torch.tensor([0.1, -0.2, 0.3, 0.05, 0.9, -0.4], dtype=torch.float64))
    pairs: list[Pair] = []
    H, changed = np.eye(6), 0
    for step in range(12):
        d = guide.toward(here)
        np.testing.assert_allclose(d.numpy(), -H @ here.g.numpy(), rtol=1e-8, atol=1e-12)
        there = objective.at(here.x + (0.05 + 0.02 * step) * d / d.norm())
        guide.learn(here, there)
        s, plain = (there.x - here.x).numpy(), (there.g - here.g).numpy()
        y = damped(s, plain, np.linalg.inv(H), direction.damping)  # type: ignore[attr-defined]
        changed += not np.array_equal(y, plain)
        pairs.append((s, y))
        H = inverse_update(H, (s, y))
        if memory:
            pairs = pairs[-memory:]
            H = reduce(inverse_update, pairs, (s @ y) / (y @ y) * np.eye(6))
        assert np.linalg.eigvalsh(H).min() > 0
        here = there
    assert 3 < changed < 12


def trained(make: Callable[[torch.nn.Module], torch.optim.Optimizer], epochs: int) -> float:
    """The loss over all data, after so many epochs of minibatches."""
    torch.manual_seed(0)
    x = torch.randn(512, 6)
    y = (x[:, 0] * x[:, 1] > 0.2 * x[:, 2]).long()
    model = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))
    optimizer = make(model)
    for _ in range(epochs):
        for batch in torch.randperm(512).split(64):

            def closure(at: Tensor = batch) -> Tensor:
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(x[at]), y[at])
                loss.backward()
                return loss

            optimizer.step(closure)  # type: ignore[arg-type]
    return float(torch.nn.functional.cross_entropy(model(x), y).detach())


@pytest.mark.parametrize("step_size", [0.1, 0.3, 1.0])
def test_it_trains_a_network_on_minibatches_with_two_gradients_of_each(step_size: float) -> None:
    made: list[tw.DescentOptimizer] = []

    def make(model: torch.nn.Module) -> tw.DescentOptimizer:
        made.append(tw.DescentOptimizer(model, "lbfgs", damping=0.2, step_size=step_size, max_iter=1))
        return made[-1]

    loss = trained(make, epochs=8)
    assert (made[0].nit, made[0].nfev, made[0].njev) == (64, 128, 128)
    assert loss < 0.4  # from 0.7
