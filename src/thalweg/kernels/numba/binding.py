"""Ties the kernels of a plan to the tensors that they step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.kernels.columns import CODES, KEY, table_columns
from thalweg.kernels.geometry import as_stack
from thalweg.kernels.numba.coarse import LEVELS, CompiledCoarse
from thalweg.kernels.numba.compile import compile_kernel
from thalweg.kernels.numba.emit import emit
from thalweg.kernels.numba.gathering import Gathering
from thalweg.kernels.numba.launch import Block
from thalweg.kernels.numba.pieces import bands, stretches
from thalweg.kernels.tensors import Tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels.numba.pieces import Words
    from thalweg.kernels.plan import Plan

LARGEST_SCANNED = 2**20
"""Up to how many elements: beyond, a look takes no time beside a step, and no step may keep other threads waiting."""


class NumbaBinding:
    """One plan, the parameters that it steps, their states, and a row of constants for each.

    `states[i]` holds the tensors of `plan.slots` for `parameters[i]`, of its shape and laid out as
    `thalweg.kernels.layout` wants them; each has one dtype for all parameters. By its key, of `keys`, a parameter draws
    the random numbers of a plan that has some. `by_row` says that they lie so, whatever the plan wants.
    """

    def __init__(
        self,
        plan: Plan,
        parameters: Sequence[Tensor],
        states: Sequence[dict[str, Tensor]],
        *,
        guard: bool,
        keys: Sequence[int] = (),
        by_row: bool = False,
    ) -> None:
        self._states = list(states)
        self._plan = plan
        dtype = parameters[0].dtype
        name = str(dtype).removeprefix("torch.")
        dtypes = {slot: str(states[0][slot].dtype).removeprefix("torch.") for slot in plan.slots[2:]}
        self._kernels = [
            compile_kernel(emit(plan, name, guard=guard, place=at, dtypes=dtypes)) for at in range(len(plan.passes))
        ]
        precision = np.float64 if dtype == torch.float64 else np.float32
        self._sizes = sizes = [parameter.numel() for parameter in parameters]
        shapes = [parameter.shape for parameter in parameters]
        pieces = bands(list(map(as_stack, shapes)), few=plan.sums_columns) if plan.is_by_row else stretches(sizes)
        columns = table_columns(plan, dtypes)
        self._block = Block(len(parameters), len(columns), len(plan.constants), precision, pieces)
        if KEY in columns:
            self._block.addresses[:, columns.index(KEY)] = keys
        self._gathering = Gathering(plan, shapes, pieces, precision) if plan.levels else None
        if self._gathering is not None:
            self._block.set_words(self._gathering.words())
        for place, state in enumerate(states):
            for column, slot in enumerate(columns[2:], start=2):
                if slot == KEY:
                    continue
                self._block.addresses[place, column] = state[slot].data_ptr()
        by_row = by_row or plan.is_by_row or any(one in CODES for one in dtypes.values())
        self._tensors = Tensors(
            parameters, self._block.addresses, by_row=by_row, may_scan=sum(sizes) <= LARGEST_SCANNED
        )

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
        self._tensors.find()

    def release(self) -> None:
        """Let go of the gradients that `find` holds, where no `run` follows."""
        self._tensors.release()

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come, as vectors of their level."""
        if self._gathering is not None:
            self._gathering.give(values)

    def coarse(self) -> CompiledCoarse | None:
        """What computes the coarse values of this binding's tensors; None where torch does, or there are none."""
        if self._gathering is None or not self._plan.levels <= LEVELS:
            return None
        return CompiledCoarse(self._plan, self._sizes, self._gathering.table)

    def run(self, place: int = -1) -> int | None:
        """Run a pass; gives the place of the first tensor with a gradient that is not finite, if the kernel looks."""
        last = len(self._kernels) - 1
        at = last if place < 0 else place
        kernel = self._kernels[at]
        if at == 0:
            self._tensors.fetch()
        if self._tensors.scan is not None:
            found, first = self._block.run_with(self._tensors.scan.run, kernel)
            if found:
                self._tensors.release()
                return first
            self._tensors.find_anew()  # somebody has changed something since `find`
        first = self._block.run(kernel)
        if at == last:
            self._tensors.release()
            self._tensors.return_parameters()
        return first

    def gathered(self, place: int = -1) -> dict[str, Tensor]:
        """What a pass has gathered, as vectors of its level; for the model, one value for each tensor."""
        return self._gathering.gathered(self._plan.passes[place]) if self._gathering is not None else {}

    def count(self) -> None:
        """Tell autograd that the parameters have changed."""
        self._tensors.count()

    def wait(self) -> None:
        """Nothing to wait for: what a step finds, it tells at once."""
