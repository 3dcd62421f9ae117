"""Newton's direction from the dense Hessian: as it is, damped, or with the absolute values of its eigenvalues."""

# A direction's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from thalweg.descent.directions.direction import Direction, Guide
from thalweg.descent.failures import NoStepError, Status
from thalweg.descent.part import number
from thalweg.formula import Range

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.trial import Trial

_REMEDIES = "`damped_newton`, `saddle_free_newton`, `newton_cg` or a trust region"


@dataclass(frozen=True, repr=False)
class newton(Direction):
    """d = −H⁻¹g, by solving with the Hessian as it is: a quadratic is solved in one step.

    It leads to the nearest point where the gradient vanishes, be it a saddle or a maximum: with a step size of 1 it is
    drawn there, and a line search says that it does not descend.
    """

    needs_curvature: ClassVar[bool] = True
    when: ClassVar[str] = "Few variables, near a minimum; far from one, a modified Newton method is safer."
    spends: ClassVar[str] = "the gradient and the dense Hessian: n products"
    keeps: ClassVar[str] = "n² numbers, the Hessian's, while it steps"
    is_dense: ClassVar[bool] = True

    def start(self) -> Guide:
        """A guide for one descent."""
        return _Newton()


@dataclass(frozen=True, repr=False)
class damped_newton(Direction):
    """d = −(H + λI)⁻¹g, tending to −g/λ as λ grows. Levenberg 1944, Marquardt 1963; Goldfeld et al. 1966.

    λ is `damping`, or, where H + λI is not positive definite, as much more as makes it so, doubled until it does
    (Nocedal and Wright, Algorithm 3.3).
    """

    needs_curvature: ClassVar[bool] = True
    when: ClassVar[str] = "Few variables, and a Hessian that is not positive definite everywhere."
    spends: ClassVar[str] = "the gradient and the dense Hessian: n products"
    keeps: ClassVar[str] = "n² numbers, the Hessian's, while it steps"
    is_dense: ClassVar[bool] = True
    damping: float = number(Range(0), default=0.0, source="ours: none where none is needed")

    def start(self) -> Guide:
        """A guide for one descent."""
        return _Damped(self.damping)


@dataclass(frozen=True, repr=False)
class saddle_free_newton(Direction):
    """d = −|H|⁻¹g, where |H| has the absolute values of H's eigenvalues: away from saddles as fast as to minima.

    Eigenvalues smaller than `floor` times the largest count as that much. Dauphin et al. 2014, arXiv:1406.2572.
    """

    needs_curvature: ClassVar[bool] = True
    when: ClassVar[str] = "Few variables, and saddles on the way."
    spends: ClassVar[str] = "the gradient and the dense Hessian: n products"
    keeps: ClassVar[str] = "n² numbers, the Hessian's, while it steps"
    is_dense: ClassVar[bool] = True
    floor: float = number(Range(0, 1), default=1e-8, source="ours: about the root of float64's rounding", kw_only=True)

    def start(self) -> Guide:
        """A guide for one descent."""
        return _SaddleFree(self.floor)


def finite_hessian(here: Trial) -> Tensor:
    """The dense Hessian, or `NoStepError` if it has a NaN or an infinity."""
    H = here.hessian()
    if not bool(H.isfinite().all()):
        raise NoStepError(Status.NOT_FINITE, "the Hessian has a NaN or an infinity in it")
    return H


def positive_definite(H: Tensor, shift: float = 0.0) -> tuple[Tensor, Tensor]:
    """H + λI and its Cholesky factor, for the first positive definite one of λ = shift, then more and more.

    Raises `NoStepError` if there is none among the numbers that the dtype has.
    """
    identity = torch.eye(len(H), dtype=H.dtype, device=H.device)
    lowest = float(H.diagonal().min())
    least = max(1e-3 * float(torch.linalg.matrix_norm(H, torch.inf)), torch.finfo(H.dtype).eps)
    grown = least if lowest > 0 else least - lowest
    while math.isfinite(shift):
        shifted = H + shift * identity
        L, info = torch.linalg.cholesky_ex(shifted)
        if not int(info) and bool(L.isfinite().all()):
            return shifted, L
        shift = max(2 * shift, grown)
    raise NoStepError(Status.NO_DIRECTION, "no multiple of the identity makes the Hessian positive definite")


class _Newton(Guide):
    is_scaled = True
    advice = f"its Hessian is not positive definite; use {_REMEDIES}, which are made for that"

    def toward(self, here: Trial) -> Tensor:
        H = finite_hessian(here)
        d, info = torch.linalg.solve_ex(H, -here.g)
        if int(info) or not bool(d.isfinite().all()):
            raise NoStepError(Status.NO_DIRECTION, f"the Hessian is singular; use {_REMEDIES}")
        return d


class _Damped(Guide):
    is_scaled = True

    def __init__(self, damping: float) -> None:
        self._damping = damping

    def toward(self, here: Trial) -> Tensor:
        _, L = positive_definite(finite_hessian(here), self._damping)
        return torch.cholesky_solve(-here.g[:, None], L)[:, 0]


class _SaddleFree(Guide):
    is_scaled = True

    def __init__(self, floor: float) -> None:
        self._floor = floor

    def toward(self, here: Trial) -> Tensor:
        eigenvalues, V = torch.linalg.eigh(finite_hessian(here))
        sizes = eigenvalues.abs()
        largest = float(sizes.max())
        if largest == 0:
            return -here.g
        return -(V @ ((V.T @ here.g) / sizes.clamp(min=self._floor * largest)))
