"""A whole step on values, by the reference backend: nothing is changed in place, and it can be differentiated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thalweg.formula.scalar import Level
from thalweg.kernels.coarse import Between, Program
from thalweg.kernels.geometry import Geometry, split
from thalweg.kernels.reference import compute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.kernels.plan import Plan

_MERGE = {"total": torch.sum, "largest": torch.amax}


def step(
    plan: Plan,
    arrays: Sequence[Mapping[str, Tensor]],
    constants: Tensor,
    coarse_states: Mapping[str, Tensor] | None = None,
) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
    """The new arrays of each parameter, and the new coarse states.

    `arrays` are the plan's slots for each parameter, `constants` a row for each, in float64. Coarse states are vectors
    of their level (see `Geometry`), those of the model with one value for each parameter.
    """
    shapes = [one["p"].shape for one in arrays]
    size = float(sum(one["p"].numel() for one in arrays))
    program = Program(plan, Geometry(shapes, arrays[0]["p"].device))
    between = Between(program, constants, coarse_states or {}, size)
    levels = {c.name: c.value.level for c in plan.coarse}
    coarse: list[dict[str, Tensor]] = [{} for _ in arrays]
    gathered: dict[str, Tensor] = {}
    stored: list[dict[str, Tensor]] = []
    for place, one in enumerate(plan.passes):
        for name, vector in between.after(place, gathered).items():
            for own, part in zip(coarse, split(vector, levels[name], shapes), strict=True):
                own[name] = part
        found = [compute(plan, one, own, list(constants[at]), coarse[at]) for at, own in enumerate(arrays)]
        stored = [new for new, _ in found]
        gathered = {r.name: torch.cat([values[r.name] for _, values in found]) for r in one.reductions}
        for r in one.reductions:
            if r.level is Level.MODEL:
                gathered[r.name] = _MERGE[r.value.operation](gathered[r.name])
    kept = [{**own, **new} for own, new in zip(arrays, stored, strict=True)]
    return kept, {**(coarse_states or {}), **between.updates(gathered)}
