"""What a table of addresses has for each tensor: its arrays, and what is kept and drawn in blocks of 256 elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.kernels import eight_bits, noise
from thalweg.kernels.eight_bits import absmax_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.kernels.plan import Plan

CODES = tuple(str(dtype).removeprefix("torch.") for dtype in eight_bits.MAPS)
"""The dtypes of states in 8 bits, by torch's names."""
BLOCK = noise.BLOCK
assert BLOCK == eight_bits.BLOCK  # noqa: S101  # one division into blocks serves both
KEY = "#key"
"""The column of what a tensor draws its random numbers by."""


def table_columns(plan: Plan, dtypes: Mapping[str, str]) -> list[str]:
    """What the table of addresses has for each tensor: its slots, largest sizes of blocks, and its key to draw by."""
    sizes = [absmax_of(slot) for slot in plan.slots if dtypes.get(slot) in CODES]
    return [*plan.slots, *sizes, *([KEY] if plan.noise else [])]
