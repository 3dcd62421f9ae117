"""A problem of one's own: on which of two spirals is a point? `thalweg race examples/my_problem.py`."""

import torch
from torch import nn

from thalweg.lab.problem import Problem
from thalweg.lab.problems import accuracy, cross_entropy


def draw_spirals(points: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (n, 2) along the spirals, and for each of them 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(points) % 2
    angle = 2 * torch.pi * torch.rand(points, generator=generator)
    turned = angle + torch.pi * labels
    where = torch.stack([angle * turned.cos(), angle * turned.sin()], dim=1) / 5
    return where + 0.05 * torch.randn(points, 2, generator=generator), labels


problem = Problem(
    name="spirals",
    title="Two spirals",
    model=lambda: nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2)),
    loss=cross_entropy,
    metrics={"accuracy": accuracy},
    train=draw_spirals(1000, seed=0),
    test=draw_spirals(500, seed=1),
    batch_size=50,
    steps=500,
)
