"""A launch whose coarse values a kernel of their own computes: on the CPU, where tensors are small and many."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thalweg.optimizer.launch import Launch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy as np
    from torch import Tensor

    from thalweg.kernels.numba.coarse import CompiledCoarse


@dataclass(eq=False)
class CompiledLaunch(Launch):
    """The members that one launch steps, with values of tensors and of the model alone."""

    coarse: CompiledCoarse = field(kw_only=True)

    def start_at(self, steps: np.ndarray[Any, Any]) -> None:
        """Take the members' step counts: those alike in group and count share a row of constants."""
        super().start_at(steps)
        self.coarse.set_rows(self._places, len(self._rows))

    def begin(self, model_sizes: Mapping[str, float], loss: float | None) -> None:
        """Compute the coarse values that need no pass, before the first one; `loss` where a formula asks for it."""
        for row, values in enumerate(self._constants):
            self.coarse.set_constants(row, values)
        for kept in self.plan.coarse_states:
            if self.coarse.asks_for(kept.name):
                self.coarse_states.read_into(self.members, kept, self.coarse.input(kept.name))
        self.coarse.begin(model_sizes, loss)
        self.settle(0, {})

    def settle(self, passes: int, gathered: Mapping[str, Tensor]) -> None:
        """Compute the coarse values that can be after so many passes, the last of which has gathered these."""
        self.coarse.settle(passes, gathered)

    def keep(self, gathered: Mapping[str, Tensor]) -> None:
        """Keep the new values of coarse states, after the last pass, which has gathered these."""
        new = self.coarse.updates(gathered)
        for kept in self.plan.coarse_states:
            if kept.name in new:
                self.coarse_states.write_from(self.members, kept, new[kept.name])
