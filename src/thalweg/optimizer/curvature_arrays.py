"""Where kernels find the estimates of the curvature that are new at a step: an array for each parameter, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.errors import CurvatureError
from thalweg.formula import Level
from thalweg.kernels.layout import wanted_strides

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from thalweg.optimizer.launch import Member


class CurvatureArrays:
    """The arrays of those members whose chain asks for estimates; there are none before the first."""

    def __init__(self, members: Iterable[Member]) -> None:
        self.members = [member for member in members if member.formula.estimate is not None]
        self._places = np.array([member.place for member in self.members], dtype=np.int64)
        self._arrays: dict[int, Tensor] = {}

    def take(self, estimates: Mapping[Tensor, Tensor], done: np.ndarray[Any, Any]) -> bool:
        """Write new estimates into the arrays of all that move; whether one lies elsewhere than before.

        Raises `CurvatureError` for a parameter that has a gradient and no estimate, while others have one or where it
        makes its first step, by the steps `done`.
        """
        if not estimates:
            self._refuse_first_steps(done)
            return False
        moving = [member for member in self.members if member.whole.grad is not None and member.whole.numel()]
        found = [(member, estimates.get(member.whole)) for member in moving]
        return any([self._write(member, value) for member, value in found])  # noqa: C419  # each is to be written

    def _write(self, member: Member, value: Tensor | None) -> bool:
        """Write an estimate into the array; whether it lies elsewhere than before."""
        if value is None:
            message = (
                f"{member.name} has a gradient and no estimate of its curvature: what that was estimated from does not "
                "depend on it; estimate from the loss that the gradients are of, or set its gradient to None"
            )
            raise CurvatureError(message)
        parameter = member.parameter
        _, by_row = member.formula.estimate or ("", False)
        by_row = by_row or member.reading.keeps_codes(member.whole)
        wanted = (parameter.shape, parameter.dtype, wanted_strides(parameter, by_row=by_row))
        own = self._arrays.get(member.place)
        has_moved = own is None or (own.shape, own.dtype, own.stride()) != wanted
        if own is None or has_moved:
            shape, dtype, strides = wanted
            own = torch.empty_strided(shape, strides, dtype=dtype, device=parameter.device)
            self._arrays[member.place] = own
        own.copy_(value if member.shard is None else member.shard.local(value, Level.ELEMENT))
        return has_moved

    def array_of(self, member: Member) -> dict[str, Tensor]:
        """A member's array by its name in the formula, if it asks for one."""
        return {} if member.formula.estimate is None else {member.formula.estimate[0]: self._arrays[member.place]}

    def _refuse_first_steps(self, done: np.ndarray[Any, Any]) -> None:
        for at in np.flatnonzero(done[self._places] == 0):
            member = self.members[at]
            if member.whole.grad is not None and member.whole.numel():
                message = (
                    f"{member.name} has no estimate of its curvature yet; call `optimizer.estimate_curvature(loss)` "
                    "before `loss.backward()` at every step: it looks itself whether one is due (by `now=True`, it is)"
                )
                raise CurvatureError(message)
