"""The coordinates in which a layer's inputs are white, and the way there and back.

The layer computes V U(h − c) + d, which is W h + b with W = V U and b = d − W c; so V = W U⁻¹ and d = b + W c. U and c
are of a block's n channels; a convolution's weight is one matrix for each of the k places of its filter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from thalweg.errors import CurvatureError, GradientError
from thalweg.matrix.spectrum import eigen

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.kronecker.layers import Layer

Turn: TypeAlias = Literal["pca", "zca"]
"""Whether coordinates are turned to the covariance's eigenvectors, or turned back."""


@dataclass(frozen=True, eq=False)
class Coordinates:
    """U and U⁻¹ (blocks, n, n), c (blocks, n), and the covariance (blocks, n, n) of what V is given."""

    U: Tensor
    U_inverse: Tensor
    c: Tensor
    whitened: Tensor

    def into(self, W: Tensor) -> Tensor:
        """V for a weight (blocks, k, m, n)."""
        return W @ self.U_inverse.unsqueeze(1)

    def back(self, V: Tensor) -> Tensor:
        """W for a V, or a change of W for one of V."""
        return V @ self.U.unsqueeze(1)

    def shift(self, W: Tensor) -> Tensor:
        """W c, (blocks, m): by how much d is above b. A convolution takes c at each place of its filter."""
        return (W @ self.c[:, None, :, None]).sum(1).squeeze(-1)

    def pulled(self, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The derivative by V from those by W (blocks, k, m, n) and by b (blocks, m)."""
        if bias is not None:
            weight = weight - bias[:, None, :, None] * self.c[:, None, None, :]
        return weight @ self.U.mT.unsqueeze(1)


def whitening(name: str, mean: Tensor, covariance: Tensor, epsilon: float, turn: Turn) -> Coordinates:
    """U = (Λ + ε)^(−1/2) Ũᵀ for a covariance Ũ Λ Ũᵀ, turned back by Ũ for `zca`; c is the mean.

    Desjardins et al. 2015, Algorithm 1. Raises `CurvatureError` where it is singular and ε is 0.
    """
    try:
        values, vectors = eigen(covariance)
    except GradientError as error:
        raise CurvatureError(
            f"what layer `{name}` was given cannot be whitened: the eigenvalues of its covariance were not found; it "
            "has probably grown beyond all bounds: lower the learning rate, or raise `epsilon`"
        ) from error
    values = values.clamp(min=0)
    scales = (values + epsilon).sqrt()
    tiny = torch.finfo(values.dtype).eps * values.shape[-1] * values.amax(-1, keepdim=True)
    if epsilon == 0 and bool((values <= tiny).any()):
        raise CurvatureError(
            f"layer `{name}`: the covariance of what it is given is singular, as with fewer examples than inputs or "
            "inputs that never change, and `epsilon` is 0; give a larger one"
        )
    turned = vectors if turn == "zca" else torch.eye(values.shape[-1], dtype=values.dtype, device=values.device)
    U = (turned / scales.unsqueeze(-2)) @ vectors.mT
    U_inverse = (vectors * scales.unsqueeze(-2)) @ turned.mT
    return Coordinates(U.contiguous(), U_inverse.contiguous(), mean, U @ covariance @ U.mT)


def as_places(layer: Layer, weight: Tensor) -> Tensor:
    """Values of a weight's shape as (blocks, k, m, n)."""
    stack = weight.detach().to(layer.dtype).reshape(layer.blocks, -1, weight.shape[1], *weight.shape[2:])
    return stack.flatten(3).permute(0, 3, 1, 2) if weight.ndim > 2 else stack.unsqueeze(1)


def as_weight(layer: Layer, places: Tensor) -> Tensor:
    """(blocks, k, m, n) in the weight's shape."""
    return places.permute(0, 2, 3, 1).reshape(layer.weight.shape)


def as_channels(layer: Layer, given: Tensor) -> Tensor:
    """What a layer is given, as (blocks, rows, n): a convolution's at every place of its input."""
    given = given.detach().to(layer.dtype)
    if layer.weight.ndim == 2:
        return given.reshape(1, -1, given.shape[-1])
    maps = given if given.ndim == 4 else given.unsqueeze(0)
    return maps.flatten(2).unflatten(1, (layer.blocks, -1)).permute(1, 0, 3, 2).flatten(1, 2)
