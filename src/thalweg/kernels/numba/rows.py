"""Steps rows where they lie: each row that a sparse gradient is for is a tensor in the table of the dense kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.kernels.numba.compile import compile_kernel
from thalweg.kernels.numba.emit import emit
from thalweg.kernels.numba.launch import Block
from thalweg.kernels.numba.pieces import FLAT, JOB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels.numba.pieces import Words
    from thalweg.kernels.plan import Plan


class NumbaRows:
    """The engine (see `thalweg.kernels.rows`) for parameters on the CPU whose rows lie one after the other."""

    def __init__(
        self, plan: Plan, parameters: Sequence[Tensor], states: Sequence[Mapping[str, Tensor]], *, guard: bool
    ) -> None:
        self._plan = plan
        self._parameters = list(parameters)
        self._states = [[state[slot] for slot in plan.slots[2:]] for state in states]
        dtype = parameters[0].dtype
        name = str(dtype).removeprefix("torch.")
        dtypes = {slot: str(states[0][slot].dtype).removeprefix("torch.") for slot in plan.slots[2:]}
        self._kernel = compile_kernel(emit(plan, name, guard=guard, dtypes=dtypes))
        self._precision = np.float64 if dtype == torch.float64 else np.float32

    def run(self, gradients: Sequence[Tensor], constants: Sequence[Sequence[float]]) -> int | None:
        """Step the rows of these coalesced gradients, each with its constants; see `Engine`."""
        held = [g.values().to(p.dtype).contiguous() for g, p in zip(gradients, self._parameters, strict=True)]
        counts = [len(values) if values.numel() else 0 for values in held]
        total = sum(counts)
        if not total:
            return None
        widths = [values.numel() // max(count, 1) for values, count in zip(held, counts, strict=True)]
        ends = np.cumsum(counts)
        pieces = np.zeros((total, len(FLAT)), dtype=np.int64)
        pieces[:, 0] = np.arange(total)
        pieces[:, 2] = np.repeat(widths, counts)
        block = Block(
            total, len(self._plan.slots), len(self._plan.constants), self._precision, pieces, _jobs(pieces[:, 2])
        )
        if len(constants) > 1:
            block.resize_constants(len(constants))
        for at, (gradient, values) in enumerate(zip(gradients, held, strict=True)):
            block.constants[at, : len(constants[at])] = constants[at]
            own = slice(int(ends[at]) - counts[at], int(ends[at]))
            block.rows[own] = at
            if counts[at]:
                self._fill(block.addresses[own], at, _indices(gradient) * widths[at], values)
        first = block.run(self._kernel)
        return None if first is None else int(np.searchsorted(ends, first, side="right"))

    def _fill(self, addresses: Words, at: int, offsets: Words, values: Tensor) -> None:
        """Where the rows of one parameter, of its gradient and of its states lie."""
        parameter = self._parameters[at]
        addresses[:, 0] = parameter.data_ptr() + offsets * parameter.itemsize
        addresses[:, 1] = values.data_ptr() + np.arange(len(offsets)) * (values.nbytes // len(offsets))
        for column, state in enumerate(self._states[at], start=2):
            addresses[:, column] = state.data_ptr() + offsets * state.itemsize


def _indices(gradient: Tensor) -> Words:
    """Which row each value is for, counted through all sparse dimensions."""
    indices = gradient.indices().numpy()
    sizes = tuple(gradient.shape[: len(indices)])
    return indices[0] if len(indices) == 1 else np.asarray(np.ravel_multi_index(tuple(indices), sizes))


def _jobs(lengths: Words) -> Words:
    """As `thalweg.kernels.numba.pieces.jobs`, for many pieces at once."""
    ends = np.cumsum(lengths)
    if ends[-1] <= JOB:
        return np.array([0, len(lengths)])
    full = np.searchsorted(ends, np.arange(JOB, ends[-1], JOB)) + 1
    return np.unique(np.concatenate([[0], full, [len(lengths)]]))
