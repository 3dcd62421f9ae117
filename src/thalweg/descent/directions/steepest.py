"""Down the gradient: as it is, normalised, or through a preconditioner."""

# A direction's class is the function that a user calls, so it is written as it is typed, in lower case.
# ruff: noqa: N801

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from thalweg.descent.directions.direction import Direction, Guide
from thalweg.errors import DescentError

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.trial import Trial


@dataclass(frozen=True, repr=False)
class steepest(Direction):
    """d = −g. Cauchy 1847."""

    when: ClassVar[str] = "To see what a textbook sees: where the curvature differs between directions, it zig-zags."

    def start(self) -> Guide:
        """A guide for one descent."""
        return _Steepest()


@dataclass(frozen=True, repr=False)
class normalised_steepest(Direction):
    """d = −g/‖g‖: the step size is the length of the step, whatever the slope."""

    when: ClassVar[str] = (
        "With a schedule of step sizes, on functions whose slopes tell nothing of how far the minimum is."
    )

    def start(self) -> Guide:
        """A guide for one descent."""
        return _Normalised()


@dataclass(frozen=True, repr=False, eq=False)
class preconditioned(Direction):
    """d = −Dg with a positive definite D of your own: its diagonal, a matrix, or a function of the flat gradient.

    A matrix may be anything that answers `D @ g`.
    """

    when: ClassVar[str] = "Where you know the curvature roughly, and the library does not."
    D: Any

    def __post_init__(self) -> None:
        if not (callable(self.D) or hasattr(self.D, "__matmul__")):
            raise DescentError(
                f"preconditioned({self.D!r}): D must be a tensor (a diagonal or a matrix), an operator with `@`, or "
                "a function"
            )

    def start(self) -> Guide:
        """A guide for one descent."""
        return _Preconditioned(self.D)


class _Steepest(Guide):
    def toward(self, here: Trial) -> Tensor:
        return -here.g


class _Normalised(Guide):
    def toward(self, here: Trial) -> Tensor:
        length = torch.linalg.vector_norm(here.g)
        return -here.g / torch.where(length > 0, length, 1.0)


class _Preconditioned(Guide):
    advice = "its D must be positive definite"

    def __init__(self, D: Any) -> None:  # noqa: ANN401  # a tensor, an operator, a function
        self._D = torch.from_numpy(D.copy()) if isinstance(D, np.ndarray) else D

    def toward(self, here: Trial) -> Tensor:
        D, g = self._D, here.g
        if isinstance(D, torch.Tensor):
            if D.ndim not in (1, 2) or D.shape[-1] != g.numel():
                raise DescentError(
                    f"preconditioned: D has the shape {tuple(D.shape)}; for {g.numel()} variables it must be "
                    f"({g.numel()},) or ({g.numel()}, {g.numel()})"
                )
            scale = D.to(g)
            return -(scale * g if D.ndim == 1 else scale @ g)
        d = torch.as_tensor(D @ g if hasattr(D, "__matmul__") else D(g)).to(g)
        if d.numel() != g.numel():
            raise DescentError(
                f"preconditioned: D makes a vector of shape {tuple(d.shape)} of the gradient of {g.numel()} variables"
            )
        return -d.reshape(-1)
