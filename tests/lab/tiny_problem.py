"""Two training problems that take no time: a line, and one that breaks when the weights grow."""

import torch
from torch import nn

from thalweg.lab.problem import Problem

inputs = torch.linspace(-1, 1, 32, dtype=torch.float64).unsqueeze(1)
targets = 3 * inputs + 1


def build() -> nn.Module:
    return nn.Linear(1, 1).double()


def squared_error(model: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return ((model(batch[0]) - batch[1]) ** 2).mean()


def brittle(model: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
    loss = squared_error(model, batch)
    if loss > 100:
        raise RuntimeError("the weights broke")
    return loss


line = Problem(
    name="line",
    model=build,
    loss=squared_error,
    metrics={"worst": lambda model, batch: (model(batch[0]) - batch[1]).abs().max()},
    train=(inputs, targets),
    test=(inputs, targets),
    batch_size=8,
    steps=30,
)

broken = Problem(
    name="brittle", model=build, loss=brittle, train=(inputs, targets), test=(inputs, targets), batch_size=8, steps=30
)

problems = [line, broken]
