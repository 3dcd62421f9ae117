"""What a hyper-parameter may be: a number in a range, a schedule of it, or one of some options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import SupportsFloat, TypeAlias

from thalweg.errors import HyperparameterError
from thalweg.formula.slots import Range

Schedule: TypeAlias = Callable[[int], float]
"""A value that changes over time: called with the number of steps already done."""
Value: TypeAlias = float | Schedule | str | bool | None
"""What a hyper-parameter may be set to; strings, booleans and None are options that change the formula."""

WANTS_GRADIENT = (
    "is a tensor that requires grad, and no gradient reaches it from here; back-propagate through "
    "`thalweg.functional(…).step`, or give its value as `float(….detach())`"
)
"""What is wrong with such a number, and what to do."""
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
        if getattr(value, "requires_grad", False):
            raise HyperparameterError(f"{owner}: `{self.name}` {WANTS_GRADIENT}")
        number = _as_number(value)
        if number is None:
            message = f"{owner}: `{self.name}` is {value!r}; it must be a number in {self.range}, or a schedule"
            raise HyperparameterError(message)
        if number not in self.range:
            message = f"{owner}: `{self.name}` is {number!r}; it must lie in {self.range}"
            raise HyperparameterError(message)
        return number


def _as_number(value: object) -> float | None:
    """A number of any kind as Python's own; None for what is none."""
    if isinstance(value, bool | str) or not isinstance(value, SupportsFloat):
        return None
    try:
        return value if isinstance(value, int | float) else float(value)
    except (TypeError, ValueError):  # as of a tensor of several elements
        return None
