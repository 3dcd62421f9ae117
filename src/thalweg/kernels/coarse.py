"""Computes what a step needs between its passes: the values that a tensor, a row, the model has one of.

There are few of them, so that torch's own operations in float64 do; they can be differentiated, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thalweg.formula.scalar import REDUCTIONS, Level, descend
from thalweg.kernels.operations import OPERATIONS
from thalweg.kernels.plan import SIZES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from thalweg.formula import Scalar
    from thalweg.kernels.geometry import Geometry
    from thalweg.kernels.plan import Plan


class Between:
    """One step's coarse values, known as its passes run.

    `constants` are the plan's, a column for each and a row for each tensor, in float64; `states` the coarse states as
    vectors of their level (see `Geometry`), `model_size` the number of elements of the whole model.
    """

    def __init__(
        self,
        plan: Plan,
        geometry: Geometry,
        constants: Tensor,
        states: Mapping[str, Tensor],
        model_size: float,
    ) -> None:
        self._plan = plan
        self._geometry = geometry
        self._known: dict[str, Tensor] = dict(states)
        self._known |= {f"k{place}": constants[:, place] for place in range(len(plan.constants))}
        for name, level in SIZES.items():
            if level in geometry.sizes:
                self._known[name] = geometry.sizes[level]
        self._known["#model"] = torch.tensor(model_size, dtype=torch.float64, device=geometry.device)
        self._values: dict[int, Tensor] = {}

    def after(self, passes: int, gathered: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The coarse values that can be computed after so many passes, the last of which has gathered these.

        Values of the model or a tensor come as a vector with one for each tensor.
        """
        self._known |= gathered
        return {c.name: self._compute(c.value) for c in self._plan.coarse if c.after == passes}

    def updates(self, gathered: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The new values of the coarse states, after the last pass, which has gathered these."""
        self._known |= gathered
        return {c.name: self._compute(c.value) for c in self._plan.updates}

    def _compute(self, root: Scalar) -> Tensor:
        for node in descend(root):
            if id(node) not in self._values:
                self._values[id(node)] = self._evaluate(node)
        value = self._values[id(root)]
        return value.expand(self._count(root.level)) if value.dim() == 0 else value

    def _evaluate(self, node: Scalar) -> Tensor:
        if node.operation == "constant":
            return torch.tensor(node.value, dtype=torch.float64, device=self._geometry.device)
        if node.operation == "input":
            value = self._known[node.name]
            is_constant = node.name[0] == "k" and node.level is Level.STEP
            return value != 0 if is_constant and self._plan.constants[int(node.name[1:])].is_condition else value
        if node.operation in REDUCTIONS:
            (operand,) = node.operands
            return self._geometry.gather(node.operation, self._values[id(operand)], operand.level, node.level)
        operands = [
            self._geometry.spread(self._values[id(operand)], operand.level, node.level) for operand in node.operands
        ]
        return OPERATIONS[node.operation](*operands)

    def _count(self, level: Level) -> int:
        lengths = self._geometry.lengths
        return sum(lengths.get(level, lengths[Level.TENSOR]))
