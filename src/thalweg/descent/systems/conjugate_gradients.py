"""Conjugate gradients on a quadratic q(x) = gᵀx + ½xᵀAx, with those of the iterates that are worth going back to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import dot

from thalweg.descent.failures import NoStepError, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_SPACING = 1.3
"""Iterates 1, 2, 3, 4, 5, 7, 9, 11, … are kept: ⌈1.3ʲ⌉. Martens 2010, section 4.6."""


@dataclass(frozen=True, eq=False)
class Iterate:
    """A point of the quadratic, and the quadratic's value there."""

    x: Tensor
    q: float


@dataclass(frozen=True, eq=False)
class Iterates:
    """What conjugate gradients have found: the iterates that were kept, of which the last is the last of all."""

    kept: list[Iterate]
    count: int
    is_convex: bool
    """Whether no direction of negative curvature was met."""


def conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    g: Tensor,
    *,
    is_done: Callable[[int, float, float], bool],
    most: int,
    start: Tensor | None = None,
    preconditioner: Tensor | None = None,
) -> Iterates:
    """Go down q from `start`, or from 0, until `is_done(i, q, residual)` or `most` iterations; ‖residual‖ is ‖Ax + g‖.

    `preconditioner` is the positive diagonal of M. Where the curvature is not positive they end with what was found
    before; at the first iteration, with a step along the direction. Nocedal and Wright, Algorithm 5.3. Raises
    `NoStepError` for a product that is not finite.
    """
    x, r = (torch.zeros_like(g), g) if start is None else (start, g + product(start))
    y = _divided(r, preconditioner)
    d = -y
    square = dot(r, y)
    _look(square)
    least = torch.finfo(g.dtype).eps ** 2 * dot(g, _divided(g, preconditioner))
    found = Iterate(x, float(dot(g + r, x)) / 2)
    kept: list[Iterate] = []
    following, count = 0, 0
    for i in range(1, most + 1):
        if square <= least:
            break
        Ad = product(d)
        curvature = dot(d, Ad)
        _look(curvature)
        if curvature <= 0 and i > 1:
            return Iterates([*kept, found], count, is_convex=False)
        alpha = square / curvature.abs() if curvature else torch.ones_like(square)
        x, r = x + alpha * d, r + alpha * Ad
        y = _divided(r, preconditioner)
        before, square = square, dot(r, y)
        found, count = Iterate(x, float(dot(g + r, x)) / 2), i
        if curvature <= 0:
            return Iterates([found], count, is_convex=False)
        if is_done(i, found.q, float(torch.linalg.vector_norm(r))):
            break
        if i == math.ceil(_SPACING**following):
            kept.append(found)
            while math.ceil(_SPACING**following) <= i:
                following += 1
        d = -y + (square / before) * d
    if not kept or kept[-1] is not found:
        kept.append(found)
    return Iterates(kept, count, is_convex=True)


def _divided(r: Tensor, preconditioner: Tensor | None) -> Tensor:
    return r if preconditioner is None else r / preconditioner


def _look(number: Tensor) -> None:
    if not bool(number.isfinite()):
        raise NoStepError(Status.NOT_FINITE, "a curvature product has a NaN or an infinity in it")
