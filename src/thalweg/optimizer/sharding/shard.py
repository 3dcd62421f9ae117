"""A parameter that lies on several processes, and the part of it on this one, which can be stepped as a plain tensor.

`torch.distributed.tensor` is not imported here but where such a parameter has been given: who makes one has done so.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import GradientError, ParameterError
from thalweg.formula import Level
from thalweg.kernels.geometry import kept_dimensions, shape_of

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import ProcessGroup


def is_spread(tensor: object) -> bool:
    """Whether this is a tensor on several processes, whole on each or cut."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def is_cut(tensor: object) -> bool:
    """Whether this process has a part of the tensor alone."""
    return is_spread(tensor) and bool(_cuts(tensor))


def part_of(tensor: Tensor) -> Tensor:
    """What of a tensor lies on this process: the tensor itself, if it is not on several."""
    if not is_spread(tensor):
        return tensor
    with torch.no_grad():
        local: Any = tensor.to_local()  # pyright: ignore[reportAttributeAccessIssue]  # a DTensor's
        return local.wait() if hasattr(local, "wait") else local  # what is still on its way


@dataclass(frozen=True)
class Cut:
    """A dimension along which a tensor is cut, and the processes that have the parts."""

    dimension: int
    group: ProcessGroup


class Shard:
    """A parameter on several processes.

    `part` is a tensor of its own with the memory of this process's part; `fetch` finds it again, and its gradient.

    Raises `ParameterError` for a parameter that is a sum over processes.
    """

    def __init__(self, whole: Tensor, name: str) -> None:
        self.whole: Any = whole
        self._name = name
        if any(placement.is_partial() for placement in self.whole.placements):
            message = f"{name} is a sum over processes, {self.whole.placements}, and none of them has a value to step"
            raise ParameterError(message)
        self.part = torch.nn.Parameter(part_of(whole))
        mesh = self.whole.device_mesh
        self.cuts = tuple(Cut(dimension, mesh.get_group(place)) for place, dimension in _cuts(whole))

    def fetch(self) -> None:
        """Find part and gradient where they are now.

        Raises `TypeError` if the gradient is None, and `GradientError` if it does not lie on the parameter's processes.
        """
        gradient = self.whole.grad
        if gradient is None:
            message = "a gradient is None"
            raise TypeError(message)
        if not is_spread(gradient):
            message = f"{self._name} lies on several processes, and its gradient on this one alone; make it a DTensor"
            raise GradientError(message)
        part = part_of(self.whole)
        if part.data_ptr() != self.part.data_ptr() or part.shape != self.part.shape:
            self.part.data = part
        if gradient.placements != self.whole.placements:
            gradient = gradient.redistribute(placements=self.whole.placements)
        self.part.grad = part_of(gradient)

    def release(self) -> None:
        """Let go of the gradient: it is the parameter's to hold."""
        self.part.grad = None

    def local(self, value: Tensor, level: Level) -> Tensor:
        """What of a state lies on this process; of one that each process has whole, its part."""
        if not is_spread(value):
            return part_of(self._spread(value, level)) if self._is_cut_at(level) else value
        like: Any = value
        wanted = self._placements(level)
        return part_of(value if like.placements == wanted else like.redistribute(self.whole.device_mesh, wanted))

    def shared(self, state: Tensor, level: Level, before: object) -> Tensor:
        """A state of this process's part as that of the whole: `before`, if it is that already.

        One value for a tensor, or what else all processes have alike, stays as it is.
        """
        if level is not Level.ELEMENT and not self._is_cut_at(level):
            return state
        if is_spread(before) and part_of(before).data_ptr() == state.data_ptr() and state.numel():  # pyright: ignore[reportArgumentType]
            return before  # pyright: ignore[reportReturnType]
        from torch.distributed.tensor import DTensor  # noqa: PLC0415  # the parameter's maker has imported it

        shape = torch.Size(shape_of(level, self.whole.shape))
        stride = self.whole.stride() if level is Level.ELEMENT else torch.empty(shape, device="meta").stride()
        mesh, placements = self.whole.device_mesh, self._placements(level)
        return DTensor.from_local(state, mesh, placements, run_check=False, shape=shape, stride=stride)

    def _spread(self, value: Tensor, level: Level) -> Tensor:
        from torch.distributed.tensor import distribute_tensor  # noqa: PLC0415  # the parameter's maker has imported it

        whole, mesh = value.detach().to(self.part.device), self.whole.device_mesh
        return distribute_tensor(whole, mesh, self._placements(level), src_data_rank=None)

    def _is_cut_at(self, level: Level) -> bool:
        kept = kept_dimensions(level, self.whole.dim())
        return any(cut.dimension in kept for cut in self.cuts)

    def _placements(self, level: Level) -> tuple[Any, ...]:
        """How a state of a level lies: cut where the parameter is, unless that dimension is gone."""
        from torch.distributed.tensor import Replicate  # noqa: PLC0415  # the parameter's maker has imported it

        kept = kept_dimensions(level, self.whole.dim())
        cut = dict(_cuts(self.whole))
        return tuple(
            placement if place in cut and cut[place] in kept else Replicate()
            for place, placement in enumerate(self.whole.placements)
        )


def _cuts(tensor: Any) -> list[tuple[int, int]]:  # noqa: ANN401  # a DTensor
    """The dimensions of the mesh along which a tensor is cut, each with the tensor's."""
    return [
        (place, placement.dim % max(tensor.dim(), 1))
        for place, placement in enumerate(tensor.placements)
        if hasattr(placement, "dim")  # torch's class for FSDP upon tensor parallelism is no `Shard`
    ]
