"""Ties the kernels of a plan to the tensors that they step, with the same face as the CPU's binding.

On a GPU nothing here waits, but where a step's passes need each other's sums or a step is to be looked at first. What a
kernel finds wrong is therefore told one step late, or later where the GPU lags behind.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import BackendError
from thalweg.kernels.columns import CODES, KEY, table_columns
from thalweg.kernels.geometry import as_stack
from thalweg.kernels.tensors import Tensors
from thalweg.kernels.triton.body import THREADS, block_size
from thalweg.kernels.triton.compile import kernel_for
from thalweg.kernels.triton.constants import Counting
from thalweg.kernels.triton.emit import emit
from thalweg.kernels.triton.exchange import Notes, is_capturing, keep
from thalweg.kernels.triton.gathering import Gathering
from thalweg.kernels.triton.tables import Tables, divide
from thalweg.kernels.triton.tile_emit import emit_tiles
from thalweg.kernels.triton.tile_gathering import TileGathering
from thalweg.kernels.triton.tiles import divide_by_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from thalweg.kernels.plan import Plan
    from thalweg.kernels.triton.compile import Launch
    from thalweg.kernels.triton.constants import Counted
    from thalweg.kernels.triton.tables import Words


class TritonBinding:
    """One plan, the parameters that it steps, their states, and a row of constants for each.

    `states[i]` holds the tensors of `plan.slots` for `parameters[i]`, of its shape and device and laid out as
    `thalweg.kernels.layout` wants them; each has one dtype for all parameters. By its key, of `keys`, a parameter draws
    the random numbers of a plan that has some. `by_row` says that they lie so, whatever the plan wants. On the CPU the
    kernels are interpreted: right, and thousands of times slower.

    With `counted`, the constants are computed on the device, from inputs (`set_inputs`) and the counts of steps that
    are kept there, and not from `set_constants`, and coarse values stay there: such a binding can be captured in a CUDA
    graph, takes tensors on the device as hyper-parameters, and obeys `scale` and the flags of `counted`. A step of
    several passes waits after the first whether gradients are finite, unless told not to.
    """

    def __init__(
        self,
        plan: Plan,
        parameters: Sequence[Tensor],
        states: Sequence[dict[str, Tensor]],
        *,
        guard: bool,
        counted: Counted | None = None,
        waits: bool = True,
        keys: Sequence[int] = (),
        by_row: bool = False,
    ) -> None:
        self._plan = plan
        self._waits = guard and waits and not plan.passes[0].stores
        self._counted = counted
        self._guard = guard
        self._device = parameters[0].device
        self._name = str(parameters[0].dtype).removeprefix("torch.")
        number = torch.promote_types(parameters[0].dtype, torch.float32)
        self._dtypes = {slot: str(states[0][slot].dtype).removeprefix("torch.") for slot in plan.slots[2:]}
        columns = table_columns(plan, self._dtypes)
        with self._on_device():
            self._tables = Tables(
                len(parameters),
                len(columns),
                len(plan.constants) if counted is None else 0,
                number,
                self._device,
                for_graphs=counted is not None,
            )
            if counted is not None:
                self._tables.words[:, -1] = range(len(parameters))
            if KEY in columns:
                self._tables.words[:, columns.index(KEY)] = keys
            for place, state in enumerate(states):
                for column, slot in enumerate(columns[2:], start=2):
                    if slot != KEY:
                        self._tables.words[place, column] = state[slot].data_ptr()
            self._states = list(states)
            by_row = by_row or plan.is_by_row or any(one in CODES for one in self._dtypes.values())
            self._tensors = Tensors(parameters, self._tables.words, by_row=by_row)
            self._divide([parameter.shape for parameter in parameters], number)
            self._counting = None if counted is None else Counting(plan, number, self._device, counted)
            self._flags = [] if counted is None else [counted.flags[:1], counted.flags[1:]]
            self._notes = Notes(len(parameters), self._device)
            self._kernels = [self._compiled(place) for place in range(len(plan.passes))]
        self._scaled_kernels: list[Launch] | None = None
        self._scaling: Tensor | None = None
        self._given: tuple[Tensor, Tensor] = (self._notes.words, self._notes.words)  # until a first pass has been run

    def set_constants(self, row: int, values: Sequence[float]) -> None:
        """The constants of a row, in the plan's order."""
        self._tables.constants[row, : len(values)] = values

    def set_inputs(self, row: int, values: Sequence[float | Tensor]) -> None:
        """What constants are computed from on the device, in the order of the plan's inputs."""
        self._there().set_inputs(row, values)

    def set_rows(self, rows: Words, count: int) -> None:
        """The row of each tensor, and how many rows there are."""
        if count > len(self._tables.constants):
            self._tables.resize_constants(count)
        self._tables.words[:, -1] = rows

    def scale(self, grad_scale: Tensor | None) -> None:
        """For the next step: divide gradients by a number on the device, as `torch.amp.GradScaler` hands it over."""
        self._scaling = None
        if grad_scale is not None:
            self._there()
            self._scaling = grad_scale.to(self._device, torch.float32, non_blocking=True)

    def exact_constants(self) -> Tensor:
        """The constants of the step that begins, in float64, a row for each tensor, where the device computes them."""
        there = self._there()
        with self._on_device():
            there.check()
            there.compute()
        return there.exact

    def find(self) -> None:
        """Find parameters and gradients where they are now, before `run`.

        Raises `TypeError` if a gradient is None, `RuntimeError` if it has no memory of its own (a sparse one), `Moved`
        if a parameter has another shape, dtype or layout than it had, and `BackendError` if a CUDA graph is being
        captured and the host counts the steps.
        """
        if self._counting is None and is_capturing(self._device):
            message = (
                "a CUDA graph is being captured, and this optimizer computes its numbers on the host, where no replay "
                "comes by; make it with `capturable=True`"
            )
            raise BackendError(message)
        if self._counting is not None:
            self._counting.begin()
        self._tensors.find()

    def release(self) -> None:
        """Let go of the gradients that `find` holds, where no `run` follows."""
        self._tensors.release()

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come, as vectors of their level."""
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
                if self._counting is not None:
                    self._counting.end()
            if self._waits and place == 0:
                self._synchronize()
        return self._notes.first()

    def gathered(self, place: int = -1) -> dict[str, Tensor]:
        """What a pass has gathered, as vectors of its level: on the CPU, unless the device counts."""
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
        kernels, flags = self._kernels[place], self._flags[1:]
        if self._flags and place == 0 and len(self._plan.passes) > 1:
            flags = self._flags if self._guard else self._flags[:1]
        if self._scaling is not None and place == 0:  # for later passes, gradients are divided already
            self._scaled_kernels = kernels = self._scaled_kernels or self._compiled(place, scaled=True)
            flags = [self._scaling, *flags]
        if place == 0:
            self._given = (self._tables.words_on_device(), self._constants())
        words, constants = self._given
        rest = [self._notes.words, *flags, *(self._gathering.on_device() if self._gathering is not None else ())]
        if is_capturing(self._device):
            keep(words, *self._chunks, constants, *rest)
        for notes in self._all_notes():
            notes.are_pending = self._device.type == "cuda"
        for kernel, chunks, programs in zip(kernels, self._chunks, self._programs, strict=True):
            if programs:
                kernel(programs, words, chunks, constants, *rest)
        if self._scaling is not None:
            self._tensors.return_gradients()
            self._scaling = None

    def _constants(self) -> Tensor:
        if self._counting is None:
            return self._tables.constants_on_device()
        self._counting.check()
        return self._counting.compute()

    def _divide(self, shapes: Sequence[Sequence[int]], number: torch.dtype) -> None:
        """Divide the tensors into what a program works off: chunks, or tiles of blocks of several widths."""
        plan, device, stays = self._plan, self._device, self._counted is not None
        if plan.is_by_row:
            tiles = divide_by_row(list(map(as_stack, shapes)), block_size(self._name))
            divided: dict[int | None, Any] = {**tiles.of_width}
            self._gathering = TileGathering(plan, shapes, tiles, number, device, stays=stays)
        else:
            per_tensor, chunks = divide(list(map(math.prod, shapes)))
            divided = {None: chunks}
            self._gathering = Gathering(plan, per_tensor, number, device, stays=stays) if plan.levels else None
        self._widths = list(divided)
        self._chunks = [torch.from_numpy(words).to(device) for words in divided.values()]
        self._programs = list(map(len, self._chunks))

    def _compiled(self, place: int, *, scaled: bool = False) -> list[Launch]:
        """The kernels of a pass, one for each width of blocks."""
        plan, name = self._plan, self._name
        settings: Any = {"guard": self._guard, "place": place, "scaled": scaled, "stops": self._counted is not None}
        settings["dtypes"] = self._dtypes
        texts = [
            emit(plan, name, **settings) if width is None else emit_tiles(plan, name, width=width, **settings)
            for width in self._widths
        ]
        return [kernel_for(text, self._device, threads=THREADS) for text in texts]

    def _there(self) -> Counting:
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
