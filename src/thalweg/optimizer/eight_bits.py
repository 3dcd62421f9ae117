"""States in 8 bits as they stand in `optimizer.state`: codes, and beside them, as `m.absmax`, the sizes of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.kernels.eight_bits import MAPS, absmax_of, blocks_of, dequantise, quantise

if TYPE_CHECKING:
    from collections.abc import Mapping


def as_wanted(state: Mapping[str, Any], wanted: Mapping[str, torch.dtype]) -> dict[str, Any]:
    """A parameter's state with its entries in 8 bits where such a dtype is wanted of them, and not in them elsewhere.

    What is in another dtype of floating-point numbers, or is no state at all, stays as it is.
    """
    made = dict(state)
    for name, dtype in wanted.items():
        value = made.get(name)
        if not isinstance(value, torch.Tensor) or (value.dtype == dtype and dtype in MAPS):
            continue
        if value.dtype in MAPS and _fits(made.get(absmax_of(name)), value):
            value = made[name] = dequantise(value, made.pop(absmax_of(name)))
        if dtype in MAPS and value.is_floating_point():
            made[name], made[absmax_of(name)] = quantise(value, dtype)
    return made


def _fits(absmax: object, codes: torch.Tensor) -> bool:
    return isinstance(absmax, torch.Tensor) and absmax.shape == (blocks_of(codes.shape),)
