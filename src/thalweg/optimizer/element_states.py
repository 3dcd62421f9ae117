"""States that have a value for each element, as they stand in `optimizer.state`, in the dtypes that are asked for.

In 8 bits they are codes, and beside them, as `m.absmax`, the largest size of each block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.kernels.eight_bits import MAPS, absmax_of, blocks_of, dequantise, quantise
from thalweg.kernels.layout import laid_out
from thalweg.optimizer.members import first_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.formula import Kept
    from thalweg.optimizer.launch import Member


def take(entries: dict[str, Any], member: Member, kept: Kept, name: str, *, by_row: bool) -> dict[str, torch.Tensor]:
    """A member's state, called `name` among its entries, as it is or as it starts: by its name in the formula.

    It is left in the entries as it is to be kept; in 8 bits, the sizes of its blocks come and stay with it.
    """
    parameter = member.parameter
    dtype = member.reading.dtype_of(kept, member.whole)
    value = entries.get(name)
    if value is None:
        value = first_value(kept.start, member, torch.float32 if dtype in MAPS else dtype)
    found = as_wanted({**entries, name: value}, {name: dtype})
    by_row = by_row or member.reading.keeps_codes(member.whole)
    entries[name] = laid_out(found[name], parameter, dtype=dtype, by_row=by_row)
    if dtype not in MAPS:
        entries.pop(absmax_of(name), None)
        return {kept.name: entries[name]}
    entries[absmax_of(name)] = found[absmax_of(name)].to(parameter.device, torch.float32).contiguous()
    return {kept.name: entries[name], absmax_of(kept.name): entries[absmax_of(name)]}


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
