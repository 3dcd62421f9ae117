"""How a matrix method is written: one function whose keyword-only arguments are its hyper-parameters.

Their annotations are ranges, as in `thalweg.formula`: `momentum: Fraction = 0.95`, `every: Count = 10`; a `Literal` or
a `bool` is an option, and `| None` stands where one may be left out.
"""

from __future__ import annotations

import inspect
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args, get_origin

from thalweg.errors import FormulaError, did_you_mean
from thalweg.formula import Hyperparameter, Range
from thalweg.formula.translation import read_translation
from thalweg.matrix.rule import MatrixRule, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torch import Tensor

    from thalweg.formula import Value
    from thalweg.matrix.stack import States

Count: TypeAlias = Annotated[int, Range(1)]
"""A whole number from 1."""


def matrix_rule(  # noqa: PLR0913  # as many things are to be said of a method
    *,
    title: str,
    source: str,
    algorithm: str,
    begin: Callable[..., States],
    learning_rate: float | None = None,
    roles: Iterable[Role] = ("matrix",),
    limit: str = "",
    needs: Mapping[str, tuple[str, tuple[Value, ...]]] | None = None,
    translations: Iterable[str] = (),
    **notes: str,
) -> Callable[[Callable[..., Tensor]], MatrixRule]:
    """Make a `MatrixRule` of a function `(gradients, states, steps, *, hyper-parameters)` → directions.

    `algorithm` has one line a statement; `notes` say where each default comes from (by its name), which `dialect` the
    method speaks and `when` to use it; `translations` how it is typed elsewhere: see `thalweg.formula.translation`.
    Raises `FormulaError` for a note on what the method does not have.
    """

    def read(formula: Callable[..., Tensor]) -> MatrixRule:
        hints = typing.get_type_hints(formula, include_extras=True)
        arguments = inspect.signature(formula).parameters.values()
        keywords = [argument for argument in arguments if argument.kind is inspect.Parameter.KEYWORD_ONLY]
        hypers = {argument.name: _read(argument, hints[argument.name]) for argument in keywords}
        known = {"dialect", "when", "learning_rate", *hypers}
        for note in (*notes, *(needs or {})):
            if note not in known:
                nearest = did_you_mean(note, known)
                message = f"rule `{formula.__name__}` has a note on `{note}`, which it does not have; {nearest}"
                raise FormulaError(message)
        return MatrixRule(
            name=formula.__name__,
            title=title,
            formula=formula,
            first=begin,
            hyperparameters=hypers,
            whole=frozenset(argument.name for argument in keywords if _is_whole(hints[argument.name])),
            source=source,
            learning_rate=learning_rate,
            algorithm=tuple(line.strip() for line in algorithm.strip().splitlines()),
            roles=frozenset(roles),
            limit=limit,
            needs=needs or {},
            notes=notes,
            translations=tuple(
                read_translation(text, rule=formula.__name__, source=source, hyperparameters=hypers)
                for text in translations
            ),
        )

    return read


def _parts(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401  # an annotation may be anything
    return get_args(hint) if get_origin(hint) in (types.UnionType, typing.Union) else (hint,)


def _is_whole(hint: Any) -> bool:  # noqa: ANN401  # as above
    return any(get_origin(part) is Annotated and get_args(part)[0] is int for part in _parts(hint))


def _read(argument: inspect.Parameter, hint: Any) -> Hyperparameter:  # noqa: ANN401  # as above
    for part in _parts(hint):
        if part is bool:
            return Hyperparameter(argument.name, argument.default, choices=(False, True))
        if get_origin(part) is Literal:
            return Hyperparameter(argument.name, argument.default, choices=get_args(part))
        if get_origin(part) is Annotated:
            bounds = next(mark for mark in get_args(part)[1:] if isinstance(mark, Range))
            return Hyperparameter(argument.name, argument.default, bounds)
    return Hyperparameter(argument.name, argument.default)
