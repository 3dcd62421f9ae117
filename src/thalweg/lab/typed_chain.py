"""A chain as the user types it: `chain(adam(beta2=0.95), decay(0.1), step(lr))`.

The text is read, never executed: calls of rules, stages and schedules, with literal arguments. The name
`lr` stands for the value that is tuned; a chain without it is run as it is.
"""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING

from thalweg import rules, schedules
from thalweg.chain import Chain, chain, stages, step
from thalweg.errors import ChainError, ThalwegError, UnknownNameError, did_you_mean
from thalweg.lab.contenders import Contender

if TYPE_CHECKING:
    from collections.abc import Callable

TUNED = "lr"
MIDDLE = 0.01


def read_chain(text: str) -> Contender:
    """The contender that a typed chain stands for, called by its text.

    >>> contender = read_chain("chain(adam(beta2=0.95), step(lr))")
    >>> contender.build(0.001), contender.tuned
    (chain(adam(beta2=0.95), step(0.001)), 'lr')

    Raises:
        ChainError: the text is no chain, or holds something else than calls with literals.
        UnknownNameError: it calls what is in no catalogue.
    """
    text = text.strip()
    tree = _parse(text)
    tuned = any(isinstance(node, ast.Name) and node.id == TUNED for node in ast.walk(tree))

    def build(rate: float) -> Chain:
        built = _Reader(text, rate).read(tree)
        if not isinstance(built, Chain):
            raise ChainError(f"`{text}` is not a chain; put its stages in one: chain(adam(), step(lr))")
        return built

    default = _middle(tree) if tuned else 1.0
    _ = build(default)
    return Contender(name=text, title=text, build=build, tuned="lr" if tuned else None, default=default)


def read_typed(text: str) -> object:
    """What a typed rule, stage, chain or schedule stands for; `lr` is the usual rate of the first rule in it.

    Raises `ChainError` or `UnknownNameError` as `read_chain` does.
    """
    tree = _parse(text)
    return _Reader(text, _middle(tree)).read(tree)


def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", error)
        raise ChainError(
            f"`{text}` is not a chain ({reason}); type one as in 'chain(adam(beta2=0.95), step(lr))'"
        ) from None


def _middle(tree: ast.expr) -> float:
    """The rate to begin with: that of the first rule in the chain that has one."""
    catalogue = rules.catalogue()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in catalogue:
            rate = catalogue[node.id].learning_rate
            if rate is not None:
                return rate
    return MIDDLE


def _callables() -> dict[str, Callable[..., object]]:
    """Everything that may be called."""
    found: dict[str, Callable[..., object]] = {"chain": chain, "step": step, **stages(), **rules.catalogue()}
    return found | {name: getattr(schedules, name) for name in schedules.__all__ if name not in {"Schedule", "custom"}}


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
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                found = -value
            case ast.Tuple(elts=items):
                found = tuple(map(self.read, items))
            case ast.List(elts=items):
                found = list(map(self.read, items))
            case ast.BinOp(left=left, op=ast.RShift() | ast.Mult() as sign, right=right):
                combine = operator.rshift if isinstance(sign, ast.RShift) else operator.mul
                found = self._call(combine, self.read(left), self.read(right))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if all(k.arg for k in keywords):
                named = {str(keyword.arg): self.read(keyword.value) for keyword in keywords}
                if len(named) < len(keywords):
                    raise ChainError(f"`{self._text}`: `{name}` is given the same setting twice")
                found = self._call(self._find(name), *map(self.read, args), **named)
            case ast.Name(id=name):
                _ = self._find(name)
                raise ChainError(f"`{self._text}`: `{name}` is called with its settings: write `{name}()`")
            case _:
                raise ChainError(
                    f"`{self._text}`: `{ast.unparse(node)}` is more than a typed chain holds: calls and literals"
                )
        return found

    def _find(self, name: str) -> Callable[..., object]:
        if name not in self._callables:
            raise UnknownNameError(f"`{self._text}`: there is no `{name}`; {did_you_mean(name, self._callables)}")
        return self._callables[name]

    def _call(self, called: Callable[..., object], *given: object, **named: object) -> object:
        try:
            return called(*given, **named)
        except ThalwegError:
            raise
        except (TypeError, ValueError) as error:
            raise ChainError(f"`{self._text}`: {error}") from error
