"""What may be given as parameters: a module, tensors, named tensors, groups; all of it as a list of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from thalweg.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

Parameters: TypeAlias = "torch.nn.Module | Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]"
_STEPPABLE = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.complex128)


def as_groups(params: Parameters) -> Sequence[Any]:
    """As torch takes them. Raises `ParameterError` if there are none."""
    if isinstance(params, torch.nn.Module):
        params = params.named_parameters()
    if isinstance(params, torch.Tensor):
        message = "`params` is a tensor; put it in a list"
        raise ParameterError(message)
    groups = [_with_list(group) if isinstance(group, dict) else group for group in params]
    if not groups or all(isinstance(group, dict) and not group["params"] for group in groups):
        message = "there are no parameters to optimize; has the model any, and was its generator used up before?"
        raise ParameterError(message)
    return groups


def _with_list(group: dict[str, Any]) -> dict[str, Any]:
    """The group, its parameters in a list: a generator gives them only once."""
    if "params" not in group:
        message = f"a parameter group needs `params`, and has {', '.join(map(str, group)) or 'nothing'}"
        raise ParameterError(message)
    params = group["params"]
    if isinstance(params, set):
        return group  # torch says why not
    return {**group, "params": [params] if isinstance(params, torch.Tensor) else list(params)}


def check_parameters(group: dict[str, Any]) -> list[Any]:
    """A group's parameters as a list, if they can be stepped. Raises `ParameterError`."""
    entries = _with_list(group)["params"]
    tensors = [entry[1] if isinstance(entry, tuple) else entry for entry in entries]
    for tensor in tensors:
        if isinstance(tensor, torch.Tensor) and tensor.dtype not in _STEPPABLE:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in _STEPPABLE)
            message = (
                f"a parameter of shape {tuple(tensor.shape)} has dtype {tensor.dtype}; "
                f"those that can be stepped are {known}"
            )
            raise ParameterError(message)
        if isinstance(tensor, torch.Tensor) and tensor.is_conj():
            message = (
                f"a parameter of shape {tuple(tensor.shape)} is the conjugate of what lies in memory; make it of "
                "`tensor.resolve_conj()`"
            )
            raise ParameterError(message)
    if len(set(map(id, tensors))) != len(tensors):
        message = "a parameter stands twice in one group; a parameter that layers share is to be given once"
        raise ParameterError(message)
    return entries
