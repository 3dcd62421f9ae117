"""Ties a kernel to the tensors that it steps, and finds them again at every step.

Parameters and gradients may move between steps (`zero_grad`, `p.data = …`), so their addresses are read anew each time.
A tensor that is not dense in memory, or a gradient laid out unlike its parameter, goes through a copy that is kept.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.kernels.geometry import as_stack
from thalweg.kernels.layout import fits, wanted_strides
from thalweg.kernels.numba.compile import compile_kernel
from thalweg.kernels.numba.emit import emit
from thalweg.kernels.numba.gathering import Gathering
from thalweg.kernels.numba.launch import Block
from thalweg.kernels.numba.pieces import bands, stretches
from thalweg.kernels.numba.scan import Scan, can_scan
from thalweg.kernels.plan import Moved, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels.numba.pieces import Words

_GRADIENT = attrgetter("grad")
_ADDRESS = torch.Tensor.data_ptr
_PARAMETER_COLUMN, _GRADIENT_COLUMN = 0, 1
FIRST_SCANNED = 3
"""After how many steps it is worth while to look through torch's C interface."""
LARGEST_SCANNED = 2**20
"""Up to how many elements: beyond, a look takes no time beside a step, and no step may keep other threads waiting."""


class NumbaBinding:
    """One plan, the parameters that it steps, their states, and a row of constants for each.

    `states[i]` holds the tensors of `plan.slots` for `parameters[i]`, of its shape and laid out as
    `thalweg.kernels.layout` wants them; each has one dtype for all parameters.
    """

    def __init__(
        self, plan: Plan, parameters: Sequence[Tensor], states: Sequence[dict[str, Tensor]], *, guard: bool
    ) -> None:
        self._parameters = list(parameters)
        self._states = list(states)
        self._plan = plan
        dtype = parameters[0].dtype
        name = str(dtype).removeprefix("torch.")
        dtypes = {slot: str(states[0][slot].dtype).removeprefix("torch.") for slot in plan.slots[2:]}
        self._kernels = [
            compile_kernel(emit(plan, name, guard=guard, place=at, dtypes=dtypes)) for at in range(len(plan.passes))
        ]
        precision = np.float64 if dtype == torch.float64 else np.float32
        sizes = [parameter.numel() for parameter in parameters]
        shapes = [parameter.shape for parameter in parameters]
        pieces = bands(list(map(as_stack, shapes)), few=plan.sums_columns) if plan.is_by_row else stretches(sizes)
        self._block = Block(len(parameters), len(plan.slots), len(plan.constants), precision, pieces)
        self._gathering = Gathering(plan, shapes, pieces, precision) if plan.levels else None
        if self._gathering is not None:
            self._block.set_words(self._gathering.words())
        for place, state in enumerate(states):
            for column, slot in enumerate(plan.slots[2:], start=2):
                self._block.addresses[place, column] = state[slot].data_ptr()
        self._bound = [(p.shape, p.dtype, p.stride(), p.device) for p in parameters]
        self._strides = [wanted_strides(parameter, by_row=plan.is_by_row) for parameter in parameters]
        self._copies = {
            place: torch.empty_strided(p.shape, self._strides[place], dtype=dtype)
            for place, p in enumerate(parameters)
            if not fits(p, self._strides[place])
        }
        self._gradient_copies: dict[int, Tensor] = {}
        self._addresses: Words | None = None
        self._held: list[Tensor] = []
        self._is_as_before: Callable[..., bool] | None = None
        self._scan: Scan | None = None
        self._looked = 0
        plain = all(type(p) in (torch.Tensor, torch.nn.Parameter) and p.is_contiguous() for p in parameters)
        self._may_scan = plain and not self._copies and sum(sizes) <= LARGEST_SCANNED

    def set_constants(self, row: int, values: Sequence[float]) -> None:
        """The constants of a row, in the plan's order."""
        self._block.constants[row, : len(values)] = values

    def set_rows(self, rows: Words, count: int) -> None:
        """The row of each tensor, and how many rows there are."""
        if count > len(self._block.constants):
            self._block.resize_constants(count)
        self._block.rows[:] = rows

    def find(self) -> None:
        """Find parameters and gradients where they are now, before `run`.

        Raises `TypeError` if a gradient is None, `RuntimeError` if it has no memory of its own (a sparse one), and
        `Moved` if a parameter has another shape, dtype or layout than it had.
        """
        if self._scan is not None:
            if self._scan.find():
                return
            self._scan, self._looked = None, 0
        parameters = self._parameters
        count = len(parameters)
        gradients: list[Tensor] = list(map(_GRADIENT, parameters))
        gradient_addresses = np.fromiter(map(_ADDRESS, gradients), np.int64, count)
        addresses = np.fromiter(map(_ADDRESS, parameters), np.int64, count)
        moved = self._addresses is None or not np.array_equal(addresses, self._addresses)
        if moved or self._is_as_before is None or not self._is_as_before(*parameters, *gradients):
            self._check_parameters()
            self._addresses = addresses
            self._looked = 0
            self._block.addresses[:, _PARAMETER_COLUMN] = addresses
            for place, copy in self._copies.items():
                self._block.addresses[place, _PARAMETER_COLUMN] = copy.data_ptr()
            self._copy_gradients(gradients, gradient_addresses)
        self._block.addresses[:, _GRADIENT_COLUMN] = gradient_addresses
        self._held = gradients  # another thread may drop them while the kernel reads
        self._looked += 1
        if self._may_scan and self._looked == FIRST_SCANNED and self._is_as_before and can_scan():
            self._scan = Scan(parameters, addresses, self._block.addresses)

    def release(self) -> None:
        """Let go of the gradients that `find` holds, where no `run` follows."""
        self._held = []

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come, as vectors of their level."""
        if self._gathering is not None:
            self._gathering.give(values)

    def run(self, place: int = -1) -> int | None:
        """Run a pass; gives the place of the first tensor with a gradient that is not finite, if the kernel looks."""
        last = len(self._kernels) - 1
        at = last if place < 0 else place
        kernel = self._kernels[at]
        if at == 0:
            for tensor, copy in self._copies.items():
                copy.copy_(self._parameters[tensor].detach())
        if self._scan is not None:
            found, first = self._block.run_with(self._scan.run, kernel)
            if found:
                self.release()
                return first
            self._scan, self._looked = None, 0  # somebody has changed something since `find`
            self.find()
        first = self._block.run(kernel)
        if at == last:
            self.release()
            for tensor, copy in self._copies.items():
                self._parameters[tensor].detach().copy_(copy)
        return first

    def gathered(self, place: int = -1) -> dict[str, Tensor]:
        """What a pass has gathered, as vectors of its level; for the model, one value for each tensor."""
        return self._gathering.gathered(self._plan.passes[place]) if self._gathering is not None else {}

    def count(self) -> None:
        """Tell autograd that the parameters have changed."""
        if self._scan is not None:
            self._scan.bump_versions()
        else:
            torch.autograd.graph.increment_version([p for p in self._parameters if not p.is_inference()])

    def wait(self) -> None:
        """Nothing to wait for: what a step finds, it tells at once."""

    def _check_parameters(self) -> None:
        for parameter, bound in zip(self._parameters, self._bound, strict=True):
            if (parameter.shape, parameter.dtype, parameter.stride(), parameter.device) != bound:
                raise Moved

    def _copy_gradients(self, gradients: Sequence[Tensor], addresses: Words) -> None:
        """Copy those gradients that are laid out unlike their parameter; once there are none, look no more."""
        plain = True
        for place, gradient in enumerate(gradients):
            parameter = self._parameters[place]
            if gradient.dtype == parameter.dtype and fits(gradient, self._strides[place]):
                continue
            plain = False
            if place not in self._gradient_copies:
                own = torch.empty_strided(parameter.shape, self._strides[place], dtype=parameter.dtype)
                self._gradient_copies[place] = own
            addresses[place] = self._gradient_copies[place].copy_(gradient.detach()).data_ptr()
        self._is_as_before = _guard([*self._parameters, *gradients]) if plain else None


def _guard(tensors: Sequence[Tensor]) -> Callable[..., bool] | None:
    """A quick check that tensors have the dtypes, sizes and strides that these have; torch.compile's own."""
    try:
        from torch._C._dynamo.guards import TensorGuards  # noqa: PLC0415  # private to torch: it may go away
    except ImportError:
        return None
    return TensorGuards(*tensors, dynamic_dims_sizes=None, dynamic_dims_strides=None).check
