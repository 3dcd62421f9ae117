"""What a formula computes with: symbolic scalars that remember how they were made.

A rule's function is called once with `Scalar`s in place of numbers; the operators build a graph.
Nothing is computed, simplified or reordered here: the graph is the formula as it is typed.
"""

from __future__ import annotations

import enum
import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from thalweg.errors import FormulaError

if TYPE_CHECKING:
    from collections.abc import Iterator

Operation: TypeAlias = Literal[
    "constant", "input",
    "add", "subtract", "multiply", "divide", "power", "negative", "absolute",
    "sqrt", "exp", "log", "sign", "floor", "stored", "dithered", "uniform", "maximum", "minimum",
    "less", "less_equal", "equal", "both", "either", "where",
    "total", "mean", "largest",
]  # fmt: skip

CONDITIONS = frozenset({"less", "less_equal", "equal", "both", "either"})
REDUCTIONS = frozenset({"total", "mean", "largest"})


class Level(enum.Enum):
    """What a scalar has one value for, from the coarsest to the finest; a row and a column are side by side.

    A parameter of shape (…, m, n) is a stack of matrices with m rows of n elements; a vector is one row.
    """

    STEP = "step"
    """One value a step and a parameter group: hyper-parameters, the step count and what follows from them."""
    MODEL = "model"
    """One value for all parameters together."""
    TENSOR = "tensor"
    """One value for each parameter."""
    MATRIX = "matrix"
    """One value for each matrix of a parameter's stack."""
    ROW = "row"
    """One value for each row."""
    COLUMN = "column"
    """One value for each column of each matrix."""
    ELEMENT = "element"
    """One value for each element of a parameter."""

    def within(self, other: Level) -> bool:
        """Whether what has one value at the other level has one value here, too: a row lies within a tensor."""
        return other is self or other is Level.STEP or self in _INSIDE[other]


_INSIDE = {
    Level.STEP: frozenset(Level),
    Level.MODEL: frozenset({Level.TENSOR, Level.MATRIX, Level.ROW, Level.COLUMN, Level.ELEMENT}),
    Level.TENSOR: frozenset({Level.MATRIX, Level.ROW, Level.COLUMN, Level.ELEMENT}),
    Level.MATRIX: frozenset({Level.ROW, Level.COLUMN, Level.ELEMENT}),
    Level.ROW: frozenset({Level.ELEMENT}),
    Level.COLUMN: frozenset({Level.ELEMENT}),
    Level.ELEMENT: frozenset[Level](),
}


def finest(*levels: Level) -> Level:
    """The coarsest level within all of these: that of an operation on them."""
    return next(level for level in Level if all(level.within(other) for other in levels))


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """One node of a formula's graph. Operators on it give further nodes."""

    operation: Operation
    operands: tuple[Scalar, ...] = ()
    level: Level = Level.STEP
    value: float = math.nan
    """The number, where `operation` is `constant`."""
    name: str = ""
    """The name of an input, or of a reduction."""
    order: int = field(default_factory=itertools.count().__next__)
    """When it was made: a formula's lines are drawn in the order in which they were computed."""

    @property
    def is_condition(self) -> bool:
        """Whether this is true or false rather than a number."""
        return self.operation in CONDITIONS

    def __add__(self, other: Scalar | float) -> Scalar:
        return _apply("add", self, other)

    def __radd__(self, other: float) -> Scalar:
        return _apply("add", other, self)

    def __sub__(self, other: Scalar | float) -> Scalar:
        return _apply("subtract", self, other)

    def __rsub__(self, other: float) -> Scalar:
        return _apply("subtract", other, self)

    def __mul__(self, other: Scalar | float) -> Scalar:
        return _apply("multiply", self, other)

    def __rmul__(self, other: float) -> Scalar:
        return _apply("multiply", other, self)

    def __truediv__(self, other: Scalar | float) -> Scalar:
        return _apply("divide", self, other)

    def __rtruediv__(self, other: float) -> Scalar:
        return _apply("divide", other, self)

    def __pow__(self, other: Scalar | float) -> Scalar:
        return _apply("power", self, other)

    def __rpow__(self, other: float) -> Scalar:
        return _apply("power", other, self)

    def __neg__(self) -> Scalar:
        return _apply("negative", self)

    def __pos__(self) -> Scalar:
        return self

    def __abs__(self) -> Scalar:
        return _apply("absolute", self)

    def __lt__(self, other: Scalar | float) -> Scalar:
        return _apply("less", self, other)

    def __le__(self, other: Scalar | float) -> Scalar:
        return _apply("less_equal", self, other)

    def __gt__(self, other: Scalar | float) -> Scalar:
        return _apply("less", other, self)

    def __ge__(self, other: Scalar | float) -> Scalar:
        return _apply("less_equal", other, self)

    def __and__(self, other: Scalar) -> Scalar:
        return _apply("both", _check_condition(self), _check_condition(other))

    def __or__(self, other: Scalar) -> Scalar:
        return _apply("either", _check_condition(self), _check_condition(other))

    def __eq__(self, other: object) -> bool:
        message = "`==` does not compare symbols; write `equal(a, b)` in a formula, and `is` elsewhere"
        raise FormulaError(message)

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        message = (
            "a formula is traced with symbols and cannot branch on a value; "
            "write `where(condition, value, otherwise)` instead of `if`, `and`, `or`, `min` or `max`"
        )
        raise FormulaError(message)

    def __repr__(self) -> str:
        if self.operation == "constant":
            return repr(self.value)
        if self.operation == "input":
            return self.name
        per = [f"per={self.level.value!r}"] if self.operation in REDUCTIONS else []
        return f"{self.operation}({', '.join([*map(repr, self.operands), *per])})"


def constant(value: float) -> Scalar:
    """A number as a scalar."""
    return Scalar("constant", value=float(value))


def symbol(name: str, level: Level) -> Scalar:
    """An input of the formula."""
    return Scalar("input", name=name, level=level)


def sqrt(x: Scalar | float) -> Scalar:
    """The square root."""
    return _apply("sqrt", x)


def exp(x: Scalar | float) -> Scalar:
    """The exponential function."""
    return _apply("exp", x)


def log(x: Scalar | float) -> Scalar:
    """The natural logarithm."""
    return _apply("log", x)


def sign(x: Scalar | float) -> Scalar:
    """-1, 0 or 1."""
    return _apply("sign", x)


def floor(x: Scalar | float) -> Scalar:
    """The largest whole number that is not greater."""
    return _apply("floor", x)


def stored(x: Scalar) -> Scalar:
    """The value as the parameter's dtype keeps it: rounded, where a step computes more exactly than it stores."""
    return _apply("stored", x)


def maximum(a: Scalar | float, b: Scalar | float) -> Scalar:
    """The larger of two; NaN if one of them is."""
    return _apply("maximum", a, b)


def minimum(a: Scalar | float, b: Scalar | float) -> Scalar:
    """The smaller of two; NaN if one of them is."""
    return _apply("minimum", a, b)


def equal(a: Scalar | float, b: Scalar | float) -> Scalar:
    """Whether two scalars have the same value, as a condition for `where`."""
    return _apply("equal", a, b)


def where(condition: Scalar, value: Scalar | float, otherwise: Scalar | float) -> Scalar:
    """`value` where the condition holds, else `otherwise`; both are computed."""
    return _apply("where", _check_condition(condition), value, otherwise)


def descend(*roots: Scalar) -> Iterator[Scalar]:
    """Every node below the roots, each once, operands before what uses them."""
    seen: set[int] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, operands_done = stack.pop()
        if id(node) in seen:
            continue
        if operands_done:
            seen.add(id(node))
            yield node
        else:
            stack.append((node, True))
            stack.extend((operand, False) for operand in reversed(node.operands))


def apply(operation: Operation, *operands: Scalar) -> Scalar:
    """A node for an operation by its name; its level is the finest of its operands'."""
    return Scalar(operation, operands, finest(*(operand.level for operand in operands)))


def _check_condition(value: Scalar) -> Scalar:
    if not isinstance(value, Scalar) or not value.is_condition:  # pyright: ignore[reportUnnecessaryIsInstance]  # as below
        message = f"a condition such as `g > 0` is needed here, and not {value!r}"
        raise FormulaError(message)
    return value


def _apply(operation: Operation, *operands: Scalar | float) -> Scalar:
    return apply(operation, *map(lift, operands))


def lift(value: Scalar | float) -> Scalar:
    """A number as a scalar; a scalar as it is. Raises `FormulaError` for anything else."""
    if isinstance(value, Scalar):
        return value
    if isinstance(value, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
        return constant(value)
    message = f"a formula computes with scalars and numbers, and got {value!r} of type {type(value).__name__}"
    raise FormulaError(message)
