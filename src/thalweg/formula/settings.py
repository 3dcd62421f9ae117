"""What may be set: hyper-parameters with their ranges and defaults, and the settings that were typed over them."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, SupportsFloat, TypeAlias, cast

from thalweg.errors import HyperparameterError, did_you_mean
from thalweg.formula.slots import Range

Schedule: TypeAlias = Callable[[int], float]
"""A value that changes over time: called with the number of steps already done."""
Value: TypeAlias = float | Schedule | str | bool | None
"""What a hyper-parameter may be set to; strings, booleans and None are options that change the formula."""

_RATES = ("lr", "learning_rate")
ANY_NUMBER = Range(float("-inf"), float("inf"), low_included=False)


@dataclass(frozen=True)
class Hyperparameter:
    """A keyword-only argument of a formula."""

    name: str
    default: Value
    range: Range = ANY_NUMBER
    choices: tuple[Value, ...] = ()
    """The values of an option: each gives a formula of its own."""

    @property
    def is_option(self) -> bool:
        """Whether its value changes the formula, not only a number in it."""
        return bool(self.choices)

    def check(self, value: Value, owner: str) -> Value:
        """The value, a number of any kind as Python's own.

        Raises `HyperparameterError` for one that is no number, or outside the range, or not one of the choices.
        """
        if self.is_option or value is None:
            if value not in self.choices and not (value is None and self.default is None):
                known = f"choose one of {', '.join(map(repr, self.choices))}" if self.choices else "give a number"
                message = f"{owner}: `{self.name}` is {value!r}; {known}"
                raise HyperparameterError(message)
            return value
        if callable(value):
            return value
        if isinstance(value, bool | str) or not isinstance(value, SupportsFloat):  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"{owner}: `{self.name}` is {value!r}; it must be a number in {self.range}, or a schedule"
            raise HyperparameterError(message)
        number = value if isinstance(value, int | float) else float(value)  # pyright: ignore[reportUnnecessaryIsInstance]
        if number not in self.range:
            message = f"{owner}: `{self.name}` is {number!r}; it must lie in {self.range}"
            raise HyperparameterError(message)
        return number


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
