"""A least-squares problem in full batch: four parameters, and a minimum that linear algebra knows."""

import torch
from torch import nn

from thalweg.lab.problem import Problem

generator = torch.Generator().manual_seed(0)
inputs = torch.randn(40, 3, generator=generator, dtype=torch.float64)
targets = inputs @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64) + inputs[:, :1] ** 2


def squared_error(model: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return ((model(batch[0]) - batch[1]) ** 2).mean()


problem = Problem(
    name="squares",
    model=lambda: nn.Linear(3, 1).double(),
    loss=squared_error,
    metrics={"worst": lambda model, batch: (model(batch[0]) - batch[1]).abs().max()},
    train=(inputs, targets),
    test=(inputs[:7], targets[:7]),
    batch_size=None,
    steps=30,
)
