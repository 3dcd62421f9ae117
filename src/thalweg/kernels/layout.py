"""How tensors lie in memory, and how those must that are stepped together.

A parameter's gradient and states have its order in memory, without gaps, so that one index serves them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def wanted_strides(parameter: Tensor) -> tuple[int, ...]:
    """The strides for what belongs to a parameter: its own where it fills its memory, else those that come nearest."""
    return torch.empty_like(parameter, device="meta").stride()


def fits(tensor: Tensor, strides: tuple[int, ...]) -> bool:
    """Whether a tensor lies so, as it is: not as the negative of what lies there, as torch's views may.

    The stride of a dimension of one element does not matter.
    """
    if tensor.is_neg():
        return False
    own = tensor.stride()
    return own == strides or all(size == 1 or a == b for size, a, b in zip(tensor.shape, own, strides, strict=True))


def laid_out(state: Tensor, parameter: Tensor) -> Tensor:
    """The state as it must lie for the parameter, of its dtype: itself, or a copy."""
    if state.dtype == parameter.dtype and fits(state, wanted_strides(parameter)):
        return state
    return torch.empty_like(parameter, requires_grad=False).copy_(state)
