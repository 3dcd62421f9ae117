"""The four curvatures of one batch, each as a function from a vector to its product."""

# ruff: noqa: D102  # what `Derivatives` has is said in `Products`

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from thalweg.curvature.divisors import labels_that_count
from thalweg.curvature.likelihoods import Family, scores
from thalweg.errors import CurvatureError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from thalweg.curvature.risk import Batch

    Product = Callable[[Tensor], Tensor]
    Kind = Callable[["Derivatives", Batch], Product]
    Metric = Callable[[Sequence[Tensor]], list[Tensor]]


class Derivatives(Protocol):
    """What `Products` and `Differences` both have."""

    @property
    def outputs(self) -> list[Tensor]: ...
    @property
    def output_slopes(self) -> Sequence[Tensor | None]: ...
    def hessian(self, v: Tensor) -> Tensor: ...
    def gauss_newton(self, v: Tensor) -> Tensor: ...
    def push_forward(self, v: Tensor) -> list[Tensor]: ...
    def pull_back(self, cotangents: Sequence[Tensor]) -> Tensor: ...


def hessian(at: Derivatives, batch: Batch) -> Product:  # noqa: ARG001  # as the others
    """∂²loss."""
    return at.hessian


def gauss_newton(at: Derivatives, batch: Batch) -> Product:  # noqa: ARG001  # as the others
    """Jᵀ (∂²loss/∂outputs²) J."""
    return at.gauss_newton


def fisher(family: Family, loss: object) -> Callable[[Derivatives, Batch], Product]:
    """Jᵀ I J with the information of the predicted distribution."""

    def product(at: Derivatives, batch: Batch) -> Product:
        outputs, information = at.outputs, family.information
        if information is None or len(outputs) > 1:
            raise CurvatureError(
                "the exact Fisher matrix is that of one output and a likelihood that has a name; give `samples` to "
                "draw from the prediction"
            )
        mask = _mask(batch, outputs[0], loss)
        return _between(at, lambda u: [mask * information(outputs[0].detach(), u[0]) / batch.divisor])

    return product


def sampled_fisher(family: Family, loss: object, samples: int, seed: int) -> Callable[[Derivatives, Batch], Product]:
    """The mean of Jᵀ g gᵀ J over targets drawn from the prediction, with g the slope at each example."""

    def product(at: Derivatives, batch: Batch) -> Product:
        _refuse_numbers(at.outputs)
        drawn = scores(family, at.outputs, samples, (seed, batch.number))
        slopes = [_mask(batch, output, loss) * g for output, g in zip(at.outputs, drawn, strict=True)]
        return _between(at, _outer(slopes, 1 / (samples * batch.divisor)))

    return product


def empirical_fisher(at: Derivatives, batch: Batch) -> Product:
    """The sum of Jᵀ g gᵀ J with g the slope of the loss at each example, for the targets that the data has."""
    _refuse_numbers(at.outputs)
    slopes = [
        (torch.zeros_like(output) if slope is None else slope.detach()).unsqueeze(0)
        for output, slope in zip(at.outputs, at.output_slopes, strict=True)
    ]
    return _between(at, _outer(slopes, batch.divisor))


def _between(at: Derivatives, metric: Metric) -> Product:
    return lambda v: at.pull_back(metric(at.push_forward(v)))


def _outer(slopes: Sequence[Tensor], scale: float) -> Metric:
    """The map u ↦ scale · Σ g (g·u), example by example, for slopes g of shape (samples, *outputs)."""

    def metric(u: Sequence[Tensor]) -> list[Tensor]:
        each = [(g * piece).flatten(2).sum(2) if g.ndim > 2 else g * piece for g, piece in zip(slopes, u, strict=True)]
        dots = scale * torch.stack(each).sum(0)
        return [(g * dots.view(*dots.shape, *[1] * (g.ndim - 2))).sum(0) for g in slopes]

    return metric


def _refuse_numbers(outputs: Sequence[Tensor]) -> None:
    if any(output.ndim == 0 for output in outputs):
        raise CurvatureError("an output is one number; this matrix needs outputs whose rows are the examples")


def _mask(batch: Batch, output: Tensor, loss: object) -> Tensor:
    """Ones where the loss has a label at an output, zeros where it ignores it."""
    counted = labels_that_count(loss, batch.targets)
    if counted is None:
        return torch.ones((), dtype=output.dtype, device=output.device)
    return counted.to(output.dtype).unsqueeze(1 if output.ndim > 1 else 0)
