"""The numbers of a functional step: those of the chain, and what the caller gives for them, tensors too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import torch

from thalweg.errors import HyperparameterError, did_you_mean
from thalweg.formula import Level
from thalweg.formula.scalar import REDUCTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thalweg.chain import Chain
    from thalweg.formula import Scalar, Schedule, Trace
    from thalweg.optimizer.functional.structure import Structure

Number: TypeAlias = "float | Schedule | Tensor | Mapping[str, float | Tensor] | Sequence[float | Tensor]"
"""One number or schedule for all parameters, a tensor that broadcasts to each, or one for each in their structure."""


class Numbers:
    """The numbers of one step, by their names in the chain. Raises `HyperparameterError`.

    A number must lie in its range. A tensor may have any values: a gradient through the step may lead it anywhere.
    """

    def __init__(
        self, chain: Chain, traces: Sequence[Trace], given: Mapping[str, Any], structure: Structure, steps: Tensor
    ) -> None:
        self._chain = chain
        self._structure = structure
        self._known = chain.hyperparameters(*traces)
        defaults = chain.numbers(*traces)
        for name in given:
            if name not in defaults:
                raise HyperparameterError(f"{chain!r} has no number `{name}`; {did_you_mean(name, defaults)}")
        self.apart = {name for name, value in given.items() if isinstance(value, Mapping | tuple | list)}
        """Those that are given for each parameter."""
        together = {name: given.get(name, value) for name, value in defaults.items() if name not in self.apart}
        read = {name: self._read(name, value, steps) for name, value in together.items()}
        each = {name: structure.read(given[name], f"the values of `{name}`") for name in self.apart}
        self._of = [
            read | {name: self._read(name, values[at], steps) for name, values in each.items()}
            for at in range(structure.count)
        ]

    def of(self, at: int, parameter: Tensor) -> dict[str, float | Tensor]:
        """The numbers of a parameter."""
        for name, value in self._of[at].items():
            if isinstance(value, torch.Tensor) and not _broadcasts(value.shape, parameter.shape):
                message = (
                    f"`{name}` has the shape {tuple(value.shape)}, and {self._structure.labels[at]} "
                    f"{tuple(parameter.shape)}; give one number, or a shape that broadcasts to the parameter's"
                )
                raise HyperparameterError(message)
        return self._of[at]

    def check_one_for_the_model(self, name: str, after: Scalar) -> None:
        """Refuse numbers that differ from one parameter to another in a state that the whole model has one of."""
        differing = sorted(self.apart & _inputs_for_the_model(after))
        if differing:
            message = (
                f"`{differing[0]}` is given for each parameter, and {self._chain!r} keeps one `{name}` for the whole "
                "model, which depends on it; give one for all"
            )
            raise HyperparameterError(message)

    def _read(self, name: str, value: Any, steps: Tensor) -> float | Tensor:  # noqa: ANN401  # user code may pass anything
        if isinstance(value, torch.Tensor):
            return value
        if callable(value):
            schedule = cast("Schedule", value)
            done = _as_count(steps, name, schedule)
            return self._checked(name, float(schedule(done)), f"{schedule!r} at step {done}")
        return self._checked(name, value, repr(self._chain))

    def _checked(self, name: str, value: float, owner: str) -> float:
        return float(self._known[name].check(value, owner))  # pyright: ignore[reportArgumentType]  # no option is a number


def _as_count(steps: Tensor, name: str, schedule: Schedule) -> int:
    try:
        return int(steps)
    except RuntimeError as error:  # inside `torch.func.vmap`, over states that differ
        message = f"`{name}` follows {schedule!r}, and inside vmap the states have a step each; give `{name}` by name"
        raise HyperparameterError(message) from error


def _broadcasts(shape: torch.Size, to: torch.Size) -> bool:
    pairs = zip(reversed(shape), reversed(to), strict=False)
    return len(shape) <= len(to) and all(own in (1, wanted) for own, wanted in pairs)


def _inputs_for_the_model(root: Scalar) -> set[str]:
    """The numbers that a value depends on, but for those inside of what is gathered from all parameters."""
    found: set[str] = set()
    seen: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if id(node) in seen or (node.operation in REDUCTIONS and node.level is Level.MODEL):
            continue
        seen.add(id(node))
        stack.extend(node.operands)
        if node.operation == "input" and node.level is Level.STEP:
            found.add(node.name)
    return found
