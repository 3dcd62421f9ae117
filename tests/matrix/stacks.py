"""Random stacks of gradients, correlated in rows and columns, and methods run on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from thalweg.matrix import MatrixRule, States


def gradients(count: int, b: int, m: int, n: int, *, dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Tensor]:
    """`count` stacks (b, m, n); each matrix of a stack mixes its rows and its columns in its own way."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    left, right = draw(b, m, m), draw(b, n, n)
    return [(left @ draw(b, m, n) @ right / (m * n) ** 0.5).to(dtype) for _ in range(count)]


def run(rule: MatrixRule, stacks: Sequence[Tensor], **numbers: Any) -> tuple[list[Tensor], States]:
    """The directions of each step, and the states after the last."""
    states = rule.begin(stacks[0], numbers)
    directions = [rule.direction(stack, states, numbers, step) for step, stack in enumerate(stacks, start=1)]
    return directions, states


def distance(found: Tensor, expected: Tensor | NDArray) -> float:
    """The largest difference, as a fraction of the largest expected value."""
    wanted = torch.as_tensor(expected).double()
    assert bool(torch.isfinite(found).all())
    assert found.shape == wanted.shape
    scale = float(wanted.abs().max())
    return float((found.double() - wanted).abs().max()) / (scale or 1.0)
