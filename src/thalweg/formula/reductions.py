"""Sums, means, norms and maxima: one value for many elements.

>>> from thalweg.formula import Direction, Positive, Update, minimum, norm, rule
>>> @rule(title="Clipping by norm", source="any textbook")
... def clipped(g: Direction, *, limit: Positive = 1.0) -> Update:
...     return g * minimum(1, limit / norm(g, per="model"))

`per` says what has one value of its own: the whole `model`, each `tensor`, each `matrix` of a stack, each `row` or each
`column` of a matrix. Of the model it is those parameters that the stage is for and that the step moves.
"""

from __future__ import annotations

import contextlib
import itertools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from thalweg.errors import FormulaError, did_you_mean
from thalweg.formula.scalar import REDUCTIONS, Level, Operation, Scalar, descend, lift, sqrt

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

Per: TypeAlias = Literal["model", "tensor", "matrix", "row", "column"]

_names: ContextVar[Iterator[str] | None] = ContextVar("names of reductions", default=None)


def total(x: Scalar | float, *, per: Per) -> Scalar:
    """The sum; that of 1 is the number of elements."""
    return _reduce("total", x, per)


def mean(x: Scalar | float, *, per: Per) -> Scalar:
    """The arithmetic mean."""
    return _reduce("mean", x, per)


def largest(x: Scalar | float, *, per: Per) -> Scalar:
    """The largest value; NaN if one of them is."""
    return _reduce("largest", x, per)


def norm(x: Scalar | float, *, per: Per) -> Scalar:
    """The Euclidean norm, the root of the sum of squares."""
    return sqrt(total(lift(x) ** 2, per=per))


def rms(x: Scalar | float, *, per: Per) -> Scalar:
    """The root of the mean of squares."""
    return sqrt(mean(lift(x) ** 2, per=per))


@contextlib.contextmanager
def reductions_named(label: str) -> Generator[None]:
    """Name the reductions made meanwhile: `label.0`, `label.1`, …: what bears one name in two graphs is one sum."""
    token = _names.set(f"{label}.{place}" for place in itertools.count())
    try:
        yield
    finally:
        _names.reset(token)


def check_alike(first: Iterable[Scalar], second: Iterable[Scalar]) -> None:
    """Refuse what the model has one of, if one graph gathers it from elements and another from a number of its own.

    Raises `FormulaError`.
    """
    found = _of_model(first)
    for name, node in _of_model(second).items():
        other = found.get(name, node)
        if _gathers(other) != _gathers(node):
            message = (
                f"`{name.rsplit('.', 1)[0]}` gathers {other!r} for some parameters and {node!r} for others, and a "
                "number is no value of their elements: gather elements in both, such as `c + 0 * g` for a number c"
            )
            raise FormulaError(message)


def _of_model(roots: Iterable[Scalar]) -> dict[str, Scalar]:
    return {n.name: n for n in descend(*roots) if n.operation in REDUCTIONS and n.level is Level.MODEL}


def _gathers(node: Scalar) -> tuple[str, str]:
    """What two graphs must have in common to gather one thing together."""
    (operand,) = node.operands
    return node.operation, "elements" if operand.level is Level.ELEMENT else repr(operand)


def _reduce(operation: Operation, x: Scalar | float, per: Per) -> Scalar:
    if per not in get_args(Per):
        message = f"`per` is {per!r}; {did_you_mean(str(per), get_args(Per))}"
        raise FormulaError(message)
    level, operand = Level(per), lift(x)
    if operand.level is not Level.STEP and (operand.level is level or not operand.level.within(level)):
        message = (
            f"there is one value for each {operand.level.value} of {operand!r}, and so nothing to gather for each {per}"
        )
        raise FormulaError(message)
    if operand.is_condition:
        message = f"{operation} of a condition, {operand!r}; write `where(condition, 1, 0)` to count"
        raise FormulaError(message)
    names = _names.get()
    return Scalar(operation, (operand,), level, name=next(names) if names is not None else "")
