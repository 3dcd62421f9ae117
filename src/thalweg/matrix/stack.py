"""How a stack of matrices is handled: the view of a tensor as a matrix, step counts, and parts of the stack."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, TypeAlias

import torch

from thalweg.errors import HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

States: TypeAlias = "dict[str, Tensor]"
"""A stack's states by name: (b, …), the first dimension the stack's."""
Which: TypeAlias = "slice | Tensor | None"
"""Some matrices of a stack: all, those at these places, or none."""


def as_matrix(shape: Sequence[int]) -> tuple[int, int]:
    """The rows and columns that a tensor of this shape is viewed with: a convolution's filters are rows.

    >>> as_matrix((16, 3, 5, 5)), as_matrix((7,))
    ((16, 75), (1, 7))
    """
    if len(shape) < 2:
        return 1, prod(shape)
    return shape[0], prod(shape[1:])


def working_dtype(stack: Tensor) -> torch.dtype:
    """What a stack is computed in: float64 as it is, everything shorter in float32."""
    return torch.float64 if stack.dtype == torch.float64 else torch.float32


def as_steps(step: int | Tensor, count: int) -> Tensor:
    """The step of each of `count` matrices, (b,), whole numbers on the CPU. Raises `HyperparameterError` below 1."""
    steps = torch.as_tensor(step).detach().to("cpu", torch.float64).reshape(-1)
    if steps.numel() not in {1, count} or not bool(((steps >= 1) & (steps == steps.floor())).all()):
        message = (
            f"`step` is {step!r}; it must be a whole number from 1, one for all matrices or one for each of {count}"
        )
        raise HyperparameterError(message)
    return steps.to(torch.int64).expand(count)


def chosen(mask: Tensor) -> Which:
    """The matrices where the mask (b,) is true."""
    if bool(mask.all()):
        return slice(None)
    places = mask.nonzero().squeeze(-1)
    return places if len(places) else None


def due(steps: Tensor, every: int, root: Tensor) -> Which:
    """Those whose root (b, n, n) is computed anew: at steps 1, 1 + every, …, and where it is still zero."""
    unknown = (torch.diagonal(root, dim1=-2, dim2=-1) == 0).all(-1).cpu()
    which = chosen(((steps - 1) % every == 0) | unknown)
    return which.to(root.device) if isinstance(which, torch.Tensor) else which


def correction(beta: float, steps: Tensor, like: Tensor) -> Tensor:
    """What an average that started at zero is divided by, 1 - betaᵗ, computed in float64: (b, 1, 1)."""
    return per_matrix(1 - beta ** steps.double(), like)


def per_matrix(values: Tensor, like: Tensor) -> Tensor:
    """One value for each matrix, (b, 1, 1), with the dtype and the device of `like`."""
    return values.to(like).reshape(-1, 1, 1)


def outer(S: Tensor, X: Tensor, *, beta: float = 1.0, alpha: float = 1.0) -> None:
    """S ← beta·S + alpha·X Xᵀ in place, for S (b, m, m) and X (b, m, n); for S (b, m), its diagonal only."""
    if S.ndim == 3:
        S.baddbmm_(X, X.mT, beta=beta, alpha=alpha)
    else:
        S.mul_(beta).add_(X.square().sum(-1), alpha=alpha)


def times(S: Tensor, X: Tensor) -> Tensor:
    """S X, for S (b, m, m), or (b, m) as a diagonal, and X (b, m, n)."""
    return S @ X if S.ndim == 3 else S.unsqueeze(-1) * X
