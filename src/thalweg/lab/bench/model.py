"""The model that is stepped: tensors with gradients that stay, the same for all contenders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import torch

from thalweg.errors import RaceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.nn import Parameter

    from thalweg.lab.bench.settings import Size

GIB = 2**30
ARRAYS = 20
"""Of how many arrays a measurement makes use at once: Adam's, of four contenders, with values and gradients."""


class Model:
    """Values and gradients of one size, drawn once. Each contender gets parameters of its own to move."""

    def __init__(self, size: Size, *, dtype: str, device: str) -> None:
        generator = torch.Generator(device).manual_seed(0)
        self.size = size
        self.dtype: torch.dtype = getattr(torch, dtype)
        self.device = device

        def draw() -> list[Tensor]:
            numbers = torch.randn(size.elements, generator=generator, device=device, dtype=torch.float32)
            return [part.reshape(size.shape).to(self.dtype, copy=True) for part in numbers.chunk(size.count)]

        self.values, self.gradients = draw(), draw()

    def parameters(self) -> list[Parameter]:
        """New parameters, with the gradients that all share: nobody writes to them."""
        made = [torch.nn.Parameter(value.clone()) for value in self.values]
        for parameter, gradient in zip(made, self.gradients, strict=True):
            parameter.grad = gradient
        return made


def check_memory(sizes: Sequence[Size], *, itemsize: int, device: str) -> None:
    """Raises `RaceError` if the arrays that one rule and its twins need at the largest size do not fit the memory."""
    largest = max(sizes, key=lambda size: size.elements)
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available
    needed = largest.elements * itemsize * ARRAYS
    if needed > free:
        raise RaceError(
            f"the size {largest} needs about {needed / GIB:,.1f} GiB, and {free / GIB:,.1f} are free; "
            "choose smaller --sizes"
        )
