"""The loss that a step is given, as a number, for chains that go by it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from thalweg.errors import LossError
from thalweg.optimizer.averaging import are_several, mean_over_processes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thalweg.optimizer.layout import NonFinite
    from thalweg.optimizer.reading import Reading


def read_loss(loss: object, readings: Sequence[Reading], *, nonfinite: NonFinite) -> float:
    """The loss as a number, the mean of all processes'.

    Raises `LossError` if it is none, or not finite where that is an error.
    """
    owner = next(reading for reading in readings if reading.uses_loss).group["chain"]
    if loss is None:
        raise LossError(
            f"{owner!r} needs the loss; call `step(closure)` with a closure that returns it, or `step(loss=loss)`"
        )
    number = loss.item() if isinstance(loss, torch.Tensor) and loss.numel() == 1 else loss
    if not isinstance(number, int | float):
        raise LossError(f"{owner!r} needs the loss as one number, and was given {_described(loss)}")
    if are_several():
        device = readings[0].group["params"][0].device
        number = mean_over_processes(torch.tensor(number, dtype=torch.float64, device=device)).item()
    if nonfinite == "raise" and not math.isfinite(number):
        raise LossError(
            f"the loss is {number}, and {owner!r} steps by it; nothing has moved (pass nonfinite='skip' to leave out "
            "such steps, or 'propagate' to take it as it is)"
        )
    return float(number)


def _described(value: object) -> str:
    shaped = isinstance(value, torch.Tensor)
    return f"a tensor of shape {tuple(value.shape)}" if shaped else f"{value!r} of type {type(value).__name__}"
