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

_REDUCE = {"total": "sum", "largest": "max"}
"""What torch calls them."""


class Given:
    """A table of coarse values, `count` for each of some names: the host's, or, if they `stay`, the device's."""

    def __init__(self, count: int, names: int, dtype: torch.dtype, device: torch.device, *, stays: bool) -> None:
        number = np.float64 if dtype == torch.float64 else np.float32
        self._on_device = torch.zeros((count, names), dtype=dtype, device=device) if stays else None
        self._host = np.zeros((0 if stays else count, names), dtype=number)
        self._mirror = Mirror(self._host.reshape(-1), device)

    def fill(self, at: int, values: Tensor) -> None:
        """The values of one name."""
        if self._on_device is not None:
            self._on_device[:, at].copy_(values)
        else:
            self._host[:, at] = values.numpy(force=True)

    def on_device(self) -> Tensor:
        """The table as it is now."""
        return self._mirror.on_device() if self._on_device is None else self._on_device


class Gathered:
    """What kernels gather: numbers of several kinds, side by side, of which some in a row make one value each."""

    def __init__(self, lengths: Words, kinds: int, device: torch.device) -> None:
        self._lengths = torch.from_numpy(lengths).to(device)
        self._count = int(lengths.sum())
        self._one_each = bool((lengths == 1).all())
        self.numbers = torch.zeros(self._count * kinds, dtype=torch.float64, device=device)

    def merged(self, operation: str, at: int, kinds: int) -> Tensor:
        """The values of one of so many kinds, on the device."""
        numbers = self.numbers[: self._count * kinds].view(self._count, kinds)[:, at]
        if self._one_each:
            return numbers.clone()
        reduce = _REDUCE[operation]
        return torch.segment_reduce(
            numbers.contiguous(), reduce, lengths=self._lengths, unsafe=True
        )  # or it would wait


class Gathering:
    """The coarse tables of one launch, whose tensors have so many chunks each; if values `stay`, on the device."""

    def __init__(self, plan: Plan, per_tensor: Words, dtype: torch.dtype, device: torch.device, *, stays: bool) -> None:
        self._names = [coarse.name for coarse in plan.coarse]
        self._given = Given(len(per_tensor), len(self._names), dtype, device, stays=stays)
        self._gathered = Gathered(per_tensor, max(len(one.reductions) for one in plan.passes), device)
        self._stays = stays

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come: vectors with a value for each tensor."""
        for name, value in values.items():
            self._given.fill(self._names.index(name), value)

    def on_device(self) -> tuple[Tensor, ...]:
        """The coarse values as they are now, and where a kernel writes what it gathers."""
        return self._given.on_device(), self._gathered.numbers

    def gathered(self, one: Pass) -> dict[str, Tensor]:
        """What a pass has gathered: vectors with a value for each tensor. Where they do not stay, it waits for them."""
        reductions = one.reductions
        merged = {
            r.name: self._gathered.merged(r.value.operation, at, len(reductions)) for at, r in enumerate(reductions)
        }
        return merged if self._stays else {name: value.cpu() for name, value in merged.items()}
