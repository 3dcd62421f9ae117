"""A loss over several tensors whose gradient is known by hand, and the optimizers that evaluate it where they like."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import thalweg as tw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from oracles.protocol import Array

SHAPES = ((3, 4), (7,), (), (2, 3, 5))
_random = np.random.default_rng(0)
CENTRES = [_random.normal(size=shape) for shape in SHAPES]
CURVATURES = [0.5 + _random.random(shape) for shape in SHAPES]
STARTS = [_random.normal(size=shape) for shape in SHAPES]


def starts(dtype: torch.dtype = torch.float64, count: int = len(SHAPES)) -> list[Tensor]:
    """Where to begin."""
    return [torch.tensor(start, dtype=dtype, requires_grad=True) for start in STARTS[:count]]


def loss(tensors: Sequence[Tensor]) -> Tensor:
    """Σ c(p − a)²/2 + p⁴/40, and a term that couples all tensors."""
    wells = torch.zeros((), dtype=tensors[0].dtype)
    for p, centre, curvature in zip(tensors, CENTRES, CURVATURES, strict=False):
        a, c = torch.as_tensor(centre).to(p), torch.as_tensor(curvature).to(p)
        wells = wells + (c * (p - a) ** 2 / 2 + p**4 / 40).sum()
    return wells + 0.0125 * torch.stack([(p**2).sum() for p in tensors]).sum() ** 2


def gradient(tensors: Sequence[Array]) -> list[Array]:
    """Its gradient by hand."""
    together = sum(float((p**2).sum()) for p in tensors)
    known = zip(tensors, CENTRES, CURVATURES, strict=False)
    return [c * (p - a) + p**3 / 10 + 0.05 * together * p for p, a, c in known]


def closure_of(optimizer: torch.optim.Optimizer, tensors: Sequence[Tensor], sign: float = 1.0) -> Callable[[], Tensor]:
    """Clears the gradients, computes the loss and goes backward."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = sign * loss(tensors)
        value.backward()
        return value

    return closure


MOMENTUM = tw.chain(tw.heavy_ball(), tw.step(0.05))


def _entropy_sgd(params: Any, chain: Any = MOMENTUM, **others: Any) -> tw.EntropySGD:
    return tw.EntropySGD(params, chain, evaluations=4, generator=torch.Generator().manual_seed(1), **others)


EACH: dict[str, Callable[..., Any]] = {
    "sam": lambda params, chain=MOMENTUM, **others: tw.SAM(params, chain, **others),
    "asam": lambda params, chain=MOMENTUM, **others: tw.SAM(params, chain, adaptive=True, **others),
    "entropy_sgd": _entropy_sgd,
    "look_ahead": lambda params, chain=MOMENTUM, **others: tw.LookAheadNesterov(params, chain, **others),
}
EVALUATIONS = {"sam": 2, "asam": 2, "entropy_sgd": 4, "look_ahead": 1}
"""How often each evaluates its closure in a step."""
