"""What the parameter groups of a descent may say, and what has no meaning there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from thalweg.descent.steps.step_size import StepSize
from thalweg.errors import DescentError, HyperparameterError, did_you_mean
from thalweg.formula import Hyperparameter, Range
from thalweg.optimizer.given import check_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.descent.descent import Descent

_NUMBERS = {
    "scale": Hyperparameter("scale", None, Range(0, low_included=False)),
    "weight_decay": Hyperparameter("weight_decay", None, Range(0)),
    "lr": Hyperparameter("lr", None, Range(0)),
}
_TORCHS = ("params", "param_names", "initial_lr")


class SearchedGroup(dict[str, Any]):
    """A parameter group of a method that finds its step sizes: it says so where a learning rate is looked for."""

    def __missing__(self, key: str) -> NoReturn:
        if key == "lr":
            raise DescentError(
                "the size of each step is found by the method, and there is no `lr` that a scheduler could drive; "
                "leave the scheduler out, or give the method a number as `step_size`"
            )
        raise KeyError(key)


class Groups:
    """The numbers of groups: `scale`, `weight_decay` and, where the step size is a number, that as `lr`."""

    def __init__(self, method: Descent) -> None:
        self._size = method.step_size
        self.has_rate = not isinstance(method.step_size, StepSize) and not callable(method.step_size)
        """Whether the step size is a number, which a group has as its `lr`."""

    def defaults(self, **numbers: float) -> dict[str, Any]:
        """What a group has that says nothing. Raises `HyperparameterError` for a number out of its range."""
        if self.has_rate:
            numbers["lr"] = self._size  # pyright: ignore[reportArgumentType]  # it is a number
        return {name: _NUMBERS[name].check(value, "DescentOptimizer") for name, value in numbers.items()}

    def complete(self, group: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        """A new group, checked, with what it lacks. Raises `HyperparameterError` and `ParameterError`."""
        if "lr" in group and not self.has_rate:
            raise HyperparameterError(
                f"a parameter group sets `lr`, and {self._size!r} finds the size of a step itself, for all groups at "
                "once; give a number as `step_size`, or groups a `scale`"
            )
        unknown = next((name for name in group if name not in defaults and name not in _TORCHS), None)
        if unknown is not None:
            raise HyperparameterError(
                f"a parameter group sets `{unknown}`, which a descent of all parameters does not know; "
                f"{did_you_mean(unknown, list(defaults))}"
            )
        own = {name: hyper.check(group[name], "a parameter group") for name, hyper in _NUMBERS.items() if name in group}
        return self.spoken({**defaults, **group, **own, "params": check_parameters(group)})

    def spoken(self, group: dict[str, Any]) -> dict[str, Any]:
        """The group as one that says where it has no `lr`, if it has none."""
        return group if self.has_rate else SearchedGroup(group)

    def rate(self, groups: Sequence[Mapping[str, Any]]) -> float:
        """The size of a step, as the groups say it now. Raises `DescentError` if they differ."""
        rates = {float(group["lr"]) for group in groups}
        if len(rates) > 1:
            raise DescentError(
                f"the groups have different `lr`, {' and '.join(map(str, sorted(rates)))}, and a descent makes one "
                "step for all of them; let them have the same, and a `scale` of their own"
            )
        return rates.pop()

    @staticmethod
    def signature(groups: Sequence[Mapping[str, Any]]) -> list[list[float]]:
        """What must stay for a descent to go on: each parameter's size, and its scale, or 0 if it is frozen."""
        return [
            [p.numel(), float(group["scale"]) if p.requires_grad else 0.0] for group in groups for p in group["params"]
        ]
