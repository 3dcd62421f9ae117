"""How a spectrum is spread: its density by stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from thalweg.curvature.lanczos import tridiagonal
from thalweg.curvature.vectors import Draws, refuse_below
from thalweg.errors import HyperparameterError

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.curvature.operator import Symmetric


@dataclass(frozen=True, eq=False)
class Density:
    """A spectrum as weighted points: `weights` (k,) add up to 1, and are the share of eigenvalues near each of `nodes`.

    The outermost nodes are close to the outermost eigenvalues.
    """

    nodes: Tensor
    weights: Tensor

    def at(self, grid: Tensor, width: float | None = None) -> Tensor:
        """The density at the points of a grid, in its shape, each node a Gaussian of standard deviation `width`.

        Without a width, a hundredth of the spectrum's length. Raises `HyperparameterError` for none above 0.
        """
        if width is None:
            width = float(self.nodes[-1] - self.nodes[0]) / 100 or 1.0
        if not 0 < width < math.inf:
            raise HyperparameterError(f"`width` is {width!r}; it must be a positive number")
        z = (grid.double().unsqueeze(-1) - self.nodes) / width
        return (torch.exp(-(z**2) / 2) @ self.weights / (width * math.sqrt(2 * math.pi))).to(grid.dtype)

    def below(self, value: float) -> float:
        """The share of eigenvalues below a value: of the negative ones, for 0."""
        return float(self.weights[self.nodes < value].sum())

    def moment(self, power: int) -> float:
        """The mean of the eigenvalues' powers; n times the first is the trace."""
        return float(self.weights @ self.nodes**power)


def spectral_density(A: Symmetric, *, probes: int = 10, steps: int = 80, seed: int = 0) -> Density:
    """The density of all eigenvalues, from `probes` random vectors and `steps` products with each.

    Each probe gives a quadrature that is exact for the moments up to 2·steps − 1 of its own measure; their mean tends
    to the spectrum. Few steps find the ends, more resolve the middle, more probes smooth it. `steps` vectors are kept.

    Lin, Saad and Yang 2016, doi:10.1137/130934283; for networks Ghorbani, Krishnan and Xiao 2019, arXiv:1901.10159.
    Raises `HyperparameterError`.

    >>> density = spectral_density(torch.diag(torch.tensor([1.0, 1.0, 1.0, 5.0])))
    >>> density.nodes.unique().round(), round(density.moment(1), 5)
    (tensor([1., 5.], dtype=torch.float64), 2.0)
    """
    refuse_below("probes", probes, 1)
    refuse_below("steps", steps, 1)
    nodes: list[Tensor] = []
    weights: list[Tensor] = []
    for probe in Draws(A, seed).signs(probes).T:
        diagonal, off = tridiagonal(A, probe, steps)
        T = torch.diag(diagonal) + torch.diag(off, 1) + torch.diag(off, -1)
        found, vectors = torch.linalg.eigh(T)
        nodes.append(found)
        weights.append(vectors[0] ** 2 / probes)
    together, order = torch.cat(nodes).sort()
    return Density(together, torch.cat(weights)[order])
