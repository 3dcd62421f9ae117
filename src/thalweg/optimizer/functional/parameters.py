"""The parameters of one functional call: their formulas, their numbers, and the places where they are stepped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from thalweg.errors import GradientError, HyperparameterError, ParameterError
from thalweg.formula import Level
from thalweg.formula.slots import ParameterSlot
from thalweg.kernels.geometry import shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.formula import Kept
    from thalweg.kernels.differentiable import Evaluation, Graph, Place


@dataclass(frozen=True, eq=False)
class Parameter:
    """A parameter, what the chain does to it, and its numbers."""

    label: str
    tensor: Tensor
    graph: Graph
    numbers: Mapping[str, float | Tensor]

    @property
    def kept(self) -> tuple[Kept, ...]:
        """Its states."""
        return self.graph.trace.states

    @property
    def of_model(self) -> list[Kept]:
        """Those that the whole model has one of."""
        return [kept for kept in self.kept if kept.level is Level.MODEL]

    def begin(self) -> dict[str, Tensor]:
        """All its states before the first step, those of the model too."""
        return {kept.name: self._started(kept) for kept in self.kept}

    def arrays(self, states: Mapping[str, Tensor], gradient: Tensor) -> dict[str, Tensor]:
        """What its formula reads. Raises `ParameterError` or `GradientError` if state or gradient do not fit."""
        missing = [kept.name for kept in self.kept if kept.name not in states]
        if missing or "step" not in states:
            message = f"the state of {self.label} lacks {', '.join(missing or ['step'])}; make it with `init`"
            raise ParameterError(message)
        if not isinstance(gradient, torch.Tensor) or gradient.layout != torch.strided:  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
            kind = "sparse" if isinstance(gradient, torch.Tensor) else f"a {type(gradient).__name__}"  # pyright: ignore[reportUnnecessaryIsInstance]
            raise GradientError(f"the gradient of {self.label} is {kind}, and must be a dense tensor, or None")
        if gradient.shape != self.tensor.shape:
            message = f"{self.label} has the shape {tuple(self.tensor.shape)}, and its gradient {tuple(gradient.shape)}"
            raise ParameterError(message)
        return {"p": self.tensor, "g": gradient, **{kept.name: states[kept.name] for kept in self.kept}}

    def step(self, evaluation: Evaluation, place: Place) -> tuple[Tensor, dict[str, Tensor]]:
        """Its new value, and its states'. Raises `HyperparameterError` if a state has more values than before."""
        moved = evaluation.value(self.graph.trace.parameter, place).to(self.tensor.dtype)
        after = {kept.name: self.fit(evaluation.value(kept.after, place), kept) for kept in self.kept}
        return filled(moved, self.tensor.shape), after

    def dtype_of(self, kept: Kept) -> torch.dtype:
        """What a state is kept in: as its parameter is, and what there are few of with more digits."""
        if kept.level is Level.ELEMENT:
            return self.tensor.dtype
        return torch.float64 if kept.level is Level.MODEL else torch.promote_types(self.tensor.dtype, torch.float32)

    def fit(self, value: Tensor, kept: Kept) -> Tensor:
        """A state's new value, of its shape and dtype. Raises `HyperparameterError` if there are more of it."""
        wanted = shape_of(kept.level, self.tensor.shape)
        if value.dim() > len(wanted) or any(a not in (1, b) for a, b in zip(value.shape[::-1], wanted[::-1])):  # noqa: B905  # fewer dimensions are repeated
            message = (
                f"`{kept.name}` has one value a {kept.level.value}, and depends on a number that is given with one for "
                f"each element of {self.label}; give one for all"
            )
            raise HyperparameterError(message)
        return filled(value.to(self.dtype_of(kept)), wanted)

    def _started(self, kept: Kept) -> Tensor:
        if isinstance(kept.start, ParameterSlot):
            return self.tensor.clone()
        start = self.numbers[kept.start] if isinstance(kept.start, str) else kept.start
        dtype, device = self.dtype_of(kept), self.tensor.device
        if isinstance(start, torch.Tensor):
            return self.fit(start.to(device), kept)
        if kept.level is Level.ELEMENT:
            return torch.full_like(self.tensor, start, requires_grad=False)
        return torch.full(shape_of(kept.level, self.tensor.shape), start, dtype=dtype, device=device)


def filled(value: Tensor, shape: Sequence[int]) -> Tensor:
    """The value, repeated to a shape where it has less."""
    return value if tuple(value.shape) == tuple(shape) else value.expand(shape).clone()
