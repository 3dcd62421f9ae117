"""The reference backend: the plan computed with torch's operations, one tensor at a time. Slow, obviously right."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING

import torch

from thalweg.formula.scalar import Operation, descend
from thalweg.kernels.plan import Moved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels.plan import Plan

_OPERATIONS: Mapping[Operation, Callable[..., Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "power": torch.pow,
    "negative": torch.neg,
    "absolute": torch.abs,
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "log": torch.log,
    "sign": torch.sign,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "less": torch.lt,
    "less_equal": torch.le,
    "equal": torch.eq,
    "both": torch.logical_and,
    "either": torch.logical_or,
    "where": torch.where,
}


def compute(plan: Plan, arrays: Mapping[str, Tensor], constants: tuple[float, ...]) -> dict[str, Tensor]:
    """The new value of every array that the plan writes; differentiable, and nothing is changed in place.

    `arrays` are the slots' tensors, all of one shape and dtype; half-precision ones are computed in float32.
    """
    precision = torch.promote_types(arrays["p"].dtype, torch.float32)
    device = arrays["p"].device
    values: dict[int, Tensor] = {}
    for node in descend(*(value for _, value in plan.stores)):
        if node.operation == "constant":
            values[id(node)] = torch.tensor(node.value, dtype=precision, device=device)
        elif node.operation == "input" and node.name in arrays:
            values[id(node)] = arrays[node.name].to(precision)
        elif node.operation == "input":
            place = int(node.name[1:])
            dtype = torch.bool if plan.constants[place].is_condition else precision
            values[id(node)] = torch.tensor(constants[place], dtype=dtype, device=device)
        else:
            values[id(node)] = _OPERATIONS[node.operation](*(values[id(operand)] for operand in node.operands))
    return {slot: values[id(value)].to(arrays[slot].dtype).expand_as(arrays[slot]) for slot, value in plan.stores}


class ReferenceBinding:
    """The tensors that the reference backend steps, one after the other; the same face as the kernels' bindings."""

    def __init__(
        self,
        plan: Plan,
        parameters: Sequence[Tensor],
        states: Sequence[dict[str, Tensor]],
        *,
        rows: int,
        guard: bool,
    ) -> None:
        self._plan = plan
        self._parameters = list(parameters)
        self._states = list(states)
        self._guard = guard
        self._constants: list[tuple[float, ...]] = [()] * rows
        self._rows = [0] * len(parameters)
        self._shapes = [(parameter.shape, parameter.dtype) for parameter in parameters]

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

    @torch.no_grad()
    def run(self) -> int | None:
        """Step every tensor; gives the place of the first with a gradient that is not finite, if it is to look."""
        first: int | None = None
        for place, parameter in enumerate(self._parameters):
            arrays = {"p": parameter, "g": typing.cast("Tensor", parameter.grad), **self._states[place]}
            new = compute(self._plan, arrays, self._constants[self._rows[place]])
            if self._guard:
                good = torch.isfinite(arrays["g"])
                if first is None and not bool(good.all()):
                    first = place
                new = {slot: torch.where(good, value, arrays[slot]) for slot, value in new.items()}
            for slot, value in new.items():
                arrays[slot].copy_(value)
        return first
