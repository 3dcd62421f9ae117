"""States in 8 bits: blocks of 256 elements, each with its largest size, and for every element a place in a map.

Dettmers et al. 2022, arXiv:2110.02861: block-wise quantisation (section 2.1) with the dynamic map (section 1.3), whose
numbers lie in decades from 10⁻⁷ to 1: each decade has twice as many as the one below, evenly spread. With a sign the
largest decade has 64 numbers on either side, without one 128; besides, there are 0 and 1. Blocks follow the elements
row by row. We differ in one point: without a sign, what is not 0 does not become 0. A second moment of 0 under a first
moment that is not would make a huge step (Li et al. 2023, arXiv:2309.01507, section 4.1: the zero point problem).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

BLOCK = 256
DECADES = 7
SIGNED, UNSIGNED = torch.int8, torch.uint8
"""What codes are kept in. With a sign, the code is ± the place in the map, and -128 stands for 1."""


@dataclass(frozen=True)
class Map:
    """The sizes that codes stand for, by their place: 0, the decades, 1."""

    first_bits: int
    """The lowest decade has two to the power of this many numbers."""
    keeps_small: bool
    """Whether what is not 0 does not become 0."""

    @property
    def top(self) -> int:
        """The place of 1."""
        return 2**self.first_bits * (2**DECADES - 1) + 1

    @functools.cached_property
    def sizes(self) -> Tensor:
        """The number at each place, in float32: computed as a kernel does, see `thalweg.kernels.numba.eight_bits`."""
        inside = np.arange(1, self.top) + 2**self.first_bits - 1
        bits = np.log2(inside).astype(np.int64)
        share = (inside / 2.0**bits - 1 + 2.0 ** -(bits + 1)).astype(np.float32)
        decade = np.array([10.0 ** (place - DECADES + 1) for place in range(DECADES)], np.float32)
        values = decade[bits - self.first_bits] * (np.float32(0.1) + np.float32(0.9) * share)
        return torch.from_numpy(np.concatenate([[0.0], values, [1.0]]).astype(np.float32))

    @functools.cached_property
    def edges(self) -> list[float]:
        """The middle between 0 and the lowest decade, between each decade and the next, between the last one and 1.

        Each is the largest float32 that is not above the middle: a float32 is beyond the one if beyond the other.
        """
        sizes = self.sizes.double().tolist()
        starts = [2**self.first_bits * (2**decade - 1) + 1 for decade in range(DECADES + 1)]
        middles = [(sizes[place - 1] + sizes[place]) / 2 for place in starts]
        near = [np.float32(middle) for middle in middles]
        below = [
            float(n if n <= middle else np.nextafter(n, np.float32(0))) for n, middle in zip(near, middles, strict=True)
        ]
        return [0.0, *below[1:]] if self.keeps_small else below

    def places(self, sizes: Tensor) -> Tensor:
        """The place that is nearest to each size from 0 to 1, in float32; 0 for a NaN."""
        edges = torch.tensor(self.edges, device=sizes.device)
        decade = torch.bucketize(sizes, edges) - 1  # how many of them it is beyond
        inside = decade.clamp(0, DECADES - 1)
        scale = torch.tensor([10.0 ** (DECADES - 1 - place) for place in range(DECADES)], device=sizes.device)
        count = torch.tensor([2.0 ** (place + self.first_bits) for place in range(DECADES)], device=sizes.device)
        steps = (sizes * scale[inside] - 0.1) * torch.tensor(1 / 0.9, device=sizes.device) * count[inside]
        number = torch.minimum(steps.clamp(min=0).floor(), count[inside] - 1).nan_to_num() + count[inside]
        place = number.int() - (2**self.first_bits - 1)
        place = torch.where(decade >= DECADES, self.top, place)
        return torch.where((decade < 0) | sizes.isnan(), 0, place).int()


MAPS = {SIGNED: Map(0, keeps_small=False), UNSIGNED: Map(1, keeps_small=True)}


def absmax_of(slot: str) -> str:
    """What the largest sizes of a state's blocks are called, beside the state."""
    return f"{slot}.absmax"


def blocks_of(shape: Sequence[int]) -> int:
    """How many blocks a tensor of this shape has."""
    return -(-math.prod(shape) // BLOCK)


def quantise(values: Tensor, dtype: torch.dtype, absmax: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Codes of the values' shape, row by row, and the largest size of each block, in float32.

    Without a sign, values below 0 become 0. A block with a value that is not finite has nothing else. What codes stood
    for gets the same ones by the same `absmax`.
    """
    flat = values.detach().to(torch.float32, memory_format=torch.contiguous_format).reshape(-1)
    count = blocks_of(values.shape)
    padded = flat.new_zeros(count * BLOCK)
    padded[: len(flat)] = flat
    if absmax is None:
        absmax = padded.abs().reshape(count, BLOCK).amax(1) if count else flat.new_zeros(0)
    absmax = absmax.to(flat.device, torch.float32)
    divisor = torch.where(absmax == 0, 1, absmax).repeat_interleave(BLOCK)[: len(flat)]
    if dtype == UNSIGNED:
        codes = MAPS[dtype].places(flat.clamp(min=0) / divisor)
    else:
        places = MAPS[dtype].places(flat.abs() / divisor)
        codes = torch.where(flat < 0, -places.clamp(max=MAPS[dtype].top - 1), places)
    return codes.to(dtype).reshape(values.shape), absmax


def dequantise(codes: Tensor, absmax: Tensor) -> Tensor:
    """The values that codes stand for, in float32."""
    flat = codes.contiguous().reshape(-1).int()
    sizes = MAPS[codes.dtype].sizes.to(codes.device)[flat.abs()]
    signed = torch.where((flat < 0) & (flat > -MAPS[codes.dtype].top), -sizes, sizes)
    return (signed * absmax.repeat_interleave(BLOCK)[: len(flat)]).reshape(codes.shape)
