"""What may be typed for a chain, and what it stands for: read as Python has it, never executed.

Calls of stages, rules, matrix methods, schedules, trainers and the parts of a descent, with or without `tw.` before
them; schedules composed by `>>`, `*` and `.until()`, stopping rules by `|`; literals, lists, tuples and the dictionary
of a `route`; numbers computed by `+ - * / **`.
"""

from __future__ import annotations

import ast
import inspect
import operator
import sys
from typing import TYPE_CHECKING

from thalweg import descent, rules, schedules
from thalweg.chain import chain, matrix_methods, route, stages, step
from thalweg.descent.part import Part
from thalweg.descent.stopping import StoppingRule
from thalweg.errors import ChainError, ThalwegError, UnknownNameError, did_you_mean
from thalweg.schedules import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RATE = "lr"
"""The name of the value that is tuned."""
LARGEST = sys.float_info.max
LARGEST_POWER = 64
_PACKAGES = ("tw", "thalweg")
_OPERATORS: Mapping[type[ast.operator], Callable[..., object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.RShift: operator.rshift,
    ast.BitOr: operator.or_,
}
_OF_SCHEDULES = (ast.RShift, ast.Mult)


def parse(text: str) -> ast.expr:
    """The text as Python reads it. Raises `ChainError` for what is no expression."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", error)
        raise ChainError(
            f"`{text}` is not a chain ({reason}); type one as in 'chain(adam(beta2=0.95), step(lr))'"
        ) from None


def evaluate(text: str, tree: ast.expr, rate: float) -> object:
    """What the parsed text stands for, with this value for `lr`.

    Raises `ChainError` if it holds more than a chain may, `UnknownNameError` if it calls what is in no catalogue, and
    whatever stages and schedules raise for settings that they cannot have.
    """
    try:
        return _Reader(text, rate).read(tree)
    except RecursionError:
        raise ChainError(f"`{text}` is nested more deeply than a chain can be") from None


def called(node: ast.AST) -> str | None:
    """The name that an expression is, `tw.` left out; None if it is no name."""
    match node:
        case ast.Attribute(value=ast.Name(id=package), attr=name) if package in _PACKAGES:
            return name
        case ast.Name(id=name):
            return name
        case _:
            return None


def _callables() -> dict[str, Callable[..., object]]:
    """Everything that may be called."""
    composing: dict[str, Callable[..., object]] = {"chain": chain, "route": route, "step": step}
    kinds = {name: getattr(schedules, name) for name in schedules.__all__}
    kinds = {
        name: kind for name, kind in kinds.items() if isinstance(kind, type) and name not in {"Schedule", "custom"}
    }
    return {**composing, **stages(), **matrix_methods(), **rules.catalogue(), **kinds, **_of_descents()}


def _of_descents() -> dict[str, Callable[..., object]]:
    """`descent`, and the parts that it composes."""
    parts = {name: getattr(descent, name) for name in descent.__all__}
    parts = {name: part for name, part in parts.items() if isinstance(part, type) and issubclass(part, Part)}
    parts = {name: part for name, part in parts.items() if not inspect.isabstract(part)}
    return {"descent": descent.descent, **parts}


class _Reader:
    """Evaluates the few kinds of expression that a chain is typed with."""

    def __init__(self, text: str, rate: float) -> None:
        self._text = text
        self._rate = rate
        self._callables = _callables()

    def read(self, node: ast.expr) -> object:
        """What an expression stands for."""
        match node:
            case ast.Constant(value):
                found = value
            case ast.Name(id="lr"):
                found = self._rate
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                number = self._number(self.read(operand), node)
                found = -number if isinstance(sign, ast.USub) else number
            case ast.Tuple(elts=items):
                found = tuple(map(self.read, items))
            case ast.List(elts=items):
                found = list(map(self.read, items))
            case ast.Dict(keys=keys, values=values):
                found = self._dictionary(node, keys, values)
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
                found = self._combine(node, sign, self.read(left), self.read(right))
            case ast.Call(func=function, args=args, keywords=keywords) if all(k.arg for k in keywords):
                found = self._call(function, args, keywords)
            case _:
                self._refuse_bare_name(node)
                raise self._too_much(node)
        return found

    def _dictionary(self, node: ast.expr, keys: list[ast.expr | None], values: list[ast.expr]) -> dict[object, object]:
        """A dictionary of which no entry is lost: two of the same key are an error."""
        found: dict[object, object] = {}
        for key, value in zip(keys, values, strict=True):
            if not isinstance(key, ast.Constant):
                raise self._too_much(node)
            if key.value in found:
                raise ChainError(f"`{self._text}`: {key.value!r} stands twice in one dictionary; leave one of them out")
            found[key.value] = self.read(value)
        return found

    def _combine(self, node: ast.expr, sign: ast.operator, left: object, right: object) -> object:
        """Two schedules, one after the other or multiplied; two stopping rules; or two numbers."""
        if isinstance(sign, _OF_SCHEDULES) and (isinstance(left, Schedule) or isinstance(right, Schedule)):
            return self._try(_OPERATORS[type(sign)], left, right)
        if isinstance(sign, ast.BitOr):
            if isinstance(left, StoppingRule) and isinstance(right, StoppingRule):
                return left | right
            raise self._too_much(node)
        a, b = self._number(left, node), self._number(right, node)
        if isinstance(sign, ast.RShift) or (isinstance(sign, ast.Pow) and abs(b) > LARGEST_POWER):
            raise self._too_much(node)
        result = self._try(_OPERATORS[type(sign)], a, b)
        return self._number(result, node)

    def _number(self, value: object, node: ast.expr) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
            raise self._too_much(node)
        return value

    def _function(self, node: ast.expr) -> Callable[..., object]:
        """What is called: something of the catalogue, or `until` of a schedule."""
        name = called(node)
        if name is not None:
            return self._find(name)
        match node:
            case ast.Attribute(value=value, attr="until"):
                schedule = self.read(value)
                if isinstance(schedule, Schedule):
                    return schedule.until
            case _:
                pass
        raise self._too_much(node)

    def _call(self, node: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]) -> object:
        function = self._function(node)
        named = {str(keyword.arg): self.read(keyword.value) for keyword in keywords}
        if len(named) < len(keywords):
            raise ChainError(f"`{self._text}`: `{ast.unparse(node)}` is given the same setting twice")
        return self._try(function, *map(self.read, args), **named)

    def _find(self, name: str) -> Callable[..., object]:
        if name not in self._callables:
            nearest = did_you_mean(name, self._callables, otherwise="`thalweg list` has all that can be typed")
            raise UnknownNameError(f"`{self._text}`: there is no `{name}`; {nearest}")
        return self._callables[name]

    def _refuse_bare_name(self, node: ast.expr) -> None:
        name = called(node)
        if name is not None:
            _ = self._find(name)
            raise ChainError(f"`{self._text}`: `{name}` is called with its settings: write `{name}()`")

    def _too_much(self, node: ast.expr) -> ChainError:
        return ChainError(
            f"`{self._text}`: `{ast.unparse(node)}` is more than a typed chain holds: calls of stages, rules and "
            "schedules, literals, and numbers computed of them"
        )

    def _try(self, function: Callable[..., object], *given: object, **named: object) -> object:
        try:
            return function(*given, **named)
        except ThalwegError:
            raise
        except (TypeError, ValueError, ArithmeticError) as error:
            told = str(error).replace(".__init__()", "()")  # a schedule's class is called as a function
            raise ChainError(f"`{self._text}`: {told}") from error
