"""The trainable parameters of an optimizer's groups as the one flat vector that a descent moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.curvature.flat import Layout
from thalweg.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


class Variables:
    """z = x/√scale for each trainable parameter x, in the groups' order; and ½·weight_decay·‖x‖² of the loss.

    Frozen parameters (`requires_grad=False`) are left out. Raises `ParameterError` where none is left, or they are not
    real, in float32 or float64, of one dtype on one device.
    """

    def __init__(self, groups: Sequence[dict[str, Any]]) -> None:
        self._layout = Layout(parameter for group in groups for parameter in group["params"])
        if self._layout.dtype not in (torch.float32, torch.float64):
            raise ParameterError(
                f"the parameters are of {self._layout.dtype}; descents are made in float32 and float64: convert the "
                "model, and compute the loss under `torch.autocast` if it is to be narrower"
            )
        if not self.size:
            raise ParameterError("the trainable parameters have no element; there is nothing to minimise over")
        self.root = self._spread(groups, "scale", usual=1.0)
        self.root = None if self.root is None else self.root.sqrt_()
        self.decay = self._spread(groups, "weight_decay", usual=0.0)
        self._origin = self._layout.join(self.parameters)
        self.start = self._origin if self.root is None else self._origin / self.root

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """The trainable parameters."""
        return self._layout.parameters

    @property
    def size(self) -> int:
        """How many numbers they are."""
        return self._layout.size

    @torch.no_grad()
    def place(self, z: Tensor) -> None:
        """Put the parameters where the vector says; at `start`, to the bit where they were."""
        x = self._origin if z.data_ptr() == self.start.data_ptr() else self.inside(z)
        for parameter, piece in zip(self.parameters, self._layout.split(x), strict=True):
            parameter.copy_(piece)

    def inside(self, v: Tensor) -> Tensor:
        """A vector of z's kind as one of x's."""
        return v if self.root is None else v * self.root

    def slope(self, pieces: Sequence[Tensor | None], z: Tensor) -> Tensor:
        """The gradient by z, from that of the loss by each parameter, where None stands for zeros."""
        joined = self._layout.join(
            parameter.new_zeros(()).expand_as(parameter) if piece is None else piece
            for parameter, piece in zip(self.parameters, pieces, strict=True)
        )
        return self.bent(joined, z)

    def bent(self, product: Tensor, v: Tensor) -> Tensor:
        """The Hessian by z times v, from that of the loss by x times `inside(v)`; a gradient likewise, with v = z."""
        decayed = product if self.decay is None else product + self.decay * self.inside(v)
        return self.inside(decayed)

    def penalty(self, z: Tensor) -> float:
        """What the weight decays add to the loss."""
        if self.decay is None:
            return 0.0
        x = self.inside(z)
        return 0.5 * float(torch.dot(self.decay * x, x))

    def _spread(self, groups: Sequence[dict[str, Any]], name: str, *, usual: float) -> Tensor | None:
        """A number of each group for each element, or `None` if it is the usual one in all of them."""
        numbers = [float(group[name]) for group in groups for p in group["params"] if p.requires_grad]
        if all(value == usual for value in numbers):
            return None
        return self._layout.join(
            p.new_full(p.shape, value, requires_grad=False) for p, value in zip(self.parameters, numbers, strict=True)
        )


def name_of(groups: Sequence[dict[str, Any]], wrong: Callable[[Tensor], bool]) -> str | None:
    """What to call the first parameter with something wrong, or `None`."""
    for at, group in enumerate(groups):
        names = group.get("param_names", ())
        for inside, parameter in enumerate(group["params"]):
            if wrong(parameter):
                return f"`{names[inside]}`" if names else f"parameter {inside} of group {at}"
    return None
