"""How a loss is differentiated once and twice with its graph kept, and what is said where that cannot be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from thalweg.errors import CurvatureError, SecondDerivativeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor
    from torch.autograd.graph import Node


def gradients(of: Tensor, inputs: Sequence[Tensor], *, create_graph: bool) -> Sequence[Tensor | None]:
    """The gradient for each of the inputs, None for one that is not used; the graph is kept.

    Raises `CurvatureError` for a graph that is gone, and for sparse gradients.
    """
    try:
        found = torch.autograd.grad(of, inputs, retain_graph=True, create_graph=create_graph, allow_unused=True)
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        message = (
            "the graph is gone, since `backward` has freed it; take products, or call `estimate_curvature`, before it, "
            "or go `backward(retain_graph=True)`"
        )
        raise CurvatureError(message) from error
    slopes = cast("Sequence[Tensor | None]", found)  # torch says nothing of None
    if any(slope is not None and slope.layout != torch.strided for slope in slopes):
        raise CurvatureError("a layer has a sparse gradient, and curvature is dense; make the layer with sparse=False")
    return slopes


def slopes(loss: Tensor, inputs: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """The gradients of one number, with a graph for `pulled_back` to differentiate once more; None for what is unused.

    Raises `CurvatureError` where the loss is no single number, `SecondDerivativeError` where a function in it is marked
    `once_differentiable`.
    """
    if loss.numel() != 1:
        raise CurvatureError(f"the curvature is that of one number, and the loss has the shape {tuple(loss.shape)}")
    # By a root that takes a gradient itself, a function that cannot be differentiated twice leaves a mark in the graph.
    root = torch.ones((), dtype=loss.dtype, device=loss.device, requires_grad=True)
    found = gradients(loss.sum() * root, inputs, create_graph=True)
    refuse_marked(found)
    return found


def pulled_back(outputs: Sequence[Tensor | None], inputs: Sequence[Tensor], vectors: Sequence[Tensor]) -> list[Tensor]:
    """Σ (∂output/∂input)ᵀ vector for each of the inputs, in its shape; zeros where nothing depends on it.

    The graph is kept. Raises `SecondDerivativeError` where a function has no such derivative.
    """
    bent = [(f, v) for f, v in zip(outputs, vectors, strict=True) if f is not None and f.requires_grad]
    if not bent:
        return [torch.zeros_like(x) for x in inputs]
    try:
        found = torch.autograd.grad(
            [f for f, _ in bent],
            inputs,
            [v for _, v in bent],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if "modified by an inplace operation" in str(error):
            raise CurvatureError(_MOVED) from error
        raise SecondDerivativeError(_ONCE.format(_first_sentence(error))) from error
    return list(found)


def refuse_marked(slopes: Sequence[Tensor | None]) -> None:
    """Raise `SecondDerivativeError` for gradients that came through a function that is marked `once_differentiable`."""
    if any(node.name().endswith("Error") for node in _nodes_below(slopes)):
        raise SecondDerivativeError(_ONCE.format("a function in it is marked `once_differentiable`"))


_MOVED = "the parameters have moved since the loss was computed; compute it anew, and take the products before the step"

_ONCE = (
    "the loss cannot be differentiated twice ({}); compute it with operations that can (for attention, under "
    "`sdpa_kernel(SDPBackend.MATH)`), or take what needs one derivative: the estimate gauss_newton_bartlett(), an "
    "operator with `products='differences'`"
)


def _nodes_below(tensors: Sequence[Tensor | None]) -> Iterator[Node]:
    """The operations that these were computed by."""
    todo = [tensor.grad_fn for tensor in tensors if tensor is not None]
    seen: set[Node] = set()
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            todo.extend(following for following, _ in node.next_functions)


def _first_sentence(error: RuntimeError) -> str:
    return str(error).split("\n", 1)[0].split(". ", 1)[0]
