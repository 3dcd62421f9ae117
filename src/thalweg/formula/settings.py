"""The settings of a rule: as they are typed, what they mean, and as they are printed again."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from thalweg.errors import HyperparameterError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.formula.hyperparameter import Hyperparameter, Schedule, Value

_RATES = ("lr", "learning_rate")


class Settable(Protocol):
    """What can be given settings: a rule, or a method that sees matrices."""

    @property
    def name(self) -> str:
        """How it is typed."""
        ...

    @property
    def hyperparameters(self) -> Mapping[str, Hyperparameter]:
        """What may be set, by name."""
        ...

    @property
    def learning_rate(self) -> float | None:
        """A rate to start from, if it takes one."""
        ...


def unknown_setting(rule: Settable, name: str) -> HyperparameterError:
    """The error about a setting that a rule does not have."""
    if name in _RATES and rule.learning_rate is not None:
        hint = f"the learning rate stands behind it: chain({rule.name}(), step(…))"
    else:
        hint = did_you_mean(name, rule.hyperparameters)
    return HyperparameterError(f"{rule.name}() has no hyper-parameter `{name}`; {hint}")


def read_settings(rule: Settable, first: Sequence[Value], named: Mapping[str, Value]) -> dict[str, Value]:
    """The settings by name, of which the first may be given by position; not checked yet.

    Raises `HyperparameterError` for an unknown name, a name given twice, or more than one by position.
    """
    known = rule.hyperparameters
    most = min(1, len(known))
    if len(first) > most:
        message = f"{rule.name}() takes {most} positional argument, and got {len(first)}; name the others"
        raise HyperparameterError(message)
    typed: dict[str, Value] = dict(zip(known, first, strict=False))
    for name, value in named.items():
        if name not in known:
            raise unknown_setting(rule, name)
        if name in typed:
            raise HyperparameterError(f"{rule.name}() got `{name}` twice, by position and by name")
        typed[name] = value
    return typed


@dataclass(frozen=True)
class Settings(ABC):
    """A rule of some kind with the settings that were typed: inert, comparable."""

    rule: Settable
    typed: tuple[tuple[str, Value], ...] = ()
    by_position: int = field(default=0, compare=False)

    @property
    def values(self) -> dict[str, Value]:
        """Every hyper-parameter's value, typed or default."""
        defaults = {name: hyper.default for name, hyper in self.rule.hyperparameters.items()}
        return defaults | dict(self.typed)

    @property
    def options(self) -> dict[str, Value]:
        """The settings that change the formula or method itself, and which states it has."""
        hypers = self.rule.hyperparameters
        return {name: value for name, value in self.values.items() if hypers[name].is_option or value is None}

    @property
    def numbers(self) -> dict[str, float | Schedule]:
        """The settings that are numbers or schedules."""
        options = self.options
        return {name: cast("float", value) for name, value in self.values.items() if name not in options}

    def typed_with(self, checked: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
        """What is typed if these values are to hold, too."""
        changed = {name: value for name, value in checked.items() if value != self.values[name]}
        return tuple((dict(self.typed) | changed).items())

    @property
    def typed_options(self) -> tuple[tuple[str, Value], ...]:
        """What was typed without the numbers."""
        return tuple((name, value) for name, value in self.typed if name in self.options)

    @property
    def arguments(self) -> list[str]:
        """The settings as they are typed between brackets."""
        values = [_as_typed(value) for _, value in self.typed]
        named = list(zip((name for name, _ in self.typed), values, strict=True))[self.by_position :]
        return [*values[: self.by_position], *(f"{name}={value}" for name, value in named)]

    def __repr__(self) -> str:
        return f"{self.rule.name}({', '.join(self.arguments)})"


def _as_typed(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else repr(value)
