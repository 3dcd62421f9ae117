"""What a closure must return where the curvature is taken through the model's outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.descent.trial import Evaluated
from thalweg.errors import GradientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.descent.modules.variables import Variables


class CurvatureClosure:
    """The closure of a step that the curvature is taken from: its own, or, where there is none, the loss's."""

    def __init__(self, closure: Callable[[], Any] | None) -> None:
        self.closure = closure

    def call(self) -> tuple[Any, Any]:
        """What the closure of its own returns, as a loss and its outputs."""
        assert self.closure is not None  # noqa: S101  # the caller has looked
        with torch.enable_grad():
            return apart(self.closure())

    def checked(self, loss: object, outputs: object, variables: Variables) -> Evaluated:
        """Loss and outputs for what takes curvature through them. Raises `GradientError` if they will not do."""
        name = "the closure" if self.closure is None else "the curvature closure"
        if not isinstance(outputs, torch.Tensor):
            raise GradientError(
                f"{name} returned no outputs, and this method takes the curvature through them; let it return "
                "(loss, outputs), with the one tensor of the model's outputs that the loss was computed from"
            )
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            raise GradientError(f"{name} returned no loss of one number beside the outputs; return (loss, outputs)")
        if not loss.requires_grad or not outputs.requires_grad:
            raise GradientError(
                f"the loss or the outputs that {name} returned have no graph; return them as the model gives them, "
                "neither detached nor computed under `torch.no_grad()`"
            )
        return Evaluated(loss.sum(), outputs, variables.parameters, variables.root, variables.decay)


def apart(returned: Any) -> tuple[Any, Any]:  # noqa: ANN401  # user code may return anything
    """The loss, and the outputs or `None`. Raises `GradientError` for more than these."""
    if not isinstance(returned, tuple):
        return returned, None
    if len(returned) != 2:
        raise GradientError(
            f"the closure returned {len(returned)} values; let it return the loss, or (loss, outputs) where "
            "the curvature is taken through the outputs"
        )
    return returned
