"""The reference backend: the plan computed with torch's operations, one tensor at a time. Slow, obviously right."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING

import torch

from thalweg.formula.scalar import Level, descend
from thalweg.kernels.eight_bits import MAPS, absmax_of, dequantise, quantise
from thalweg.kernels.geometry import as_stack, split
from thalweg.kernels.noise import dithered, uniform
from thalweg.kernels.operations import OPERATIONS
from thalweg.kernels.plan import Moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels.plan import Noise, Pass, Plan, Reduction

_OVER: Mapping[Level, tuple[int, ...]] = {
    Level.MODEL: (0, 1, 2),
    Level.TENSOR: (0, 1, 2),
    Level.MATRIX: (1, 2),
    Level.ROW: (2,),
    Level.COLUMN: (1,),
}
"""Which dimensions of a stack of matrices a reduction removes."""


def compute(
    plan: Plan,
    one: Pass,
    arrays: Mapping[str, Tensor],
    constants: Sequence[float],
    coarse: Mapping[str, Tensor] | None = None,
    *,
    key: int = 0,
    by_row: bool = False,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One pass over one parameter: the new value of every array that it writes, and what it gathers.

    `arrays` are the slots' tensors, all of one shape; half-precision ones are computed in float32. `coarse`
    are the coarse values that the pass uses, of shapes that broadcast to the parameter's. By `key` the parameter draws
    its random numbers, `by_row` or as its elements lie. What is gathered comes as a vector of its level, in float64.
    Nothing is changed in place.
    """
    coarse = coarse or {}
    precision = torch.promote_types(arrays["p"].dtype, torch.float32)
    device = arrays["p"].device
    drawn = {
        noise.name: _draw(noise, constants, key, arrays["p"], by_row=by_row)
        for noise in plan.noise
        if noise.name in one.inputs
    }
    values: dict[int, Tensor] = {}
    for node in descend(*one.values):
        if node.operation == "constant":
            values[id(node)] = torch.tensor(node.value, dtype=precision, device=device)
        elif node.operation == "stored":
            values[id(node)] = values[id(node.operands[0])].to(arrays["p"].dtype).to(precision)
        elif node.operation == "dithered":
            values[id(node)] = dithered(*(values[id(o)] for o in node.operands), dtype=arrays["p"].dtype)
        elif node.operation != "input":
            values[id(node)] = OPERATIONS[node.operation](*(values[id(operand)] for operand in node.operands))
        elif node.level is Level.STEP:
            place = int(node.name[1:])
            dtype = torch.bool if plan.constants[place].is_condition else precision
            values[id(node)] = torch.tensor(constants[place], dtype=dtype, device=device)
        elif node.name in drawn:
            values[id(node)] = drawn[node.name].to(precision)
        else:
            value = arrays[node.name] if node.level is Level.ELEMENT else coarse[node.name]
            values[id(node)] = value if value.dtype == torch.bool else value.to(precision)
    shape = arrays["p"].shape
    stored = {slot: values[id(v)].to(arrays[slot].dtype).expand_as(arrays[slot]) for slot, v in one.stores}
    gathered = {r.name: _gather(r, values[id(r.operand)].expand(shape)) for r in one.reductions}
    return stored, gathered


def _draw(noise: Noise, constants: Sequence[float], key: int, like: Tensor, *, by_row: bool) -> Tensor:
    words = [int(w.value if w.operation == "constant" else constants[int(w.name[1:])]) for w in noise.words]
    return uniform(words[:2], words[2:], key, like, by_row=by_row)


def _gather(reduction: Reduction, values: Tensor) -> Tensor:
    stack = values.double().reshape(as_stack(values.shape))
    over = _OVER[reduction.level]
    return (stack.sum(over) if reduction.value.operation == "total" else stack.amax(over)).reshape(-1)


class ReferenceBinding:
    """The tensors that the reference backend steps, one after the other; the same face as the kernels' bindings."""

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
        self._plan = plan
        self._by_row = by_row or plan.is_by_row
        self._keys = keys or [0] * len(parameters)
        self._parameters = list(parameters)
        self._states = list(states)
        self._guard = guard
        self._codes = [slot for slot in plan.slots[2:] if states[0][slot].dtype in MAPS]
        self._constants: list[tuple[float, ...]] = [()]
        self._rows = [0] * len(parameters)
        self._shapes = [(parameter.shape, parameter.dtype) for parameter in parameters]
        self._levels = {one.name: one.value.level for one in plan.coarse}
        self._coarse: list[dict[str, Tensor]] = [{} for _ in parameters]
        self._gathered: list[dict[str, Tensor]] = []

    def set_constants(self, row: int, values: Sequence[float]) -> None:
        """The constants of a row, in the plan's order."""
        self._constants[row] = tuple(values)

    def set_rows(self, rows: Iterable[int], count: int) -> None:
        """The row of each tensor, and how many rows there are."""
        self._rows = [int(row) for row in rows]
        self._constants += [()] * (count - len(self._constants))

    def find(self) -> None:
        """Find the gradients, before `run`.

        Raises `TypeError` if one is None, `RuntimeError` if one is sparse, and `Moved` if a parameter has another shape
        or dtype than it had.
        """
        for place, parameter in enumerate(self._parameters):
            if (parameter.shape, parameter.dtype) != self._shapes[place]:
                raise Moved
            if parameter.grad is None:
                message = "a gradient is None"
                raise TypeError(message)
            if parameter.grad.layout != torch.strided:
                message = "a gradient is sparse"
                raise RuntimeError(message)

    def release(self) -> None:
        """Nothing: this backend holds no gradients."""

    def count(self) -> None:
        """Nothing: torch's own operations tell autograd."""

    def wait(self) -> None:
        """Nothing to wait for: what a step finds, it tells at once."""

    def give(self, values: Mapping[str, Tensor]) -> None:
        """Coarse values for the passes to come, as vectors of their level."""
        shapes = [shape for shape, _ in self._shapes]
        for name, vector in values.items():
            for own, part in zip(self._coarse, split(vector, self._levels[name], shapes), strict=True):
                own[name] = part

    @torch.no_grad()
    def run(self, place: int = -1) -> int | None:
        """Run a pass on every tensor; gives the place of the first whose gradient is not finite, if it is to look.

        A step of a single pass leaves such elements as they were.
        """
        one = self._plan.passes[place]
        looks = self._guard and one is self._plan.passes[0]
        first: int | None = None
        self._gathered = []
        for at, parameter in enumerate(self._parameters):
            states = self._states[at]
            arrays = {"p": parameter, "g": typing.cast("Tensor", parameter.grad), **states}
            arrays |= {slot: dequantise(states[slot], states[absmax_of(slot)]) for slot in self._codes}
            constants = self._constants[self._rows[at]]
            new, gathered = compute(
                self._plan, one, arrays, constants, self._coarse[at], key=self._keys[at], by_row=self._by_row
            )
            self._gathered.append(gathered)
            if looks:
                good = torch.isfinite(arrays["g"])
                if first is None and not bool(good.all()):
                    first = at
                new = {slot: torch.where(good, value, arrays[slot]) for slot, value in new.items()}
            for slot, value in new.items():
                if slot in self._codes:
                    codes, absmax = quantise(value, states[slot].dtype)
                    states[slot].copy_(codes)
                    states[absmax_of(slot)].copy_(absmax)
                else:
                    arrays[slot].copy_(value)
        return first

    def gathered(self, place: int = -1) -> dict[str, Tensor]:  # noqa: ARG002  # the last one run
        """What the last pass gathered, as vectors of its level; for the model, one value for each tensor."""
        return {name: torch.cat([one[name] for one in self._gathered]) for name in self._gathered[0]}
