"""A small classification problem with a network of two layers, by minibatches, in float64."""

import torch
from torch import nn

from thalweg.lab.problem import Problem

generator = torch.Generator().manual_seed(0)
inputs = torch.randn(96, 6, generator=generator, dtype=torch.float64) + 1
labels = (inputs @ torch.randn(6, 3, generator=generator, dtype=torch.float64)).argmax(1)


def build() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def cross_entropy(model: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


problem = Problem(
    name="classes",
    model=build,
    loss=cross_entropy,
    metrics={},
    train=(inputs, labels),
    test=(inputs[:31], labels[:31]),
    batch_size=16,
    steps=24,
)
