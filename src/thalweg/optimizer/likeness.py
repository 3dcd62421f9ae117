"""Whether two chains are the same formula, and what the one's numbers and states are called in the other."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.formula.scalar import Scalar, constant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thalweg.formula import Trace

_SHARED = ("g", "p", "t", "lr")
"""What has one name in every chain: the gradient, the parameter, the step count, the learning rate."""
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Likeness:
    """The other chain's names, by one's own."""

    numbers: Mapping[str, str]
    states: Mapping[str, str]


def likeness(
    own: Trace, other: Trace, *, zeros: frozenset[str] = _NONE, other_zeros: frozenset[str] = _NONE
) -> Likeness | None:
    """How two traced chains correspond that are operation for operation the same; None where they are not.

    `chain(adamw(), step(0.1))` and `chain(adam(), decay(), step(0.1))` are, and compute the same to the last bit.
    `zeros` are numbers that are 0: what they take away from a formula is not looked at, nor are they in the answer.
    """
    matching = _Matching(_Side(own, zeros), _Side(other, other_zeros))
    return Likeness(matching.numbers, matching.states) if matching.holds() else None


class _Side:
    """A graph to compare, without what numbers that are 0 take away: 0·x is 0, x + 0 is x, x / 1 is x."""

    def __init__(self, traced: Trace, zeros: frozenset[str]) -> None:
        self.states = {kept.name: kept for kept in traced.states}
        self.asked = [name for name in traced.hyperparameters if name not in zeros]
        self.uses_learning_rate = traced.uses_learning_rate
        self.cut = traced.cut
        self.zeros = zeros
        self._parameter = traced.parameter
        self._done: dict[int, Scalar] = {}

    @property
    def parameter(self) -> Scalar:
        """Its new value."""
        return self._reduced(self._parameter)

    @property
    def given(self) -> Scalar:
        """What a stage that sees the matrix whole is given; nothing, where there is none."""
        return constant(0) if self.cut is None else self._reduced(self.cut.given)

    def after(self, state: str) -> Scalar:
        """The state's new value."""
        return self._reduced(self.states[state].after)

    def _reduced(self, node: Scalar) -> Scalar:
        if id(node) not in self._done:
            self._done[id(node)] = self._fold(node) if self.zeros else node
        return self._done[id(node)]

    def _fold(self, node: Scalar) -> Scalar:
        if node.operation == "input" and node.name in self.zeros:
            return constant(0)
        parts = tuple(map(self._reduced, node.operands))
        values = [part.value if part.operation == "constant" else None for part in parts]
        match node.operation, values:
            case ("add" | "subtract" | "multiply", [float() as a, float() as b]):
                return constant(_ARITHMETIC[node.operation](a, b))
            case ("multiply", [0.0, _] | [_, 0.0]):
                return constant(0)
            case ("add", [0.0, _]) | ("multiply", [1.0, _]):
                return parts[1]
            case ("add" | "subtract", [_, 0.0]) | ("multiply" | "divide", [_, 1.0]):
                return parts[0]
            case _:
                return Scalar(node.operation, parts, node.level, node.value, node.name) if parts else node


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
}


class _Matching:
    """Two graphs side by side."""

    def __init__(self, own: _Side, other: _Side) -> None:
        self._own, self._other = own, other
        self._names = {name: name for name in _SHARED}
        self._back = {name: name for name in _SHARED}
        self._seen: set[tuple[int, int]] = set()

    @property
    def numbers(self) -> dict[str, str]:
        """The other's numbers."""
        rate = {"lr"} if self._own.uses_learning_rate else set[str]()
        return {own: self._names[own] for own in (*rate, *self._own.asked)}

    @property
    def states(self) -> dict[str, str]:
        """The other's states."""
        kept = {*self._own.states, *(self._own.cut.states.values() if self._own.cut else ())}
        return {own: other for own, other in self._names.items() if own in kept}

    def holds(self) -> bool:
        """Whether the graphs are the same, but for names."""
        if len(self._own.states) != len(self._other.states) or not self._same_method():
            return False
        if not self._same(self._own.parameter, self._other.parameter):
            return False
        compared: set[str] = set()
        while len(compared) < len(self._own.states):
            waiting = [name for name in self._own.states if name in self._names and name not in compared]
            if not waiting and not self._pair_unread():
                return False
            for name in waiting:
                compared.add(name)
                if not self._same_state(name, self._names[name]):
                    return False
        return all(name in self._names for name in self._own.asked)

    def _same_method(self) -> bool:
        """Whether both have the same stage that sees the matrix whole, and it is given the same; or none has one."""
        own, other = self._own.cut, self._other.cut
        if own is None or other is None:
            return own is other
        if own.method != other.method:  # so that both have the same numbers and states
            return False
        numbers = [(own.numbers[local], other.numbers[local]) for local in own.numbers]
        states = [(own.states[local], other.states[local]) for local in own.states]
        return (
            all((a in self._own.zeros) == (b in self._other.zeros) for a, b in numbers)
            and all(self._pair(a, b) for a, b in (*numbers, *states, (own.direction.name, other.direction.name)))
            and self._same(self._own.given, self._other.given)
        )

    def _pair_unread(self) -> bool:
        """Pair a state that nothing but itself reads, as an average of positions, with the next of its kind."""
        own = next(name for name in self._own.states if name not in self._names)
        other = next((name for name in self._other.states if name not in self._back), None)
        return other is not None and self._pair(own, other)

    def _same_state(self, own: str, other: str) -> bool:
        mine, theirs = self._own.states[own], self._other.states[other]
        if isinstance(mine.start, str) and isinstance(theirs.start, str):
            starts_alike = self._pair(mine.start, theirs.start)
        else:
            starts_alike = mine.start == theirs.start
        return (
            starts_alike and mine.level is theirs.level and self._same(self._own.after(own), self._other.after(other))
        )

    def _same(self, own: Scalar, other: Scalar) -> bool:
        stack = [(own, other)]
        while stack:
            a, b = stack.pop()
            if (id(a), id(b)) in self._seen:
                continue
            self._seen.add((id(a), id(b)))
            if a.operation != b.operation or a.level is not b.level or len(a.operands) != len(b.operands):
                return False
            if a.operation == "constant" and a.value != b.value:
                return False
            if a.operation == "input" and not self._pair(a.name, b.name):
                return False
            stack += zip(a.operands, b.operands, strict=True)
        return True

    def _pair(self, own: str, other: str) -> bool:
        if (own in self._own.states) != (other in self._other.states):
            return False
        return self._names.setdefault(own, other) == other and self._back.setdefault(other, own) == own
