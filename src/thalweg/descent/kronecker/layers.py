"""Which layers of a model have Kronecker factors, and how their inputs, slopes and weights become stacks of matrices.

A layer is a stack of `blocks`, one for each group of a convolution: weights (blocks, m, n), m outputs and n inputs.
With a bias, the last of the n inputs is 1 and the weights' last column the bias: Martens and Grosse 2015, section 2.1.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

from thalweg.errors import ParameterError
from thalweg.optimizer.roles import ROLES, matching, roles

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from torch import Tensor

_FORWARD = {nn.Linear: nn.Linear.forward, nn.Conv2d: nn.Conv2d.forward}


@dataclass(frozen=True, eq=False)
class Layer:
    """A Linear or a Conv2d, and those of its parameters that are stepped."""

    name: str
    module: nn.Linear | nn.Conv2d
    weight: nn.Parameter
    bias: nn.Parameter | None

    @property
    def blocks(self) -> int:
        """How many groups its channels are in."""
        return self.module.groups if isinstance(self.module, nn.Conv2d) else 1

    @property
    def sizes(self) -> tuple[int, int]:
        """The inputs n, with the 1 for the bias, and the outputs m of a block."""
        inputs = self.weight[0].numel() + (self.bias is not None)
        return inputs, self.weight.shape[0] // self.blocks

    @property
    def dtype(self) -> torch.dtype:
        """What its factors are computed in: float64 as it is, everything shorter in float32."""
        return torch.float64 if self.weight.dtype == torch.float64 else torch.float32

    def inputs(self, given: Tensor) -> Tensor:
        """What the layer was given, as (blocks, examples, places, n).

        A convolution's places are those of its output, the n inputs the patch that it sees there (Grosse and Martens
        2016); a Linear's are all dimensions between the first and the last.
        """
        given = given.detach().to(self.dtype)
        if isinstance(self.module, nn.Conv2d):
            patches = _patches(given if given.ndim == 4 else given.unsqueeze(0), self.module)
            parts = patches.unflatten(1, (self.blocks, -1)).permute(1, 0, 3, 2)
        else:
            parts = _places(given).unsqueeze(0)
        return functional.pad(parts, (0, 1), value=1.0) if self.bias is not None else parts

    def slopes(self, given: Tensor) -> Tensor:
        """Derivatives by what the layer gave, as (blocks, examples, places, m)."""
        given = given.detach().to(self.dtype)
        if isinstance(self.module, nn.Conv2d):
            maps = given if given.ndim == 4 else given.unsqueeze(0)
            return maps.flatten(2).unflatten(1, (self.blocks, -1)).permute(1, 0, 3, 2)
        return _places(given).unsqueeze(0)

    def matrices(self, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Values of the shapes of its parameters as one stack (blocks, m, n)."""
        stack = weight.detach().to(self.dtype).reshape(self.blocks, self.sizes[1], -1)
        if self.bias is None:
            return stack
        column = torch.zeros_like(stack[..., :1])
        if bias is not None:
            column.copy_(bias.detach().reshape(self.blocks, -1, 1))
        return torch.cat([stack, column], -1)

    def parts(self, stack: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """The parameters, each with its part of such a stack, in its shape and dtype."""
        if self.bias is not None:
            yield self.bias, stack[..., -1].reshape(self.bias.shape).to(self.bias.dtype)
            stack = stack[..., :-1]
        yield self.weight, stack.reshape(self.weight.shape).to(self.weight.dtype)


def find_layers(model: nn.Module, stepped: Collection[Tensor], skip: Sequence[str]) -> list[Layer]:
    """The layers of the model whose weights are stepped and have factors; `skip` names roles, parameters or patterns.

    What is of another kind, computes otherwise, or has a weight that is made of others is left out. Raises
    `ParameterError` for a weight that two layers share, `UnknownNameError` for what fits nothing.
    """
    skipped = _skipped(model, skip)
    known = {id(parameter) for parameter in stepped if id(parameter) not in skipped}
    attended = {id(m) for owner in model.modules() if isinstance(owner, nn.MultiheadAttention) for m in owner.modules()}
    found: list[Layer] = []
    for name, module in model.named_modules():
        kind = next((one for one in _FORWARD if isinstance(module, one)), None)
        if kind is None or type(module).forward is not _FORWARD[kind] or id(module) in attended:
            continue
        layer = cast("nn.Linear | nn.Conv2d", module)
        own = dict(layer.named_parameters(recurse=False))
        weight, bias = own.get("weight"), own.get("bias")
        if weight is None or id(weight) not in known or weight.is_complex():
            continue
        found.append(Layer(name, layer, weight, bias if bias is not None and id(bias) in known else None))
    _refuse_shared(model, found)
    return found


def _skipped(model: nn.Module, skip: Sequence[str]) -> set[int]:
    """The parameters that these roles and patterns of names mean."""
    named = dict(model.named_parameters())
    found = roles(model) if any(one in ROLES for one in skip) else {}
    names = {name for one in skip if one not in ROLES for name in matching(one, named)}
    names |= {name for name, role in found.items() if role in skip}
    return {id(named[name]) for name in names}


def _refuse_shared(model: nn.Module, layers: Sequence[Layer]) -> None:
    places: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        places.setdefault(id(parameter), []).append(name)
    owners = Counter(id(layer.weight) for layer in layers)
    for layer in layers:
        names = list(dict.fromkeys(places[id(layer.weight)]))
        modules = {id(model.get_submodule(name.rpartition(".")[0])) for name in names}
        if len(modules) > 1 or owners[id(layer.weight)] > 1:
            several = " and ".join(f"`{name}`" for name in names)
            raise ParameterError(
                f"{several} are one parameter, and factors are those of one layer; leave it to the chain alone, as "
                f"skip=({names[0]!r},)"
            )


def _places(given: Tensor) -> Tensor:
    """(examples, …, n) as (examples, places, n)."""
    return given.reshape(given.shape[0], -1, given.shape[-1]) if given.ndim > 1 else given.reshape(1, 1, -1)


def _patches(given: Tensor, layer: nn.Conv2d) -> Tensor:
    """What the filters see: (examples, channels times the filter's size, places)."""
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    around: list[int] = layer._reversed_padding_repeated_twice  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportAssignmentType]  # the same for 'same' and numbers
    padded = functional.pad(given, around, mode=mode)
    return functional.unfold(padded, layer.kernel_size, layer.dilation, 0, layer.stride)  # pyright: ignore[reportArgumentType]  # pairs
