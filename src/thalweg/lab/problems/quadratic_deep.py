"""A noisy quadratic in 100 dimensions with a deep network's spectrum: ninety small eigenvalues, ten large."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.lab.problem import Batch, Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIMENSIONS, EXAMPLES, BATCH_SIZE, EPOCHS = 100, 1000, 128, 100
DEVIATION = 0.6
SEED_OF_Q, SEED_OF_TRAINING, SEED_OF_TEST = 42, 42, 43


def quadratic_deep() -> Problem:
    """The mean of ½(θ − x)ᵀQ(θ − x) over x ~ N(0, 0.6²), from θ = 1: DeepOBS's `quadratic_deep`.

    Its published results hold only if every epoch reuses one order of the batches, hence the fixed order.
    Reshuffled, momentum 0.99 has its best learning rate ten times lower.
    """
    return Problem(
        name="quadratic_deep",
        title="Noisy quadratic of a deep network's spectrum",
        model=NoisyQuadratic,
        loss=_mean_loss,
        train=lambda: (_draw_points(SEED_OF_TRAINING),),
        # DeepOBS batches its test set as it does the training set, and drops the remainder
        test=lambda: (_draw_points(SEED_OF_TEST)[: EXAMPLES // BATCH_SIZE * BATCH_SIZE],),
        batch_size=BATCH_SIZE,
        steps=EPOCHS * (EXAMPLES // BATCH_SIZE),
        data_order="fixed",
        source="DeepOBS: Schneider, Balles and Hennig, ICLR 2019, arXiv:1903.05499",
        remark="The order of the data is fixed; reshuffled, momentum near 1 gives other results.",
        provenance="drawn from N(0, 0.6²): 1,000 training points (seed 42), 896 of 1,000 test points (43)",
    )


class NoisyQuadratic(nn.Module):
    """The parameter θ, from 1, and for each point x of a batch its loss ½(θ − x)ᵀQ(θ − x)."""

    Q: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.ones(DIMENSIONS))
        self.register_buffer("Q", torch.from_numpy(hessian()).float())

    def forward(self, x: Tensor) -> Tensor:
        """The losses (n,) at the points x (n, 100)."""
        away = self.theta - x
        return ((away @ self.Q) * away).sum(dim=1) / 2


@functools.cache
def hessian() -> NDArray[np.float64]:
    """Q = RᵀΛR, which is the loss's Hessian everywhere. Shared between calls: do not change it."""
    generator = np.random.RandomState(SEED_OF_Q)
    eigenvalues = np.concatenate([generator.uniform(0, 1, 90), generator.uniform(30, 60, 10)])
    R = _draw_rotation(generator)
    return R.T @ np.diag(eigenvalues) @ R


def _draw_rotation(generator: np.random.RandomState) -> NDArray[np.float64]:
    """A rotation drawn evenly from all: the subgroup algorithm of Diaconis and Shahshahani."""
    angle = 2 * np.pi * generator.uniform()
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for size in range(3, DIMENSIONS + 1):
        v = generator.normal(size=size)
        v /= np.linalg.norm(v)
        embedded = np.eye(size)
        embedded[1:, 1:] = rotation
        # the reflection that takes e₁ to v
        u = np.eye(size)[0] - v
        u /= np.linalg.norm(u)
        rotation = embedded - 2 * np.outer(u, u @ embedded)
    return -rotation


def _draw_points(seed: int) -> Tensor:
    generator = np.random.RandomState(seed)
    return torch.from_numpy(generator.normal(0, DEVIATION, (EXAMPLES, DIMENSIONS))).float()


def _mean_loss(model: nn.Module, batch: Batch) -> Tensor:
    return model(*batch).mean()
