"""Ties the kernels of a plan to the tensors that they step, with the same face as the CPU's binding.

On a GPU nothing here waits, but where a step's passes need each other's sums or a step is to be looked at first. What a
kernel finds wrong is therefore told one step late, or later where the GPU lags behind.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

from thalweg.errors import BackendError
from thalweg.kernels.tensors import Tensors
from thalweg.kernels.triton.compile import kernel_for
from thalweg.kernels.triton.constants import Counting
from thalweg.kernels.triton.emit import THREADS, emit
from thalweg.kernels.triton.exchange import Notes, is_capturing, keep
from thalweg.kernels.triton.gathering import Gathering
from thalweg.kernels.triton.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from thalweg.kernels.plan import Plan
    from thalweg.kernels.triton.compile import Launch
    from thalweg.kernels.triton.tables import Words


class TritonBinding:
    """One plan, the parameters that it steps, their states, and a row of constants for each.

    `states[i]` holds the tensors of `plan.slots` for `parameters[i]`, of its shape and device and laid out as
    `thalweg.kernels.layout` wants them; each has one dtype for all parameters. On the CPU the kernels are interpreted:
    right, and thousands of times slower.

    A `capturable` binding computes the constants on the device, from inputs (`set_inputs`) and a count of steps
    (`start_at`, `counts`) that are kept there, and not from `set_constants`: it can be captured in a CUDA graph, takes
    tensors on the device as hyper-parameters, and obeys `scale`.
    """

    def __init__(
        self,
        plan: Plan,
        parameters: Sequence[Tensor],
        states: Sequence[dict[str, Tensor]],
        *,
        guard: bool,
        capturable: bool = False,
    ) -> None:
        self._plan = plan
        self._guard = guard
        self._device = parameters[0].device
        self._name = str(parameters[0].dtype).removeprefix("torch.")
        number = torch.promote_types(parameters[0].dtype, torch.float32)
        if capturable and plan.levels:
            message = (
                "this chain needs sums over tensors, which the host works on between passes, and "
                "cannot be `capturable`; leave that out"
            )
            raise BackendError(message)
        sizes = [parameter.numel() for parameter in parameters]
        with self._on_device():
            self._tables = Tables(
                sizes,
                len(plan.slots),
                0 if capturable else len(plan.constants),
                number,
                self._device,
                for_graphs=capturable,
            )
            for place, state in enumerate(states):
                for column, slot in enumerate(plan.slots[2:], start=2):
                    self._tables.words[place, column] = state[slot].data_ptr()
            self._states = list(states)
            self._tensors = Tensors(parameters, self._tables.words)
            self._gathering = Gathering(plan, self._tables.per_tensor, number, self._device) if plan.levels else None
            self._counting = Counting(plan, number, self._device) if capturable else None
            self._notes = Notes(len(parameters), self._device)
            self._kernels = [self._kernel(place) for place in range(len(plan.passes))]
        self._scaled_kernel: Launch | None = None
        self._scaling: tuple[Tensor, Tensor] | None = None

    def set_constants(self, row: int, values: Sequence[float]) -> None:
        """The constants of a row, in the plan's order."""
        self._tables.constants[row, : len(values)] = values

    def set_inputs(self, row: int, values: Sequence[float | Tensor]) -> None:
        """What a row's constants are computed from, in the order of the plan's inputs, where they are on the device."""
        self._counted().set_inputs(row, values)

    def set_rows(self, rows: Words, count: int) -> None:
        """The row of each tensor, and how many rows there are."""
        if count > len(self._tables.constants):
            self._tables.resize_constants(count)
        self._tables.words[:, -1] = rows

    def start_at(self, counts: Sequence[float]) -> None:
        """How many steps each row has behind it, where the device counts."""
        self._counted().start_at(counts)

    def counts(self) -> list[float]:
        """How many steps each row has behind it, where the device counts. Waits for it."""
        return self._counted().counts()

    def scale(self, grad_scale: Tensor | None, found_inf: Tensor | None) -> None:
        """For the next step: divide gradients by `grad_scale`, and do nothing, nor count, where `found_inf` is not 0.

        Both are single numbers of float32 on the device, as `torch.amp.GradScaler` hands them to a fused optimizer.
        """
        if grad_scale is None and found_inf is None:
            self._scaling = None
            return
        self._counted()
        one, none = torch.ones((), device=self._device), torch.zeros((), device=self._device)
        given = (one if grad_scale is None else grad_scale, none if found_inf is None else found_inf)
        scale, found = (value.to(self._device, torch.float32, non_blocking=True) for value in given)
        self._scaling = (scale, found)

    def find(self) -> None:
        """Find parameters and gradients where they are now, before `run`.

        Raises `TypeError` if a gradient is None, `RuntimeError` if it has no memory of its own (a sparse one), `Moved`
        if a parameter has another shape, dtype or layout than it had, and `BackendError` if a CUDA graph is being
        captured and the binding is not `capturable`.
        """
        if self._counting is None and is_capturing(self._device):
            message = (
                "a CUDA graph is being captured, and this optimizer computes its numbers on the host, where no replay "
                "comes by; make it with `capturable=True`"
            )
            raise BackendError(message)
        self._tensors.find()

    def release(self) -> None:
        """Let go of the gradients that `find` holds, where no `run` follows."""
        self._tensors.release()

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come, as vectors with one for each tensor."""
        if self._gathering is not None:
            self._gathering.give(values)

    def run(self, place: int = -1) -> int | None:
        """Run a pass; gives the place of a tensor that a gradient was not finite in, as far as the device has come.

        That may be a gradient of a step before, except in the first of several passes and in one that stores nothing.
        """
        place %= len(self._plan.passes)
        last = len(self._plan.passes) - 1
        with self._on_device():
            if place == 0:
                self._tensors.fetch()
            self._launch(place)
            if place == last:
                self._tensors.return_parameters()
                self._tensors.release()
            if self._guard and place == 0 and not self._plan.passes[0].stores:
                self._synchronize()
        return self._notes.first()

    def gathered(self, place: int = -1) -> dict[str, Tensor]:
        """What a pass has gathered, as vectors with a value for each tensor, on the CPU. Waits for the device."""
        return self._gathering.gathered(self._plan.passes[place]) if self._gathering is not None else {}

    def count(self) -> None:
        """Tell autograd that the parameters have changed."""
        self._tensors.count()

    def wait(self) -> int | None:
        """Wait for the device; gives what `run` would now: the place of a tensor with a gradient that is not finite.

        Raises `HyperparameterError` if constants that the device computed were no finite numbers.
        """
        with self._on_device():
            self._synchronize()
        if self._counting is not None:
            self._counting.check()
        return self._notes.first()

    def _launch(self, place: int) -> None:
        kernel, scaling = self._kernels[place], self._scaling or ()
        if scaling:
            self._scaled_kernel = kernel = self._scaled_kernel or self._kernel(place, scaled=True)
        tables = self._tables
        arguments = [tables.words_on_device(), tables.chunks, self._constants(), self._notes.words, *scaling]
        if self._gathering is not None:
            arguments += self._gathering.on_device()
        if is_capturing(self._device):
            keep(*arguments)
        for notes in self._all_notes():
            notes.are_pending = self._device.type == "cuda"
        if tables.count:
            kernel(tables.count, *arguments)
        if scaling:
            self._tensors.return_gradients()
            self._scaling = None

    def _constants(self) -> Tensor:
        if self._counting is None:
            return self._tables.constants_on_device()
        self._counting.check()
        return self._counting.compute(self._scaling[1] if self._scaling else None)

    def _kernel(self, place: int, *, scaled: bool = False) -> Launch:
        dtypes = {slot: str(self._states[0][slot].dtype).removeprefix("torch.") for slot in self._plan.slots[2:]}
        text = emit(self._plan, self._name, guard=self._guard, place=place, scaled=scaled, dtypes=dtypes)
        return kernel_for(text, self._device, threads=THREADS)

    def _counted(self) -> Counting:
        if self._counting is None:
            message = "the host counts the steps of this optimizer; make it with `capturable=True`"
            raise BackendError(message)
        return self._counting

    def _synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()
        for notes in self._all_notes():
            notes.are_pending = False

    def _all_notes(self) -> list[Notes]:
        return [self._notes] if self._counting is None else [self._notes, self._counting.notes]

    def _on_device(self) -> AbstractContextManager[object]:
        """Make the tensors' device the current one, which Triton launches on."""
        return torch.cuda.device(self._device) if self._device.type == "cuda" else contextlib.nullcontext()
