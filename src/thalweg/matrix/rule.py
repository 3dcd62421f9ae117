"""What a matrix method is: how its states begin, and how a stack of gradients becomes a stack of directions.

It has the face of `thalweg.formula.Rule`: a name, a source, hyper-parameters with their ranges and where each default
comes from; calling it gives a stage. It differs in what it computes with: whole matrices, stacked as (b, m, n), where a
formula sees one element.
"""

from __future__ import annotations

import importlib
import operator
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import torch

from thalweg.errors import HyperparameterError, ParameterError
from thalweg.formula.settings import read_settings, unknown_setting
from thalweg.matrix.stack import States, as_steps, chosen, working_dtype
from thalweg.matrix.stage import MatrixStage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from thalweg.formula import Hyperparameter, Schedule, Value
    from thalweg.formula.translation import Translation

Role: TypeAlias = Literal["matrix", "embedding", "head", "norm", "bias"]
"""What a parameter is in its module; `matrix` is a hidden weight."""
ROLES: tuple[Role, ...] = typing.get_args(Role)


@dataclass(frozen=True, eq=False)
class MatrixRule:
    """A method that sees matrices whole. Calling it gives a stage of a chain."""

    name: str
    title: str
    formula: Callable[..., Tensor]
    """`(gradients, states, steps, **settings)` → directions; it changes the states in place."""
    first: Callable[..., States]
    """`(blank, **settings)` → the states before the first step; `blank` has the stack's shape, dtype and device."""
    hyperparameters: Mapping[str, Hyperparameter]
    whole: frozenset[str]
    """The hyper-parameters that count something."""
    source: str
    learning_rate: float | None
    """A rate to start from."""
    algorithm: tuple[str, ...]
    """The method line by line, to be read: G the gradient, D the direction."""
    roles: frozenset[Role] = frozenset({"matrix"})
    """The parameters it takes; an element-wise chain takes over the others."""
    limit: str = ""
    """The hyper-parameter that says how many elements a tensor may have, if one does."""
    needs: Mapping[str, tuple[str, tuple[Value, ...]]] = field(
        default_factory=dict[str, "tuple[str, tuple[Value, ...]]"]
    )
    """A hyper-parameter that has an effect only while another has one of these values; none named: while it is set."""
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    """`dialect`, `when`, and where each default comes from, by its name."""
    translations: tuple[Translation, ...] = ()
    """What it and its settings are called in torch."""

    @property
    def doc(self) -> str:
        """The formula's docstring."""
        return " ".join((self.formula.__doc__ or "").split())

    def __call__(self, *first: float | Schedule, **typed: Value) -> MatrixStage:
        """A stage with these settings; the first hyper-parameter may be given by position.

        Raises `HyperparameterError` for an unknown name, a value out of range, or one that has no effect.
        """
        given = read_settings(self, first, typed)
        stage = MatrixStage(self, tuple(self.check(given).items()), by_position=len(first))
        self._refuse_idle(stage)
        return stage

    def check(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """These values, each checked. Raises `HyperparameterError` for an unknown name or a value out of range."""
        checked: dict[str, Value] = {}
        for name, value in values.items():
            if name not in self.hyperparameters:
                raise unknown_setting(self, name)
            checked[name] = self.hyperparameters[name].check(value, self.name)
            if name in self.whole and isinstance(value, float) and not value.is_integer():
                raise HyperparameterError(f"{self.name}: `{name}` is {value!r}; it must be a whole number")
        return checked

    def takes(self, shape: tuple[int, ...], role: Role | None = None) -> bool:
        """Whether this method, as it is by default, steps a parameter of that shape and role; None: by shape alone."""
        return self().takes(shape, role)

    def begin(self, stack: Tensor, numbers: Mapping[str, Value] | None = None) -> States:
        """The states of a stack (b, m, n) of parameters before their first step: tensors (b, …), one slice a parameter.

        They are float64 for float64 parameters and float32 for all others. `numbers` are hyper-parameters by name; the
        others have their defaults. Raises `ParameterError` for what is no stack of real matrices, or too large.
        """
        self._check_stack(stack)
        settings = self._settings(numbers or {})
        size = stack.shape[1] * stack.shape[2]
        if self.limit and size > settings[self.limit]:
            raise ParameterError(f"{self.name}: {self.too_large(size, settings[self.limit])}")
        blank = torch.zeros((), dtype=working_dtype(stack), device=stack.device).expand(stack.shape)
        return self.first(blank, **settings)

    @torch.no_grad()
    def direction(self, gradients: Tensor, states: States, numbers: Mapping[str, Value], step: int | Tensor) -> Tensor:
        """The directions (b, m, n) for a stack of gradients, in the states' dtype; the states are changed in place.

        `step` counts how often a matrix has been stepped, this step included: one number, or one for each (on the CPU).
        Where a gradient is not finite, or its square would not be, the matrix's states stay and its direction is NaN.
        Raises `ParameterError` if states and gradients do not fit, `HyperparameterError` for a number out of range.
        """
        self._check_stack(gradients)
        count = len(gradients)
        for name, state in states.items():
            if len(state) != count:
                message = (
                    f"{self.name}: the state `{name}` is of {len(state)} matrices, and there are {count} gradients"
                )
                raise ParameterError(message)
        settings = self._settings(numbers)
        steps = as_steps(step, count)
        G = gradients.to(working_dtype(gradients))
        finite = torch.isfinite(torch.linalg.vector_norm(G, dim=(-2, -1)))
        if bool(finite.all()):
            return self.formula(G, states, steps, **settings)
        result = torch.full_like(G, torch.nan)
        which = chosen(finite)
        if which is not None:
            part = {name: state[which] for name, state in states.items()}
            result[which] = self.formula(G[which], part, steps[finite.cpu()], **settings)
            for name, state in states.items():
                state[which] = part[name]
        return result

    def too_large(self, size: int, limit: float) -> str:
        """The sentence on a tensor with more elements than the method takes."""
        return (
            f"a tensor of {size} elements needs a matrix of {size} × {size}, and `{self.limit}` is {limit}; raise it, "
            "or give such tensors to an element-wise rule"
        )

    def _check_stack(self, stack: Tensor) -> None:
        if stack.ndim != 3 or not stack.is_floating_point() or stack.numel() == 0:
            kind = f"a tensor of shape {tuple(stack.shape)} and dtype {stack.dtype}"
            message = f"{self.name} takes a stack of real matrices, of shape (b, m, n) and not empty; got {kind}"
            raise ParameterError(message)

    def _settings(self, numbers: Mapping[str, Value]) -> dict[str, Any]:
        values = {name: hyper.default for name, hyper in self.hyperparameters.items()} | self.check(numbers)
        schedules = [name for name, value in values.items() if callable(value)]
        if schedules:
            raise HyperparameterError(f"{self.name}: `{schedules[0]}` is a schedule; give its value at this step")
        return {name: int(cast("float", value)) if name in self.whole else value for name, value in values.items()}

    def _refuse_idle(self, stage: MatrixStage) -> None:
        values = stage.values
        for name in dict(stage.typed):
            other, wanted = self.needs.get(name, ("", ()))
            if other and (values[other] not in wanted if wanted else values[other] is None):
                message = f"{stage!r}: `{name}` has no effect while `{other}` is {values[other]!r}; leave it out"
                raise HyperparameterError(message)

    def __reduce__(self) -> tuple[Callable[[str, str], MatrixRule], tuple[str, str]]:
        return _find_rule, (self.formula.__module__, self.formula.__qualname__)

    def __deepcopy__(self, _: object) -> MatrixRule:
        return self

    def __repr__(self) -> str:
        return f"<matrix rule {self.name}>"


def _find_rule(module: str, name: str) -> MatrixRule:
    """The rule where its file defines it, for unpickling."""
    return cast("MatrixRule", operator.attrgetter(name)(importlib.import_module(module)))
