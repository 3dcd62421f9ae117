"""The scale that PRONG⁺ adds to a whitened layer: each output divided by its deviation, and multiplied by one learned.

Output o of the layer is γ_o v_o U(h − c)/σ_o + d_o with σ_o² = v_o S v_oᵀ + 1e-5, the variance of v_o U(h − c) over the
examples that the whitening was estimated from: S is their covariance behind U. That is batch normalisation's scaling
(Ioffe and Szegedy 2015, arXiv:1502.03167, Algorithm 1, with its ε as torch has it) with the statistics of those
examples, so that the layer stays one matrix and a bias; its centring is the whitening's. A filter's places count as
independent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_EPSILON = 1e-5


def deviations(V: Tensor, whitened: Tensor) -> Tensor:
    """σ, (blocks, m), of V (blocks, k, m, n)."""
    return ((V @ whitened.unsqueeze(1) * V).sum((1, 3)) + _EPSILON).sqrt()


def scaled(V: Tensor, gamma: Tensor, whitened: Tensor) -> Tensor:
    """The V that the layer computes with, (γ/σ)V."""
    return (gamma / deviations(V, whitened))[:, None, :, None] * V


def pulled(slope: Tensor, V: Tensor, gamma: Tensor, whitened: Tensor) -> tuple[Tensor, Tensor]:
    """The derivatives by V and γ, from that by (γ/σ)V."""
    sigma = deviations(V, whitened)
    along = (slope * V).sum((1, 3))
    of_sigma = (V @ whitened.unsqueeze(1)) * (along / sigma.square())[:, None, :, None]
    return (gamma / sigma)[:, None, :, None] * (slope - of_sigma), along / sigma
