"""Steps within a radius, for trust regions: Powell's dogleg and Steihaug's conjugate gradients."""

# A direction's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import dot

from thalweg.descent.directions.direction import Direction, Region
from thalweg.descent.directions.newton import finite_hessian, positive_definite
from thalweg.descent.directions.newton_cg import forcing
from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import whole

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.trial import Trial


_KEPT = 20
"""So many products of one point are kept, of the size of the point each."""


@dataclass(frozen=True, repr=False)
class dogleg(Direction):
    """Along −g to the model's minimum there, then towards Newton's point, as far as the radius goes. Powell 1970.

    A Hessian that is not positive definite has as much added to its diagonal as makes it so, as in `damped_newton`.
    Nocedal and Wright, section 4.1, equations (4.15) and (4.16). Its step size is `trust_region()`.
    """

    needs_curvature: ClassVar[bool] = True
    is_region: ClassVar[bool] = True
    when: ClassVar[str] = "Few variables: as damped Newton, without a line search."
    spends: ClassVar[str] = "the gradient and the dense Hessian: n products"
    keeps: ClassVar[str] = "n² numbers, the Hessian's, while it steps"
    is_dense: ClassVar[bool] = True

    def start(self) -> Region:
        """The region of one descent."""
        return _Dogleg()


@dataclass(frozen=True, repr=False)
class steihaug(Direction):
    """Conjugate gradients on the model until the radius, negative curvature or the tolerance ends them. Steihaug 1983.

    For many variables: it asks for Hessian products only, and follows negative curvature to the region's edge.
    Nocedal and Wright, Algorithm 7.2. Its step size is `trust_region()`.
    """

    needs_curvature: ClassVar[bool] = True
    is_region: ClassVar[bool] = True
    when: ClassVar[str] = "Many variables, ill-conditioned or with saddles on the way: the robust one of Newton's kind."
    spends: ClassVar[str] = (
        "the gradient, and a Hessian product for each inner step of conjugate gradients: few far away, more "
        "near a minimum"
    )
    max_products: int | None = whole(1, default=None, source="ours: 20n", kw_only=True)

    def start(self) -> Region:
        """The region of one descent."""
        return _Steihaug(self.max_products)


class _Dogleg(Region):
    def __init__(self) -> None:
        self._at: Trial | None = None
        self._hessian = self._newton = torch.empty(0)

    def within(self, here: Trial, radius: float) -> tuple[Tensor, Tensor]:
        if self._at is not here:  # a refused step asks again with a smaller radius
            self._at = here
            self._hessian, L = positive_definite(finite_hessian(here))
            self._newton = torch.cholesky_solve(-here.g[:, None], L)[:, 0]
        step = self._step(here.g, radius)
        return step, self._hessian @ step

    def _step(self, g: Tensor, radius: float) -> Tensor:
        newton = self._newton
        if torch.linalg.vector_norm(newton) < radius:
            return newton
        cauchy = -g * (dot(g, g) / dot(g, self._hessian @ g))
        if torch.linalg.vector_norm(cauchy) >= radius:
            return -g * (radius / torch.linalg.vector_norm(g))
        leg = newton - cauchy
        return cauchy + _to_edge(cauchy, leg, radius) * leg


class _Steihaug(Region):
    def __init__(self, max_products: int | None) -> None:
        self._max_products = max_products
        self._at: Trial | None = None
        self._products: list[Tensor] = []

    def within(self, here: Trial, radius: float) -> tuple[Tensor, Tensor]:
        g = here.g
        tolerance = forcing(g)
        if self._at is not here:
            self._at, self._products = here, []
        z, Bz, r, d = torch.zeros_like(g), torch.zeros_like(g), g, -g
        square = dot(r, r)
        for count in range(self._max_products or 20 * len(g)):
            if square.sqrt() < tolerance:
                break
            Bd = self._product(here, d, count)
            curvature = dot(d, Bd)
            if not bool(curvature.isfinite()):
                raise NoStepError(Status.NOT_FINITE, "a Hessian product has a NaN or an infinity in it")
            alpha = square / curvature if curvature > 0 else None
            if alpha is None or torch.linalg.vector_norm(z + alpha * d) >= radius:
                tau = _to_edge(z, d, radius)
                return z + tau * d, Bz + tau * Bd
            z, Bz, r = z + alpha * d, Bz + alpha * Bd, r + alpha * Bd
            before, square = square, dot(r, r)
            d = -r + (square / before) * d
        return z, Bz

    def _product(self, here: Trial, d: Tensor, count: int) -> Tensor:
        """B d; after a refused step the first ones are known: the way within a larger radius began as this one."""
        if count < len(self._products):
            return self._products[count]
        Bd = here.product(d)
        if count < _KEPT:
            self._products.append(Bd)
        return Bd


def _to_edge(z: Tensor, d: Tensor, radius: float) -> Tensor:
    """The positive τ with ‖z + τd‖ = radius."""
    a, b, c = dot(d, d), dot(z, d), dot(z, z) - radius * radius
    root = (b * b - a * c).clamp(min=0).sqrt()
    # of the two equal forms, the one in which nothing cancels
    return (root - b) / a if b <= 0 else -c / (b + root)
