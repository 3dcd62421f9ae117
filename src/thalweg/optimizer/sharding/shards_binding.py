"""Binds a plan to this process's parts of tensors, of which some may be empty, and puts together what they gather."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thalweg.formula import Level
from thalweg.kernels.geometry import Geometry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels import Plan
    from thalweg.kernels.plan import Reduction
    from thalweg.optimizer.launch import Binding
    from thalweg.optimizer.sharding.exchange import Exchange


class ShardsBinding:
    """The binding of those parts that have elements; the same face, for all tensors. See `Binding`."""

    def __init__(
        self,
        bind: Callable[..., Binding],
        plan: Plan,
        parts: Sequence[Tensor],
        states: Sequence[dict[str, Tensor]],
        exchange: Exchange,
        *,
        guard: bool,
    ) -> None:
        self._plan = plan
        self._exchange = exchange
        self._lengths = Geometry([part.shape for part in parts]).lengths
        self._levels = {one.name: one.value.level for one in plan.coarse}
        self._filled = [at for at, part in enumerate(parts) if part.numel()]
        self._places: dict[Level, Tensor] = {}
        self._inner: Binding | None = None
        if self._filled:
            filled = [parts[at] for at in self._filled], [states[at] for at in self._filled]
            self._inner = bind(plan, *filled, guard=guard)

    def set_constants(self, row: int, values: Sequence[float]) -> None:
        """The constants of a row."""
        if self._inner is not None:
            self._inner.set_constants(row, values)

    def set_rows(self, rows: Any, count: int) -> None:  # noqa: ANN401  # an array of integers
        """The row of each tensor."""
        if self._inner is not None:
            self._inner.set_rows(np.asarray(rows)[self._filled], count)

    def find(self) -> None:
        """Find parts and gradients where they are now."""
        if self._inner is not None:
            self._inner.find()

    def release(self) -> None:
        """Let go of what `find` holds."""
        if self._inner is not None:
            self._inner.release()

    def count(self) -> None:
        """Tell autograd that the parts have changed."""
        if self._inner is not None:
            self._inner.count()

    def run(self, place: int = -1) -> int | None:
        """Run a pass; the place of the first tensor whose part of the gradient here is not finite."""
        return self._at(None if self._inner is None else self._inner.run(place))

    def wait(self) -> int | None:
        """Wait for a device; what `run` has not told yet."""
        return self._at(None if self._inner is None else self._inner.wait())

    def gathered(self, place: int = -1) -> dict[str, Tensor]:
        """What a pass has gathered of all parts, on whatever process they are."""
        own = {} if self._inner is None else self._inner.gathered(place)
        return {
            reduction.name: self._exchange.merged(
                reduction.value.operation,
                self._with_empty(reduction, own.get(reduction.name)),
                Level.ELEMENT,
                reduction.level,
            )
            for reduction in self._plan.passes[place].reductions
        }

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come."""
        if self._inner is None:
            return
        if len(self._filled) == len(self._lengths[Level.TENSOR]):
            self._inner.give(values)
            return
        self._inner.give({name: value[self._of_filled(self._levels[name])] for name, value in values.items()})

    def _with_empty(self, reduction: Reduction, own: Tensor | None) -> Tensor:
        """What the parts that have elements have gathered, and what none adds to."""
        if own is not None and len(self._filled) == len(self._lengths[Level.TENSOR]):
            return own
        count = sum(self._lengths_at(reduction.level))
        nothing = 0.0 if reduction.value.operation == "total" else -math.inf
        every = torch.full((count,), nothing, dtype=torch.float64)
        if own is not None:
            every[self._of_filled(reduction.level)] = own.to(every)
        return every

    def _of_filled(self, level: Level) -> Tensor:
        """The places of the values of those tensors whose parts have elements."""
        if level not in self._places:
            lengths = self._lengths_at(level)
            starts = np.cumsum([0, *lengths])
            self._places[level] = torch.cat([torch.arange(starts[at], starts[at] + lengths[at]) for at in self._filled])
        return self._places[level]

    def _lengths_at(self, level: Level) -> list[int]:
        return self._lengths[Level.TENSOR if level is Level.MODEL else level]

    def _at(self, found: int | None) -> int | None:
        return None if found is None else self._filled[found]
