"""Coarse values for a kernel, and what it gathers: a number for each chunk, summed up for each tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.kernels.triton.exchange import Mirror

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from thalweg.kernels.plan import Pass, Plan
    from thalweg.kernels.triton.tables import Words

REDUCE = {"total": "sum", "largest": "max"}
"""What torch calls them."""


class Gathering:
    """The coarse tables of one launch, whose tensors have so many chunks each."""

    def __init__(self, plan: Plan, per_tensor: Words, dtype: torch.dtype, device: torch.device) -> None:
        self._names = [coarse.name for coarse in plan.coarse]
        number = np.float64 if dtype == torch.float64 else np.float32
        vector = np.zeros(len(per_tensor) * len(self._names), dtype=number)
        self._coarse = vector.reshape(-1, len(self._names)) if self._names else vector
        self._mirror = Mirror(vector, device)
        self._lengths = torch.from_numpy(per_tensor).to(device)
        self._chunks = int(per_tensor.sum())
        most = max(len(one.reductions) for one in plan.passes)
        self._partials = torch.zeros(self._chunks * most, dtype=torch.float64, device=device)

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come: vectors with a value for each tensor."""
        for name, value in values.items():
            self._coarse[:, self._names.index(name)] = value.numpy(force=True)

    def on_device(self) -> tuple[Tensor, Tensor]:
        """The coarse values as they are now, and where a kernel writes what it gathers."""
        return self._mirror.on_device(), self._partials

    def gathered(self, one: Pass) -> dict[str, Tensor]:
        """What a pass has gathered: vectors with a value for each tensor, on the CPU. Waits for the device."""
        count = len(one.reductions)
        partials = self._partials[: self._chunks * count].view(self._chunks, count)
        return {
            reduction.name: torch.segment_reduce(
                partials[:, place].contiguous(), REDUCE[reduction.value.operation], lengths=self._lengths
            ).cpu()
            for place, reduction in enumerate(one.reductions)
        }
