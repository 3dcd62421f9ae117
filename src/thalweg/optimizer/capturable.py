"""A launch whose steps the device counts: a CUDA graph can hold it, and only the device knows which steps were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from thalweg.optimizer.launch import Binding, Launch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor


class CapturableBinding(Binding, Protocol):
    """A binding that computes a step's constants on the device; see `thalweg.kernels.triton.binding.TritonBinding`."""

    def start_at(self, counts: Sequence[float]) -> None:
        """How many steps each row has behind it."""
        ...

    def counts(self) -> list[float]:
        """How many steps each row has behind it."""
        ...

    def set_inputs(self, row: int, values: Sequence[float | Tensor]) -> None:
        """What a row's constants are computed from."""
        ...

    def scale(self, grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """For the next step, what `torch.amp.GradScaler` hands over."""
        ...


@dataclass(eq=False)
class CapturableLaunch(Launch):
    """The members that one launch steps, their numbers computed and their steps counted on the device."""

    binding: CapturableBinding  # pyright: ignore[reportIncompatibleVariableOverride]  # it is never replaced

    def start_at(self, steps: np.ndarray[Any, Any]) -> None:
        """Take the members' step counts."""
        super().start_at(steps)
        self.binding.start_at([done for _, done in self._rows])

    def recount(self, steps: np.ndarray[Any, Any]) -> None:
        """Read from the device how many steps each member has behind it."""
        counts = self.binding.counts()
        for member, row in zip(self.members, self._places, strict=True):
            steps[member.place] = counts[row]

    def scale(self, grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """For the next step, what `torch.amp.GradScaler` hands to an optimizer that counts on the device."""
        self.binding.scale(grad_scale, found_inf)

    def advance(self) -> None:
        """Hand over what the constants are computed from, where it has changed."""
        for row, (reading, _) in enumerate(self._rows):
            if self._fresh or reading.changed:
                live = [0.0 if name == "t" else reading.live(name) for name in self.plan.inputs]
                self.binding.set_inputs(row, live)
        self._fresh = False
