"""The settings of a rule: as they are typed, what they mean, and as they are printed again."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from thalweg.errors import HyperparameterError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.formula.hyperparameter import Hyperparameter, Schedule, Value

    Known = Mapping[str, Hyperparameter]
    Typed = Sequence[tuple[str, Value]]


def read_settings(owner: str, known: Known, first: Sequence[Value], named: Mapping[str, Value]) -> dict[str, Value]:
    """The settings by name, of which the first may be given by position; not checked yet.

    Raises `HyperparameterError` for an unknown name, a name given twice, or more than one by position.
    """
    most = min(1, len(known))
    if len(first) > most:
        raise HyperparameterError(f"{owner}() takes {most} positional argument, and got {len(first)}; name the others")
    typed: dict[str, Value] = dict(zip(known, first, strict=False))
    for name, value in named.items():
        if name not in known:
            raise HyperparameterError(f"{owner}() has no hyper-parameter `{name}`; {did_you_mean(name, known)}")
        if name in typed:
            raise HyperparameterError(f"{owner}() got `{name}` twice, by position and by name")
        typed[name] = value
    return typed


def values_of(known: Known, typed: Typed) -> dict[str, Value]:
    """Every hyper-parameter's value, typed or default."""
    return {name: hyper.default for name, hyper in known.items()} | dict(typed)


def options_of(known: Known, typed: Typed) -> dict[str, Value]:
    """Those of the values that decide what is computed."""
    values = values_of(known, typed)
    return {name: value for name, value in values.items() if known[name].is_option or value is None}


def numbers_of(known: Known, typed: Typed) -> dict[str, float | Schedule]:
    """Those of the values that are numbers or schedules."""
    options = options_of(known, typed)
    return {name: cast("float", value) for name, value in values_of(known, typed).items() if name not in options}


def as_typed(typed: Typed, by_position: int) -> list[str]:
    """The settings as one types them, the first ones without their names."""
    texts = [
        f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else repr(value) for _, value in typed
    ]
    return [
        text if at < by_position else f"{name}={text}"
        for at, ((name, _), text) in enumerate(zip(typed, texts, strict=True))
    ]
