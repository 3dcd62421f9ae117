"""Products by finite differences, for a loss that can be differentiated once and not twice."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch

from thalweg.curvature.products import Products

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from torch import Tensor

    from thalweg.curvature.flat import Layout


def step_length(size: float, v: Tensor, points: Literal["2-point", "3-point"] = "3-point") -> float:
    """The h of a difference along v at a point of this size; 0 for v = 0.

    ‖hv‖ is 0.2·ε^⅓ times the size for a central difference, of three points, and √ε times it for a forward one: so
    rounding and what the difference leaves out weigh alike. The powers are those of Nocedal and Wright, Numerical
    Optimization, 2006, section 8.1; the factor was the best on a small network with attention, for single coordinates
    as for random vectors.
    """
    length = float(torch.linalg.vector_norm(v))
    if not length:
        return 0.0
    eps = torch.finfo(v.dtype).eps
    return (0.2 * eps ** (1 / 3) if points == "3-point" else eps ** (1 / 2)) * max(size, 1.0) / length


class Differences:
    """What `Products` has, by central differences; the loss is computed anew at θ ± hv.

    A Hessian product costs two gradients, a Gauss–Newton product two evaluations and a backward pass. Their relative
    error is about ε^⅔: 10⁻¹⁰ in float64, 10⁻⁴ in float32, at best. The parameters are moved for the while and put back
    as they were, bit for bit.
    """

    def __init__(self, layout: Layout, compute: Callable[[], tuple[Tensor, list[Tensor]]]) -> None:
        self.layout = layout
        self._compute = compute
        loss, outputs = compute()
        self._here = Products(loss, layout.parameters, outputs)

    @property
    def outputs(self) -> list[Tensor]:
        """What the model gave, with its graph."""
        return self._here.outputs

    @property
    def output_slopes(self) -> Sequence[Tensor | None]:
        """∂loss/∂outputs."""
        return self._here.output_slopes

    def hessian(self, v: Tensor) -> Tensor:
        """(∇(θ + hv) − ∇(θ − hv)) / 2h."""
        h = self._step(v)
        if not h:
            return torch.zeros_like(v)
        return (self._gradient_at(h, v) - self._gradient_at(-h, v)) / (2 * h)

    def gauss_newton(self, v: Tensor) -> Tensor:
        """Jᵀ (∂²loss/∂outputs²) J v, where only J v is by differences."""
        return self.pull_back(self._here.bend(self.push_forward(v)))

    def push_forward(self, v: Tensor) -> list[Tensor]:
        """(outputs(θ + hv) − outputs(θ − hv)) / 2h."""
        h = self._step(v)
        if not h:
            return [torch.zeros_like(output) for output in self.outputs]
        pairs = zip(self._outputs_at(h, v), self._outputs_at(-h, v), strict=True)
        return [(ahead - behind) / (2 * h) for ahead, behind in pairs]

    def pull_back(self, cotangents: Sequence[Tensor]) -> Tensor:
        """Jᵀ times tensors in the outputs' shapes, flat."""
        return self._here.pull_back(cotangents)

    def _gradient_at(self, h: float, v: Tensor) -> Tensor:
        with self._moved(h, v):
            loss, _ = self._compute()
            return Products(loss, self.layout.parameters).gradient()

    def _outputs_at(self, h: float, v: Tensor) -> list[Tensor]:
        with self._moved(h, v):
            return [output.detach() for output in self._compute()[1]]

    def _step(self, v: Tensor) -> float:
        return step_length(math.sqrt(sum(float(p.detach().square().sum()) for p in self.layout.parameters)), v)

    @contextmanager
    def _moved(self, h: float, v: Tensor) -> Generator[None]:
        # By `.data`, since graphs that others hold are right again as soon as the values are.
        kept = [p.detach().clone() for p in self.layout.parameters]
        try:
            for p, piece in zip(self.layout.parameters, self.layout.split(v), strict=True):
                p.data.add_(piece, alpha=h)
            yield
        finally:
            for p, value in zip(self.layout.parameters, kept, strict=True):
                p.data.copy_(value)
