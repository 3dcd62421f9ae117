"""Computes what a step needs between its passes by kernels: values that a tensor or the model has one of.

The same numbers as `thalweg.kernels.coarse`, which takes values of matrices, rows and columns, too, and other devices:
there each operation is one of torch's, and with many small tensors their calls take longer than all elements.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.formula.scalar import Level
from thalweg.kernels.numba.coarse_emit import WORDS, emit_coarse, inputs_of
from thalweg.kernels.numba.compile import compile_kernel
from thalweg.kernels.plan import MODEL_SIZE, SIZES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from thalweg.formula import Scalar
    from thalweg.kernels.plan import Plan

Numbers = np.ndarray[Any, np.dtype[np.float64]]
LEVELS = frozenset({Level.MODEL, Level.TENSOR})
"""Of these, each tensor sees one value."""


class CompiledCoarse:
    """A plan's coarse values for tensors of these sizes.

    Those that the passes ask for are written to `table`, a row for each tensor in the kernel's precision. The plan has
    no level but those of `LEVELS`.
    """

    def __init__(self, plan: Plan, sizes: Sequence[int], table: np.ndarray[Any, Any]) -> None:
        self._stretches: dict[int, _Stretch] = {}
        values = [c.value for c in (*plan.coarse, *plan.updates)]
        names = inputs_of(values)
        self._inputs = np.zeros((len(sizes), len(names)))
        self._places = {name: place for place, name in enumerate(names)}
        self._rows = np.zeros(len(sizes), dtype=np.int64)
        self._constants = np.zeros((1, max(len(plan.constants), 1)))
        self._new = np.zeros((len(sizes), len(plan.updates)))
        self._updates = [c.name for c in plan.updates]
        self._model_sizes = {n: n.removeprefix(MODEL_SIZE) for n in names if n.startswith(MODEL_SIZE)}
        self._only_of_model = plan.levels <= {Level.MODEL}
        own = {name for name, level in SIZES.items() if level is Level.TENSOR}
        for name in own & self._places.keys():
            self.input(name)[:] = sizes
        for passes in sorted({c.after for c in plan.coarse}):
            wanted = [(at, c.value) for at, c in enumerate(plan.coarse) if c.after == passes]
            self._stretches[passes] = self._stretch(plan, f"after pass {passes}", wanted, table)
        wanted = [(at, c.value) for at, c in enumerate(plan.updates)]
        self._last = self._stretch(plan, "that are kept", wanted, self._new) if wanted else None

    def input(self, name: str) -> Numbers:
        """Where a value is to be written that others are computed from: one for each tensor, of the plan's order."""
        return self._inputs[:, self._places[name]]

    def asks_for(self, name: str) -> bool:
        """Whether some value is computed from this one."""
        return name in self._places

    def set_rows(self, rows: Sequence[int], count: int) -> None:
        """The row of constants of each tensor, and how many rows there are."""
        self._rows[:] = rows
        if count != len(self._constants):
            self._constants = np.zeros((count, self._constants.shape[1]))
        few = count == 1 and self._only_of_model
        for stretch in self._every():
            stretch.say(count=1 if few else len(self._rows), constants=self._constants.ctypes.data)

    def set_constants(self, row: int, values: Sequence[float]) -> None:
        """The constants of a row, in the plan's order."""
        self._constants[row, : len(values)] = values

    def begin(self, model_sizes: Mapping[str, float], loss: float | None) -> None:
        """A step begins: `model_sizes` says from how many elements things are gathered over the model."""
        for own, name in self._model_sizes.items():
            self.input(own).fill(model_sizes[name])
        if loss is not None and self.asks_for("loss"):
            self.input("loss").fill(loss)

    def settle(self, passes: int, gathered: Mapping[str, Tensor]) -> None:
        """Compute what can be after so many passes, the last of which has gathered these, for the passes to come."""
        self._take(gathered)
        if passes in self._stretches:
            self._stretches[passes].run()

    def updates(self, gathered: Mapping[str, Tensor]) -> dict[str, Numbers]:
        """The new values of the coarse states, one for each tensor, after the last pass, which has gathered these."""
        if self._last is None:
            return {}
        self._take(gathered)
        self._last.run()
        return {name: self._new[:, place] for place, name in enumerate(self._updates)}

    def _take(self, gathered: Mapping[str, Tensor]) -> None:
        for name, value in gathered.items():
            if name in self._places:
                self._inputs[:, self._places[name]] = value.numpy()

    def _stretch(
        self, plan: Plan, what: str, values: Sequence[tuple[int, Scalar]], outputs: np.ndarray[Any, Any]
    ) -> _Stretch:
        text = emit_coarse(
            f"The values {what}.",
            values,
            self._places,
            conditions={f"k{place}" for place, constant in enumerate(plan.constants) if constant.is_condition},
            width=self._constants.shape[1],
            stride=outputs.shape[1],
            precision=str(outputs.dtype),
        )
        stretch = _Stretch(text, outputs, [place for place, _ in values])
        stretch.say(rows=self._rows.ctypes.data, inputs=self._inputs.ctypes.data, outputs=outputs.ctypes.data)
        stretch.say(count=len(self._rows), constants=self._constants.ctypes.data)
        return stretch

    def _every(self) -> Iterator[_Stretch]:
        yield from self._stretches.values()
        if self._last is not None:
            yield self._last


class _Stretch:
    """The values that are computed at once: a kernel, and the columns that it writes."""

    def __init__(self, text: str, outputs: np.ndarray[Any, Any], columns: Sequence[int]) -> None:
        self._kernel = compile_kernel(text)
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_int64)(self._kernel.address)
        self._words = np.zeros(len(WORDS), dtype=np.int64)
        self._at = self._words.ctypes.data
        self._all_alike = False
        self._written = outputs[:, columns[0] : columns[-1] + 1]

    def say(self, **words: int) -> None:
        """Set words of the kernel's block, by their names."""
        for name, value in words.items():
            self._words[WORDS[name]] = value
        self._all_alike = int(self._words[WORDS["count"]]) < len(self._written)

    def run(self) -> None:
        self._call(self._at)
        if self._all_alike:
            self._written[1:] = self._written[:1]
