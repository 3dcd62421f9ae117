"""Products with the Hessian and the Gauss–Newton matrix of a loss whose graph is kept."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

from thalweg.curvature.differentiation import gradients, pulled_back, refuse_marked, slopes
from thalweg.curvature.flat import Layout, as_list
from thalweg.errors import CurvatureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor


class Products:
    """The loss's gradient, and products with its curvature, over the trainable parameters as one flat vector.

    `loss` is one number and has its graph; the graph is kept as long as this lives, so that each further product is
    cheap: `hessian(v)` costs about two gradients, `gauss_newton(v)` less. Vectors and results have the shape (n,), in
    the parameters' order, dtype and device; results have no graph. What the loss does not depend on has zeros.

    `outputs`, one tensor or several, is what the model gave and the loss was computed from; `gauss_newton` needs it.

    Raises:
        CurvatureError: the loss is no single number, has no graph, or cannot be differentiated so often.
        ParameterError: there is no trainable parameter, or they are not of one dtype on one device.

    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> products = Products((w**3).sum(), [w])
    >>> products.gradient(), products.hessian(torch.tensor([1.0, 1.0]))
    (tensor([ 3., 12.]), tensor([ 6., 12.]))
    """

    def __init__(
        self, loss: Tensor, parameters: Iterable[Tensor], outputs: Tensor | Sequence[Tensor] | None = None
    ) -> None:
        self.layout = Layout(parameters)
        if loss.numel() != 1:
            raise CurvatureError(f"the curvature is that of one number, and the loss has the shape {tuple(loss.shape)}")
        if not loss.requires_grad:
            raise CurvatureError(
                "the loss has no graph; compute it from the parameters by torch's operations, outside `torch.no_grad()`"
            )
        self._loss = loss
        self._outputs = None if outputs is None else as_list(outputs)

    def gradient(self) -> Tensor:
        """The gradient, flat."""
        found = self.__dict__.get("_slopes") or gradients(self._loss.sum(), self.layout.parameters, create_graph=False)
        return self.layout.join(
            torch.zeros_like(p) if g is None else g for p, g in zip(self.layout.parameters, found, strict=True)
        )

    def hessian(self, v: Tensor) -> Tensor:
        """The Hessian times v."""
        return self.layout.join(pulled_back(self._slopes, self.layout.parameters, self.layout.split(v)))

    def gauss_newton(self, v: Tensor) -> Tensor:
        """Jᵀ (∂²loss/∂outputs²) J v, with J = ∂outputs/∂parameters.

        What the loss has of the parameters besides, such as a penalty, is no part of it. Schraudolph 2002,
        doi:10.1162/08997660260028683.
        """
        return self.pull_back(self.bend(self.push_forward(v)))

    def push_forward(self, v: Tensor) -> list[Tensor]:
        """J v, in the shapes of the outputs, with J = ∂outputs/∂parameters."""
        return pulled_back(self._doubled[1], self._doubled[0], self.layout.split(v))

    def bend(self, tangents: Sequence[Tensor]) -> list[Tensor]:
        """∂²loss/∂outputs² times tensors in the outputs' shapes."""
        return pulled_back(self.output_slopes, self.outputs, tangents)

    def pull_back(self, cotangents: Sequence[Tensor]) -> Tensor:
        """Jᵀ times tensors in the outputs' shapes, flat."""
        return self.layout.join(pulled_back(self.outputs, self.layout.parameters, cotangents))

    @cached_property
    def _slopes(self) -> Sequence[Tensor | None]:
        return slopes(self._loss, self.layout.parameters)

    @property
    def outputs(self) -> list[Tensor]:
        """What the model gave, with its graph."""
        if not self._outputs:
            raise CurvatureError(
                "Gauss–Newton products need the outputs that the loss was computed from; give them as `outputs`"
            )
        return self._outputs

    @property
    def output_slopes(self) -> Sequence[Tensor | None]:
        """∂loss/∂outputs, with its graph; None for an output that the loss does not depend on."""
        return self._output_slopes

    @cached_property
    def _output_slopes(self) -> Sequence[Tensor | None]:
        if not all(output.requires_grad for output in self.outputs):
            raise CurvatureError("an output has no graph; compute it from the parameters, outside of `torch.no_grad()`")
        found = slopes(self._loss, self.outputs)
        if all(slope is None for slope in found):
            raise CurvatureError("the loss does not depend on these outputs; give those that it was computed from")
        return found

    @cached_property
    def _doubled(self) -> tuple[list[Tensor], Sequence[Tensor | None]]:
        """Vectors u, and Jᵀu, which is linear in them: its derivative pulls back along Jᵀ, and so pushes along J.

        The outputs are not computed again; J. Townsend, "A new trick for calculating Jacobian vector products", 2017.
        """
        dummies = [torch.zeros_like(output, requires_grad=True) for output in self.outputs]
        dotted = torch.stack([(output * u).sum() for output, u in zip(self.outputs, dummies, strict=True)]).sum()
        found = gradients(dotted, self.layout.parameters, create_graph=True)
        refuse_marked(found)
        return dummies, found
