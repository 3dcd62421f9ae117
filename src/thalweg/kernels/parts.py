"""Steps complex parameters as what they consist of: each number as two, its real and its imaginary part.

As torch does. A formula over elements acts on both parts alike; the length of a tensor is that of its complex numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.kernels.plan import Moved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels.plan import Plan


def as_parts(tensor: Tensor) -> Tensor:
    """A tensor as real numbers, in the same memory: one more dimension of two where it is complex."""
    return torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor


def shape_in_parts(tensor: Tensor) -> tuple[int, ...]:
    """The shape of a tensor as real numbers."""
    return (*tensor.shape, 2) if tensor.is_complex() else tuple(tensor.shape)


class PartsBinding:
    """A binding of another class to the parts of complex parameters; with the same face."""

    def __init__(
        self,
        binding: Any,  # noqa: ANN401  # a class of bindings
        plan: Plan,
        parameters: Sequence[Tensor],
        states: Sequence[Mapping[str, Tensor]],
        **settings: Any,  # that class's
    ) -> None:
        self._parameters = list(parameters)
        self._parts = list(map(as_parts, parameters))
        real = [{slot: as_parts(state) for slot, state in own.items()} for own in states]
        self._inner = binding(plan, self._parts, real, **settings)
        self.set_constants = self._inner.set_constants
        self.set_rows = self._inner.set_rows
        self.count = self._inner.count
        self.wait = self._inner.wait
        self.gathered = self._inner.gathered
        self.give = self._inner.give

    def find(self) -> None:
        """Find parameters and gradients where they are now.

        Raises `TypeError` if a gradient is None, `RuntimeError` if one is sparse, and `Moved` if a parameter has
        another shape, dtype or layout than it had, or is elsewhere.
        """
        for parameter, parts in zip(self._parameters, self._parts, strict=True):
            if (
                parameter.data_ptr() != parts.data_ptr()
                or parameter.shape != parts.shape[:-1]
                or parameter.dtype != torch.promote_types(parts.dtype, torch.complex64)
                or any(2 * own != of_parts for own, of_parts in zip(parameter.stride(), parts.stride(), strict=False))
            ):
                raise Moved
            gradient = parameter.grad
            if gradient is None:
                message = "a gradient is None"
                raise TypeError(message)
            parts.grad = torch.view_as_real(gradient.detach().resolve_conj())
        self._inner.find()

    def run(self, place: int = -1) -> int | None:
        """Run a pass; gives the place of the first tensor with a gradient that is not finite, if it looks."""
        return self._inner.run(place)

    def release(self) -> None:
        """Let go of what `find` holds."""
        self._inner.release()
        for parts in self._parts:
            parts.grad = None
