"""States that have a value for each element, as they stand in `optimizer.state`, in the dtypes that are asked for.

In 8 bits they are codes, and beside them, as `m.absmax`, the largest size of each block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import ParameterError
from thalweg.kernels.eight_bits import MAPS, absmax_of, blocks_of, dequantise, quantise
from thalweg.kernels.layout import laid_out
from thalweg.optimizer.members import first_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.formula import Kept
    from thalweg.optimizer.launch import Member


def take(
    member: Member, kept: Kept, value: torch.Tensor | None, sizes: torch.Tensor | None, *, by_row: bool
) -> dict[str, torch.Tensor]:
    """A member's state as it is to be kept, by its name in the formula; in 8 bits, the sizes of its blocks with it.

    `value` and `sizes` are what it has had so far. Raises `ParameterError` for 8 bits on several processes.
    """
    parameter = member.parameter
    dtype = member.reading.dtype_of(kept, member.whole)
    if dtype in MAPS and member.shard is not None:
        message = (
            f"{member.name} lies on several processes, where no states are kept in 8 bits yet; choose torch.bfloat16 "
            "as its `state_dtype`"
        )
        raise ParameterError(message)
    if value is None:
        value = first_value(kept.start, member, torch.float32 if dtype in MAPS else dtype)
    found = as_wanted({kept.name: value, absmax_of(kept.name): sizes}, {kept.name: dtype})
    by_row = by_row or member.reading.keeps_codes(member.whole)
    made = {kept.name: laid_out(found[kept.name], parameter, dtype=dtype, by_row=by_row)}
    if dtype in MAPS:
        made[absmax_of(kept.name)] = found[absmax_of(kept.name)].to(parameter.device, torch.float32).contiguous()
    return made


def keep_sizes(entries: dict[str, Any], name: str, sizes: torch.Tensor | None) -> None:
    """Have the sizes of a state's blocks stand beside it, if it has any."""
    if sizes is None:
        entries.pop(absmax_of(name), None)
    else:
        entries[absmax_of(name)] = sizes


def name_in_state(name: str, names: Mapping[str, str]) -> str:
    """What an entry of a parameter's state is called; `name` is as in the formula, `names` says what is otherwise."""
    slot = name.removesuffix(absmax_of(""))
    own = names.get(slot, slot)
    return own if slot == name else absmax_of(own)


def without_codes(state: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter's state with numbers where codes are; the sizes of their blocks stay, to find the same codes by."""
    made = dict(state)
    for name, value in state.items():
        if isinstance(value, torch.Tensor) and value.dtype in MAPS and _fits(state.get(absmax_of(name)), value):
            made[name] = dequantise(value, state[absmax_of(name)])
    return made


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
        if not value.is_floating_point():
            continue
        sizes = made.pop(absmax_of(name), None)  # of numbers that were codes before
        if dtype in MAPS:
            made[name], made[absmax_of(name)] = quantise(value, dtype, sizes if _fits(sizes, value) else None)
    return made


def _fits(absmax: object, codes: torch.Tensor) -> bool:
    return isinstance(absmax, torch.Tensor) and absmax.shape == (blocks_of(codes.shape),)
