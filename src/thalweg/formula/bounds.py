"""Between which bounds a formula's values lie, whatever its inputs are: which states are never negative."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

from thalweg.formula.scalar import Level, Scalar, descend
from thalweg.formula.slots import ParameterSlot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thalweg.formula.slots import Range, Start
    from thalweg.formula.traced import Trace

Bounds: TypeAlias = tuple[float, float]
ANY: Bounds = (-math.inf, math.inf)
_NOT_NEGATIVE: Bounds = (0.0, math.inf)


def never_negative(traced: Trace, ranges: Mapping[str, Range]) -> frozenset[str]:
    """The names of the states with a value for each element that begin at 0 or above and never come below.

    `ranges` are those of the chain's numbers by name. What cannot be shown is left out.
    """
    known: dict[str, Bounds] = {name: (one.low, one.high) for name, one in ranges.items()} | {"t": (1.0, math.inf)}
    found = {
        kept.name: kept for kept in traced.states if kept.level is Level.ELEMENT and _lowest(kept.start, known) >= 0
    }
    while True:
        inputs = known | dict.fromkeys(found, _NOT_NEGATIVE)
        after = [kept for kept in (*traced.states, *traced.meanwhile) if kept.name in found]
        lost = {kept.name for kept in after if not bounds(kept.after, inputs)[0] >= 0}
        if not lost:
            return frozenset(found)
        for name in lost:
            del found[name]


def _lowest(start: Start, known: Mapping[str, Bounds]) -> float:
    """The lowest number that a state may begin at."""
    if isinstance(start, str):
        return known.get(start, ANY)[0]
    return -math.inf if isinstance(start, ParameterSlot) else start


def bounds(root: Scalar, inputs: Mapping[str, Bounds]) -> Bounds:
    """The bounds of a value, of inputs with these bounds; others may be anything."""
    known: dict[int, Bounds] = {}
    for node in descend(root):
        operands = [known[id(operand)] for operand in node.operands]
        if node.operation == "constant":
            known[id(node)] = (node.value, node.value)
        elif node.operation == "input":
            known[id(node)] = inputs.get(node.name, ANY)
        elif _is_square(node):
            known[id(node)] = _NOT_NEGATIVE
        else:
            rule = _RULES.get(node.operation)
            known[id(node)] = ANY if rule is None else rule(*operands)
    return known[id(root)]


def _is_square(node: Scalar) -> bool:
    match node:
        case Scalar("multiply", (a, b)):
            return a is b
        case Scalar("power", (_, Scalar("constant", value=exponent))):
            return exponent % 2 == 0
        case _:
            return False


def _add(a: Bounds, b: Bounds) -> Bounds:
    return a[0] + b[0], a[1] + b[1]


def _negative(a: Bounds) -> Bounds:
    return -a[1], -a[0]


def _product(a: float, b: float) -> float:
    """Of two bounds: an infinite one stands for numbers that are as large as one likes, and finite."""
    return 0.0 if a == 0 or b == 0 else a * b


def _multiply(a: Bounds, b: Bounds) -> Bounds:
    corners = [_product(x, y) for x in a for y in b]
    return min(corners), max(corners)


def _divide(a: Bounds, b: Bounds) -> Bounds:
    return _NOT_NEGATIVE if a[0] >= 0 and b[0] >= 0 else ANY


def _power(a: Bounds, b: Bounds) -> Bounds:
    if a[0] < 0:
        return ANY
    return (0.0, 1.0) if a[1] <= 1 and b[0] >= 0 else _NOT_NEGATIVE


def _union(_: Bounds, a: Bounds, b: Bounds) -> Bounds:
    return min(a[0], b[0]), max(a[1], b[1])


def _absolute(a: Bounds) -> Bounds:
    return (0.0 if a[0] <= 0 <= a[1] else min(map(abs, a))), max(map(abs, a))


def _sign_of(a: Bounds) -> Bounds:
    return (0.0 if a[0] >= 0 else -math.inf), (0.0 if a[1] <= 0 else math.inf)


_RULES: Mapping[str, Callable[..., Bounds]] = {
    "add": _add,
    "subtract": lambda a, b: _add(a, _negative(b)),
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "negative": _negative,
    "absolute": _absolute,
    "sqrt": lambda _: _NOT_NEGATIVE,
    "exp": lambda _: _NOT_NEGATIVE,
    "sign": lambda _: (-1.0, 1.0),
    "floor": lambda a: (a[0] - 1 if a[0] < 0 else 0.0, a[1]),
    "stored": lambda a: a,
    "dithered": lambda a, _: a,
    "uniform": lambda *_: (0.0, 1.0),
    "maximum": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "minimum": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "where": _union,
    "total": _sign_of,
    "mean": lambda a: a,
    "largest": lambda a: a,
}
