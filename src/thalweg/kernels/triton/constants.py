"""Computes a step's constants on the device, from counts of steps that the device keeps.

A CUDA graph then replays correctly, although nobody counts on the host, and a step that `torch.amp.GradScaler` leaves
out is not counted, although only the device knows of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.errors import HyperparameterError
from thalweg.kernels.triton.compile import kernel_for
from thalweg.kernels.triton.exchange import Mirror, Notes, is_capturing, keep
from thalweg.kernels.triton.language import DOUBLE, POWER
from thalweg.kernels.walk import print_graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thalweg.kernels.plan import Plan

THREADS = 32
"""How many threads run a program: one would do."""

_TEMPLATE = '''\
"""{title}"""

import triton.language as tl


{functions}@jit
def kernel({parameters}):
    tensor = tl.program_id(0)
    place = tl.load(tensors + 2 * tensor)
    row = tl.load(tensors + 2 * tensor + 1)
    before = tl.load(counts + place)
    t = before + 1
    {body}
    {count}
    {store}
    if finite == 0:
        tl.store(wrong + row, 1)
'''


@dataclass(frozen=True)
class Counted:
    """Where a device counts the steps of a launch's tensors, and what it computes their constants from."""

    counts: Tensor
    """How many steps each parameter of the optimizer has behind it, in float64 on the device: all launches and all CUDA
    graphs count here."""
    places: Sequence[int]
    """Which of them is each tensor's."""
    rows: Sequence[int]
    """Which row of inputs is each tensor's."""
    flags: Tensor
    """Two numbers of float32 on the device: whether the step is to be left out, as it begins and as it ends."""
    is_late: bool = False
    """Whether the second is known only when passes have run, so that the step is counted at its end."""


def emit_constants(plan: Plan, number: str, *, is_late: bool = False) -> str:
    """The text of the kernel that computes a tensor's constants in float64, for kernels that take them as `number`.

    It counts the step, if that `is_late` not; where coarse values are computed from constants, it also keeps them in
    float64.
    """
    names = {name: "t" if name == "t" else f"a{place}" for place, name in enumerate(plan.inputs)}
    lines = [
        f"{name} = tl.load(inputs + {len(plan.inputs)} * row + {place})"
        for place, name in enumerate(names.values())
        if name != "t"
    ]
    computed, results = print_graph(list(plan.constants), DOUBLE, names)
    numbers = [f"{result}.to(tl.float64)" for result in results]
    lines += [*computed, *(f"k{place} = {value}" for place, value in enumerate(numbers))]
    finite = [f'(tl.abs(k{place}) < float("inf"))' for place in range(len(results))]
    lines.append(f"finite = {' & '.join(finite) or '1'}")
    stores = [
        f"tl.store(constants + {len(results)} * tensor + {place}, k{place}.to(tl.{number}))"
        for place in range(len(results))
    ]
    kinds = {"tensors": "i32", "inputs": "fp64", "counts": "fp64", "wrong": "i32", "found_inf": "fp32"}
    kinds["constants"] = "fp64" if number == "float64" else "fp32"
    if plan.levels:
        kinds["exact"] = "fp64"
        stores += [f"tl.store(exact + {len(results)} * tensor + {place}, k{place})" for place in range(len(results))]
    return _TEMPLATE.format(
        parameters=", ".join(f'{name}: "*{kind}"' for name, kind in kinds.items()),
        count="pass" if is_late else "tl.store(counts + place, tl.where(tl.load(found_inf) == 0, t, before))",
        title="; ".join(f"k{place} <- {constant!r}" for place, constant in enumerate(plan.constants)),
        functions=f"{POWER}\n\n" if any("power(" in line for line in lines) else "",
        body="\n    ".join(lines),
        store="\n    ".join(stores) or "pass",
    )


class Counting:
    """The constants of a launch's tensors on their device, a row for each.

    `constants` is what a step's kernel reads: `dtype` has its numbers.
    """

    def __init__(self, plan: Plan, dtype: torch.dtype, device: torch.device, counted: Counted) -> None:
        self._plan = plan
        self._device = device
        self._counted = counted
        self._count = len(counted.places)
        tensors = torch.tensor([counted.places, counted.rows], dtype=torch.int32).t().contiguous()
        self._tensors = tensors.to(device)
        self.constants = torch.zeros(self._count * len(plan.constants), dtype=dtype, device=device)
        self.exact = torch.zeros((self._count, len(plan.constants)), dtype=torch.float64, device=device)
        """The same in float64, a row for each tensor, where coarse values are computed from them."""
        self._is_computed = False
        rows = max(counted.rows, default=0) + 1
        self._inputs = Mirror(np.zeros(rows * len(plan.inputs)), device, for_graphs=True)
        self.notes = Notes(rows, device)
        self._live: dict[int, Tensor] = {}
        self._own = torch.zeros_like(counted.counts)
        self._own[list(counted.places)] = 1
        text = emit_constants(plan, str(dtype).removeprefix("torch."), is_late=counted.is_late)
        self._launch = kernel_for(text, device, threads=THREADS)

    def set_inputs(self, row: int, values: Sequence[float | Tensor]) -> None:
        """What a row's tensors have, in the order of the plan's inputs; that for the step count is ignored.

        A tensor is read on the device at every step.
        """
        per_row = len(self._plan.inputs)
        for place, value in enumerate(values, start=row * per_row):
            if self._live.pop(place, None) is not None:
                self._inputs.forget()
            if isinstance(value, torch.Tensor):
                self._live[place] = value
            else:
                self._inputs.host[place] = value

    def begin(self) -> None:
        """A step begins: what was computed is of the one before."""
        self._is_computed = False

    def compute(self) -> Tensor:
        """Compute the constants of the step, once, and count it, unless it is left out, or counted by `end`."""
        if self._is_computed:
            return self.constants
        self._is_computed = True
        inputs = self._inputs.on_device()
        for place, value in self._live.items():
            inputs[place].copy_(value.detach().reshape(()), non_blocking=True)
        counts, left_out = self._counted.counts, self._counted.flags[1:]
        tables = [self._tensors, inputs, counts, self.notes.words, left_out, self.constants]
        tables += [self.exact] if self._plan.levels else []
        if is_capturing(self._device):
            keep(*tables, *self._live.values())
        if self._count:
            self._launch(self._count, *tables)
        return self.constants

    def end(self) -> None:
        """The last pass has been launched: count the step, where that was not known before."""
        if self._counted.is_late:
            self._counted.counts.addcmul_(self._own, (self._counted.flags[1] == 0).double())

    def check(self) -> None:
        """Raise `HyperparameterError` if constants were no finite numbers, as far as the device has come."""
        if self.notes.first() is not None:
            message = f"the step's constants, computed from {', '.join(self._plan.inputs)}, were no finite numbers"
            raise HyperparameterError(message)
