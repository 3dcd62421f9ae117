"""Gradients of a loss that a gradient scaler has scaled: unscaled after each evaluation, however many a step takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.errors import DescentError
from thalweg.optimizer.closures.evaluations import unscale

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.amp import GradScaler

    from thalweg.optimizer.closures.evaluations import Handle


class Scaling:
    """What is done to the losses and gradients of one step; nothing, without a scaler.

    The handles are the optimizer's, so that the scaler knows them until it is updated.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        scaler: GradScaler | None,
        handles: list[Handle],
        *,
        needs_curvature: bool,
    ) -> None:
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._optimizer = optimizer
        self._handles = handles
        self._count = 0
        if self._scaler is not None and needs_curvature:
            raise DescentError(
                "products with the Hessian are not scaled, and underflow in float16; compute the loss under "
                "`torch.autocast` in bfloat16, which needs no scaler"
            )

    def __bool__(self) -> bool:
        return self._scaler is not None

    def scale(self, loss: Tensor) -> Tensor:
        """The loss as it is to be differentiated."""
        return loss if self._scaler is None else self._scaler.scale(loss)

    def unscale(self) -> None:
        """Unscale the gradients that are in the parameters."""
        if self._scaler is not None:
            unscale(self._scaler, self._optimizer, self._handles, self._count)
            self._count += 1
