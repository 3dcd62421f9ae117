"""The mean and the covariance of what a layer is given, over as many passes as are seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from thalweg.descent.whitening.coordinates import as_channels
from thalweg.optimizer.averaging import are_several, mean_over_processes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from thalweg.descent.kronecker.capture import Use


@dataclass(frozen=True, eq=False)
class Moments:
    """How many rows, their mean (blocks, n) and their covariance (blocks, n, n)."""

    count: int
    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, rows: Tensor, *, is_centred: bool) -> Moments:
        """Those of (blocks, rows, n); about zero where it is not centred."""
        count = rows.shape[1]
        mean = rows.mean(1) if is_centred else torch.zeros_like(rows[:, 0])
        away = rows - mean.unsqueeze(1)
        return cls(count, mean, away.mT @ away / count)

    def joined(self, other: Moments) -> Moments:
        """Those of all rows of both."""
        count = self.count + other.count
        own, share = self.count / count, other.count / count
        apart = self.mean - other.mean
        between = apart.unsqueeze(-1) * apart.unsqueeze(-2)
        covariance = own * self.covariance + share * other.covariance + own * share * between
        return Moments(count, own * self.mean + share * other.mean, covariance)

    def shared(self) -> Moments:
        """Those of the rows of all processes, which have as many each."""
        if not are_several():
            return self
        mean = mean_over_processes(self.mean)
        apart = self.mean - mean
        covariance = self.covariance + apart.unsqueeze(-1) * apart.unsqueeze(-2)
        return Moments(self.count, mean, mean_over_processes(covariance))


class Observed:
    """What has been seen of each layer's inputs in the last steps before new coordinates are due."""

    def __init__(self, every: int, window: int) -> None:
        self.done = 0
        """How many steps have been made."""
        self.seen: dict[str, Moments] = {}
        self._every = every
        self._window = window

    @property
    def is_due(self) -> bool:
        """Whether this step takes new coordinates."""
        return self.done % self._every == 0

    @property
    def is_watching(self) -> bool:
        """Whether this step is one of those that are looked at."""
        return -self.done % self._every < self._window

    @torch.no_grad()
    def observe(self, use: Use, _: Tensor) -> None:
        """Take what a layer was given in a pass that somebody differentiates."""
        with torch.autocast(use.given.device.type, enabled=False):
            rows = as_channels(use.layer, use.given)
            if rows.shape[1]:
                moments = Moments.of(rows, is_centred=use.layer.bias is not None)
                before = self.seen.get(use.layer.name)
                self.seen[use.layer.name] = moments if before is None else before.joined(moments)

    def state(self) -> dict[str, Any]:
        """All of it as plain values and tensors."""
        return {"done": self.done, "seen": {name: vars(moments) for name, moments in self.seen.items()}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self.done = int(state.get("done", 0))
        self.seen = {name: Moments(**entries) for name, entries in state.get("seen", {}).items()}
