"""How tensors lie in memory, and how those must that are stepped together.

A parameter's gradient and states have its order in memory, without gaps, so that one index serves them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def wanted_strides(parameter: Tensor, *, by_row: bool = False) -> tuple[int, ...]:
    """The strides for what belongs to a parameter: its own where it fills its memory, else those that come nearest.

    `by_row` wants rows in memory one after the other.
    """
    kept = torch.contiguous_format if by_row else torch.preserve_format
    return torch.empty_like(parameter, device="meta", memory_format=kept).stride()


def fits(tensor: Tensor, strides: tuple[int, ...]) -> bool:
    """Whether a tensor lies so, as it is: not as the negative of what lies there, as torch's views may.

    The stride of a dimension of one element does not matter.
    """
    if tensor.is_neg():
        return False
    own = tensor.stride()
    return own == strides or all(size == 1 or a == b for size, a, b in zip(tensor.shape, own, strides, strict=True))


def laid_out(state: Tensor, parameter: Tensor, *, dtype: torch.dtype | None = None, by_row: bool = False) -> Tensor:
    """The state as it must lie for the parameter, where it is and of its dtype if not of another: itself, or a copy."""
    dtype = dtype or parameter.dtype
    strides = wanted_strides(parameter, by_row=by_row)
    if state.dtype == dtype and state.device == parameter.device and fits(state, strides):
        return state
    made = torch.empty_strided(parameter.shape, strides, dtype=dtype, device=parameter.device)
    return made.copy_(state)
