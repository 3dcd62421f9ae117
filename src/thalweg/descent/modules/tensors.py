"""All parameters of a group as one flat vector, as torch's L-BFGS sees them: frozen and unused ones have zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thalweg.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class FlatTensors:
    """Reads and writes tensors, and their gradients, as one vector; a complex one counts as pairs of real numbers.

    Raises `ParameterError` if they are not of one dtype on one device.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        kinds = {(tensor.dtype.to_real(), tensor.device) for tensor in tensors}
        if len(kinds) > 1:
            found = " and ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
            raise ParameterError(
                f"the parameters are {found}, and L-BFGS moves them as one vector; have all of one dtype on one device"
            )
        self._tensors = tensors
        self._reals = [_real(tensor.detach()) for tensor in tensors]
        self._sizes = [real.numel() for real in self._reals]
        self.size = sum(self._sizes)

    def read(self) -> Tensor:
        """A copy of the values."""
        return torch.cat([real.reshape(-1) for real in self._reals])

    def place(self, x: Tensor) -> None:
        """Set the values."""
        for tensor, real, piece in zip(self._tensors, self._reals, x.split(self._sizes), strict=True):
            if tensor.is_complex():
                real.copy_(piece.view(real.shape))
            else:
                tensor.copy_(piece.view(tensor.shape))

    def gradient(self) -> Tensor:
        """A copy of the gradients, zeros where there is none."""
        return torch.cat(
            [
                real.new_zeros(()).expand(real.numel()) if tensor.grad is None else _gradient(tensor.grad)
                for tensor, real in zip(self._tensors, self._reals, strict=True)
            ]
        )


def _gradient(grad: Tensor) -> Tensor:
    return _real(grad.to_dense() if grad.layout != torch.strided else grad).reshape(-1)


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
