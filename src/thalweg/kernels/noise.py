"""Random numbers that are functions of a seed, a step, a tensor and an element: on any number of threads the same.

Philox4x32-10 of Salmon et al. 2011, doi:10.1145/2063384.2063405: a counter and a key give 128 random bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thalweg.kernels.layout import wanted_strides
from thalweg.kernels.lower import WORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
"""By how much the two words of the key grow from round to round."""
ROUNDS = 10
BLOCK, LANES = 256, 64
"""The first 64 elements of a block have the first words of 64 counters, the next 64 their second words, and so on."""
_LOW = 0xFFFFFFFF


def philox(counter: Sequence[Tensor | int], key: Sequence[Tensor | int]) -> tuple[Tensor | int, ...]:
    """Four words of 32 random bits, of a counter of four words and a key of two; in int64, whose overflow is right."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        first, second = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0, c2 = (second >> 32 & _LOW) ^ c1 ^ k0, (first >> 32 & _LOW) ^ c3 ^ k1
        c1, c3 = second & _LOW, first & _LOW
        k0, k1 = (k0 + WEYL[0]) & _LOW, (k1 + WEYL[1]) & _LOW
    return c0, c1, c2, c3


def uniform(seed: Sequence[int], step: Sequence[int], key: int, like: Tensor, *, by_row: bool) -> Tensor:
    """A number in [0, 1) for every element of a parameter, a multiple of 2⁻²⁴, in float32.

    `seed` and `step` are two words each, the lower first; `key` is the parameter's. Elements are counted as they lie.
    """
    whole, count = (low + WORD * high for low, high in (seed, step))
    places = torch.arange(-(-like.numel() // BLOCK) * LANES, device=like.device)
    words = philox((places & _LOW, places >> 32, count & _LOW, key), (whole & _LOW, whole >> 32))
    blocks = [torch.as_tensor(word, device=like.device).reshape(-1, LANES) for word in words]
    flat = (torch.stack(blocks, 1).reshape(-1)[: like.numel()] >> 8).to(torch.float32) / WORD
    return flat.as_strided(like.shape, wanted_strides(like, by_row=by_row))


def dithered(x: Tensor, u: Tensor, *, dtype: torch.dtype) -> Tensor:
    """The value as the dtype keeps it, rounded towards zero, or away from it where u is below what that would take."""
    if dtype == torch.bfloat16:
        bits = x.view(torch.int32)
        taken = (bits & 0xFFFF).to(torch.float32) / 2**16
        kept = ((bits & ~0xFFFF) + (u < taken).int() * 0x10000).view(torch.float32)
        return torch.where(x.isnan(), x, kept)
    if dtype == torch.float16:
        bits = x.view(torch.int32)
        taken = (bits & 0x1FFF).to(torch.float32) / 2**13
        kept = ((bits & ~0x1FFF) + (u < taken).int() * 0x2000).view(torch.float32)
        scaled = x.abs() * 2**24  # below 2⁻¹⁴, float16 has the multiples of 2⁻²⁴
        small = torch.copysign((scaled.floor() + (u < scaled - scaled.floor())) / 2**24, x)
        return torch.where(x.isnan(), x, torch.where(x.abs() < 2**-14, small, kept))
    return x
