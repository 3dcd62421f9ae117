"""Computes what a step needs between its passes: the values that a tensor, a row, the model has one of.

There are few of them, so that torch's own operations in float64 do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from thalweg.formula.scalar import REDUCTIONS, Level, descend
from thalweg.kernels.operations import OPERATIONS
from thalweg.kernels.plan import MODEL_SIZE, SIZES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.formula import Scalar
    from thalweg.kernels.geometry import Geometry
    from thalweg.kernels.plan import Plan


class Program:
    """A plan's coarse values, in the order in which they are computed: the same for every step."""

    def __init__(self, plan: Plan, geometry: Geometry) -> None:
        self.geometry = geometry
        self.after: dict[int, list[tuple[str, Scalar, list[Scalar]]]] = {}
        self.updates: list[tuple[str, Scalar, list[Scalar]]] = []
        self.given: dict[str, Tensor] = {
            n: geometry.sizes[level] for n, level in SIZES.items() if level in geometry.sizes
        }
        self.conditions = {f"k{place}" for place, constant in enumerate(plan.constants) if constant.is_condition}
        self.numbers: dict[int, Tensor] = {}
        known: set[int] = set()
        for c in sorted(plan.coarse, key=lambda c: c.after):
            self.after.setdefault(c.after, []).append((c.name, c.value, self._order(c.value, known)))
        for c in plan.updates:
            self.updates.append((c.name, c.value, self._order(c.value, known)))
        nodes = [n for c in (*plan.coarse, *plan.updates) for n in descend(c.value) if n.operation == "input"]
        self.constants = {n.name: int(n.name[1:]) for n in nodes if n.level is Level.STEP}
        self.model_sizes = {n.name: n.name.removeprefix(MODEL_SIZE) for n in nodes if n.name.startswith(MODEL_SIZE)}

    def _order(self, root: Scalar, known: set[int]) -> list[Scalar]:
        """What is not known yet of what a value is computed from."""
        nodes = [node for node in descend(root) if id(node) not in known]
        for node in nodes:
            known.add(id(node))
            if node.operation == "constant":
                self.numbers[id(node)] = torch.tensor(node.value, dtype=torch.float64, device=self.geometry.device)
        return [node for node in nodes if node.operation != "constant"]


class Between:
    """One step's coarse values, known as its passes run.

    `constants` are the plan's, a column for each and a row for each tensor, in float64; `states` the coarse states as
    vectors of their level (see `Geometry`), `model_sizes` says from how many elements things are gathered over the
    model, by their names among all chains.
    """

    def __init__(
        self, program: Program, constants: Tensor, states: Mapping[str, Tensor], model_sizes: Mapping[str, float]
    ) -> None:
        self._program = program
        self._known: dict[str, Tensor] = {**program.given, **states}
        self._known |= {name: constants[:, place] for name, place in program.constants.items()}
        self._known |= {
            own: torch.full((), model_sizes[name], dtype=torch.float64, device=program.geometry.device)
            for own, name in program.model_sizes.items()
        }
        self._values: dict[int, Tensor] = dict(program.numbers)

    def after(self, passes: int, gathered: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The coarse values that can be computed after so many passes, the last of which has gathered these.

        Values of the model or a tensor come as a vector with one for each tensor.
        """
        return self._compute(self._program.after.get(passes, []), gathered)

    def updates(self, gathered: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The new values of the coarse states, after the last pass, which has gathered these."""
        return self._compute(self._program.updates, gathered)

    def _compute(
        self, wanted: Sequence[tuple[str, Scalar, list[Scalar]]], gathered: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        self._known |= gathered
        found: dict[str, Tensor] = {}
        for name, root, nodes in wanted:
            for node in nodes:
                self._values[id(node)] = self._evaluate(node)
            value = self._values[id(root)]
            found[name] = value.expand(self._count(root.level)) if value.dim() == 0 else value
        return found

    def _evaluate(self, node: Scalar) -> Tensor:
        geometry = self._program.geometry
        if node.operation == "input":
            value = self._known[node.name]
            return value != 0 if node.name in self._program.conditions and node.level is Level.STEP else value
        if node.operation in REDUCTIONS:
            (operand,) = node.operands
            return geometry.gather(node.operation, self._values[id(operand)], operand.level, node.level)
        operands = [geometry.spread(self._values[id(operand)], operand.level, node.level) for operand in node.operands]
        return OPERATIONS[node.operation](*operands)

    def _count(self, level: Level) -> int:
        counts = self._program.geometry.counts
        return counts.get(level, counts[Level.TENSOR])
