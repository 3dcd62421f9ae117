"""The quadratic model of the loss along two directions: how far to go, and how well the model has foretold it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch

from thalweg.curvature import Products
from thalweg.errors import CurvatureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

Key = TypeVar("Key")


def coefficients(
    loss: Tensor,
    outputs: Tensor,
    gradient: Mapping[Tensor, Tensor],
    moves: Sequence[Mapping[Tensor, Tensor]],
    damping: float,
) -> tuple[list[float], float]:
    """The multiples of the moves that the model M(δ) = ½δᵀ(F + λI)δ + ∇hᵀδ is least at, and its value there.

    F is the Gauss–Newton matrix of this minibatch, exactly. Martens and Grosse 2015, sections 6.4 and 7. The graph
    is kept. Raises `CurvatureError` where there is no such minimum.
    """
    products = Products(loss, list(gradient), outputs)
    images = [products.push_forward(products.layout.join(move[p] for p in gradient))[0] for move in moves]
    bent = [products.bend([image])[0] for image in images]
    curvature = torch.tensor(
        [[_dot(u, v) + damping * _inner(one, other) for v, other in zip(bent, moves, strict=True)]
         for u, one in zip(images, moves, strict=True)],
        dtype=torch.float64,
    )  # fmt: skip
    down = torch.tensor([-_inner(gradient, move) for move in moves], dtype=torch.float64)
    used = [at for at in range(len(moves)) if float(curvature[at, at]) > 0]
    if not used:
        raise CurvatureError(
            "the model of the loss is flat along the step, and the damping is 0; give a larger `damping`"
        )
    found = torch.zeros(len(moves), dtype=torch.float64)
    found[used] = torch.linalg.lstsq(curvature[used][:, used], down[used].unsqueeze(1)).solution.squeeze(1)
    return found.tolist(), -0.5 * float(found @ down)


def combined(moves: Sequence[Mapping[Key, Tensor]], multiples: Sequence[float]) -> dict[Key, Tensor]:
    """The sum of the moves, each so many times."""
    return {p: torch.stack([k * move[p] for move, k in zip(moves, multiples, strict=True)]).sum(0) for p in moves[0]}


def _inner(one: Mapping[Tensor, Tensor], other: Mapping[Tensor, Tensor]) -> float:
    return sum(_dot(value, other[p]) for p, value in one.items())


def _dot(one: Tensor, other: Tensor) -> float:
    return float((one.double() * other.double()).sum())
