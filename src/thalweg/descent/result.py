"""What a descent hands back: the best point, what was spent, and why it ended."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.descent.failures import Status


@dataclass(frozen=True, kw_only=True, eq=False)
class Intermediate:
    """Where a descent stands, as a callback is told."""

    x: Tensor
    """The point, in the shape of x0; a copy."""
    fun: float
    jac: Tensor | None
    """The gradient there, in the shape of x0, a copy; `None` of a method without gradients."""
    nit: int
    nfev: int
    njev: int
    nhvp: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Result(Intermediate):
    """How a descent ended, under SciPy's names.

    `x` is the point that met the stopping rule, else the lowest that was seen; `fun` the value and `jac` (or `grad`)
    the gradient there, `None` of a method without gradients. `x` and `jac` are tensors of x0's shape, dtype and device.
    `nit` steps were taken; the function was evaluated `nfev` times, its gradient `njev` times, and `nhvp` products with
    its Hessian were computed, n of them for a dense Hessian; where those were differences of gradients, they count as
    these.
    `success` says that a stopping rule other than a budget was met, `status` and `message` how it ended.
    """

    success: bool
    status: Status
    message: str

    @property
    def grad(self) -> Tensor | None:
        """The gradient at `x`."""
        return self.jac

    def __str__(self) -> str:
        names = ("message", "success", "status", "fun", "x", "nit", "jac", "nfev", "njev", "nhvp")
        assert {field.name for field in dataclasses.fields(self)} == set(names)  # noqa: S101  # none is forgotten
        lines = (f"{name:>8}: {str(getattr(self, name)).replace(chr(10), chr(10) + 10 * ' ')}" for name in names)
        return "\n".join(lines)
