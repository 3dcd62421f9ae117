"""Puts parameters where evaluation is to see them: an average, or the point that a schedule-free rule has in mind."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

from thalweg.errors import ChainError
from thalweg.formula import Level
from thalweg.kernels import plan_evaluation
from thalweg.kernels.parts import as_parts
from thalweg.kernels.reference import compute
from thalweg.optimizer.element_states import as_wanted

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Sequence

    from torch import Tensor

    from thalweg.kernels import Plan
    from thalweg.optimizer.dialect import Dialect
    from thalweg.optimizer.reading import Reading
    from thalweg.optimizer.watched import WatchedState


_plans: dict[Hashable, Plan | None] = {}


@contextlib.contextmanager
def moved_to_evaluation(readings: Sequence[Reading], state: WatchedState, dialect: Dialect) -> Generator[None]:
    """Keep the parameters where evaluation is to see them, meanwhile; then back where they were, to the bit.

    Those that were never stepped stay. Raises `ChainError` if no chain has such a point.
    """
    points = [
        (parameter, point)
        for reading in readings
        for parameter in reading.group["params"]
        if (point := _point(parameter, reading, state, dialect)) is not None
    ]
    if not points and not any(_has_point(reading) for reading in readings):
        chains = ", ".join(repr(reading.group.get("chain")) for reading in readings)
        message = f"{chains}: evaluation sees the parameter where it is; put an average behind the step, such as ema()"
        raise ChainError(message)
    with torch.no_grad():
        before = [(parameter, parameter.detach().clone()) for parameter, _ in points]
        for parameter, point in points:
            parameter.copy_(point)
        try:
            yield
        finally:
            for parameter, value in before:
                parameter.copy_(value)


def _has_point(reading: Reading) -> bool:
    return any(reading.formula_of(parameter).trace.evaluation is not None for parameter in reading.group["params"])


@torch.no_grad()
def _point(parameter: Tensor, reading: Reading, state: WatchedState, dialect: Dialect) -> Tensor | None:
    formula = reading.formula_of(parameter)
    if formula.structure not in _plans:
        _plans[formula.structure] = plan_evaluation(formula.trace)
    planned = _plans[formula.structure]
    entries = state.get(parameter)
    if planned is None or not entries or entries.get("step") == 0:
        return None
    arrays = {"p": as_parts(parameter), "g": as_parts(parameter)}
    for kept in planned.states:
        if kept.level is Level.ELEMENT:
            name = dialect.state_names.get(kept.name, kept.name)
            arrays[kept.name] = as_parts(as_wanted(entries, {name: torch.float32})[name])
    numbers = {**reading.numbers, "t": float(entries.get("step", 1))}
    constants = planned.compute_constants(*(numbers[name] for name in planned.inputs))
    stored, _ = compute(planned, planned.passes[-1], arrays, constants)
    return torch.view_as_complex(stored["p"].contiguous()) if parameter.is_complex() else stored["p"]
