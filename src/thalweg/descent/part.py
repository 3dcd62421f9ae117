"""What directions, step sizes and stopping rules have in common: inert values that print as they are typed."""

from __future__ import annotations

import dataclasses
from abc import ABC
from dataclasses import MISSING, dataclass, field
from operator import index
from typing import Any, SupportsIndex

from thalweg.errors import HyperparameterError
from thalweg.formula import Hyperparameter, Range


@dataclass(frozen=True, repr=False)
class Part(ABC):  # noqa: B024  # each kind of part says what it must answer
    """An inert value whose numbers lie in the ranges that its fields say."""

    def __post_init__(self) -> None:
        for known in dataclasses.fields(self):
            if "range" in known.metadata:
                value = _checked(type(self).__name__, known, getattr(self, known.name))
                object.__setattr__(self, known.name, value)

    def __repr__(self) -> str:
        arguments: list[str] = []
        for known in dataclasses.fields(self):
            value = getattr(self, known.name)
            if not known.kw_only:
                arguments.append(repr(value))
            elif known.default is MISSING or (value is not known.default and value != known.default):
                arguments.append(f"{known.name}={value!r}")
        return f"{type(self).__name__}({', '.join(arguments)})"


def number(
    allowed: Range, *, source: str = "", schedules: bool = False, optional: bool = False, **settings: Any
) -> Any:  # noqa: ANN401  # as `dataclasses.field`, whatever the field is
    """A field for a number in a range, or for a schedule; `source` says where the default is from.

    `None` may be given where it is the default or the number is optional.
    """
    kinds = {"schedules": schedules, "optional": optional}
    return field(metadata={"range": allowed, "whole": False, "source": source, **kinds}, **settings)


def whole(at_least: int, *, source: str = "", **settings: Any) -> Any:  # noqa: ANN401  # as above
    """A field for a whole number; `None` only where it is the default, which `source` says the origin of."""
    return field(metadata={"range": Range(at_least), "whole": True, "source": source}, **settings)


def _checked(owner: str, known: dataclasses.Field[Any], value: Any) -> Any:  # noqa: ANN401  # user code may pass anything
    if value is None and (known.default is None or known.metadata.get("optional")):
        return None
    if callable(value) and known.metadata.get("schedules"):
        return value
    if known.metadata["whole"]:
        if isinstance(value, bool) or not isinstance(value, SupportsIndex) or value not in known.metadata["range"]:
            least = known.metadata["range"].low
            raise HyperparameterError(
                f"{owner}: `{known.name}` is {value!r}; it must be a whole number, {least} or more"
            )
        return index(value)
    if value is None or callable(value):
        raise HyperparameterError(
            f"{owner}: `{known.name}` is {value!r}; it must be a number in {known.metadata['range']}"
        )
    return Hyperparameter(known.name, None, known.metadata["range"]).check(value, owner)
