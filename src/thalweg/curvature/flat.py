"""Parameters as one flat vector, in their order, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thalweg.errors import CurvatureError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor


class Layout:
    """Where each trainable parameter lies in the flat vector; those with `requires_grad=False` are left out.

    Raises `ParameterError` where there is none, one is given twice, or they differ in dtype or device or are not real.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.parameters = tuple(parameter for parameter in parameters if parameter.requires_grad)
        if not self.parameters:
            raise ParameterError(
                "there is no trainable parameter; set `requires_grad` for those whose curvature you want"
            )
        if len({id(parameter) for parameter in self.parameters}) < len(self.parameters):
            raise ParameterError("a parameter is given twice; give each once, as `model.parameters()` does")
        kinds = {(parameter.dtype, parameter.device) for parameter in self.parameters}
        if len(kinds) > 1:
            found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
            raise ParameterError(f"the parameters are not of one dtype on one device, but {found}; convert the model")
        ((self.dtype, self.device),) = kinds
        if self.dtype.is_complex:
            raise ParameterError("a parameter is complex; train its real and imaginary parts, as by torch.view_as_real")
        self.sizes = [parameter.numel() for parameter in self.parameters]
        self.size = sum(self.sizes)

    def join(self, pieces: Iterable[Tensor]) -> Tensor:
        """Tensors of the parameters' shapes as one flat vector, without a graph."""
        return torch.cat([piece.detach().reshape(-1) for piece in pieces])

    def split(self, v: Tensor) -> list[Tensor]:
        """A flat vector in pieces of the parameters' shapes. Raises `CurvatureError` for a vector that does not fit."""
        if v.shape != (self.size,) or v.dtype != self.dtype or v.device != self.device:
            raise CurvatureError(
                f"the vector has the shape {tuple(v.shape)}, {v.dtype}, on {v.device}; the trainable parameters need "
                f"the shape ({self.size},), {self.dtype}, on {self.device}"
            )
        pieces = v.detach().split(self.sizes)
        return [piece.view(parameter.shape) for piece, parameter in zip(pieces, self.parameters, strict=True)]


def as_list(tensors: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """One tensor or several, as a list."""
    return [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
