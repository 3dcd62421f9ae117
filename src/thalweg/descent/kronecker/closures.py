"""What a step's closure gave, and the backward pass that it left to the optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from thalweg.errors import GradientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.amp import GradScaler

_WANTED = "a closure returns (loss, outputs), tensors with their graph, or goes backward and returns the loss"


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A loss, the outputs that it was computed from if they are known, and whether gradients are still to be found."""

    value: float | Tensor | None
    outputs: Tensor | None = None
    needs_backward: bool = False

    @property
    def returned(self) -> float | Tensor | None:
        """The loss, without its graph."""
        return self.value.detach() if isinstance(self.value, torch.Tensor) else self.value


def evaluate(optimizer: torch.optim.Optimizer, closure: Callable[[], Any]) -> Evaluated:
    """Call the closure. Raises `GradientError` for what is no loss."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    before = [(p.grad, None if p.grad is None else p.grad._version) for p in parameters]  # noqa: SLF001
    with torch.enable_grad():
        found = closure()
    if isinstance(found, tuple):
        if len(found) != 2 or not all(isinstance(one, torch.Tensor) for one in found):
            raise GradientError(f"the closure returned {found!r}; {_WANTED}")
        return Evaluated(found[0], found[1], needs_backward=True)
    went = any(
        p.grad is not None and (p.grad is not old or p.grad._version != version)  # noqa: SLF001
        for p, (old, version) in zip(parameters, before, strict=True)
    )
    if went:
        return Evaluated(found)
    if not isinstance(found, torch.Tensor) or not found.requires_grad:
        raise GradientError(f"the closure returned {found!r} and left no gradients; {_WANTED}")
    return Evaluated(found, needs_backward=True)


def go_backward(optimizer: torch.optim.Optimizer, found: Evaluated, scaler: GradScaler | None, *, keep: bool) -> float:
    """Put the gradients of what was found in place of those before; gives what slopes were scaled by meanwhile."""
    optimizer.zero_grad()
    loss, scale = cast("Tensor", found.value), 1.0
    if scaler is not None and scaler.is_enabled():
        loss, scale = scaler.scale(loss), scaler.get_scale()
    try:
        loss.backward(retain_graph=keep)
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        message = "the closure went backward and returned (loss, outputs); return them before, or the loss alone"
        raise GradientError(message) from error
    if scaler is not None and scaler.is_enabled():
        scaler.unscale_(optimizer)
    return scale
