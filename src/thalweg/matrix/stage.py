"""A matrix method with its settings: inert, comparable, printed as it is typed."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, cast

from thalweg.formula import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.formula import Value
    from thalweg.matrix.rule import MatrixRule, Role

_NAMED = {
    "matrix": "a hidden weight",
    "embedding": "an embedding",
    "head": "an output layer",
    "norm": "a norm's weight",
    "bias": "a bias",
}


@dataclass(frozen=True, repr=False)
class MatrixStage(Settings):
    """A matrix method with its settings; the same face as `thalweg.formula.Stage`."""

    rule: MatrixRule

    def replace(self, numbers: Mapping[str, Value]) -> MatrixStage:
        """The same stage with other values. Raises `HyperparameterError`."""
        return MatrixStage(self.rule, self.typed_with(self.rule.check(numbers)), self.by_position)

    def takes(self, shape: tuple[int, ...], role: Role | None = None) -> bool:
        """Whether this stage steps a parameter of that shape and role; without a role, by its shape alone."""
        return not self.refusal(shape, role)

    def refusal(self, shape: tuple[int, ...], role: Role | None = None) -> str:
        """Why it does not step such a parameter; nothing if it does."""
        rule, size = self.rule, prod(shape)
        if role is not None and role not in rule.roles:
            known = " or ".join(_NAMED[name] for name in _NAMED if name in rule.roles)
            return f"{rule.name} takes {known}, and the parameter is {_NAMED[role]}"
        if not size:
            return f"{rule.name} takes no empty tensor, and the parameter has shape {tuple(shape)}"
        if rule.limit:
            limit = cast("float", self.values[rule.limit])
            return f"{rule.name}: {rule.too_large(size, limit)}" if size > limit else ""
        if len(shape) < 2:
            return f"{rule.name} takes tensors of two dimensions or more, and the parameter has shape {tuple(shape)}"
        return ""
