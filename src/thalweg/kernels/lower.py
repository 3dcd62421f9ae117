"""From the formula as it is typed to the one that is quick to compute, element by element.

Factors that are the same for all elements are gathered and leave the loop (m / (1 - beta1ᵗ) becomes m · k), equal
parts are computed once, squares are products. Nothing else is reordered.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from thalweg.formula.scalar import REDUCTIONS, Level, Operation, Scalar, apply, constant, descend, floor

WORD = 2**24
"""Random numbers are drawn by a seed and a step in words below this."""


@dataclass
class Lowering:
    """Rewrites scalars, remembering what it has rewritten so that equal parts become one node."""

    _nodes: dict[tuple[object, ...], Scalar] = field(default_factory=dict[tuple[object, ...], Scalar])
    _done: dict[int, tuple[Scalar, Factored]] = field(default_factory=dict[int, "tuple[Scalar, Factored]"])

    def lower(self, node: Scalar) -> Scalar:
        """The rewritten scalar."""
        return self._join(self._factor(node))

    def _factor(self, node: Scalar) -> Factored:
        """The scalar as a factor that is constant during the step times the rest."""
        if id(node) not in self._done:
            self._done[id(node)] = (node, self._rewrite(node))
        return self._done[id(node)][1]

    def _rewrite(self, node: Scalar) -> Factored:
        if node.level is Level.STEP:
            return Factored(self._share(node), None)
        match node.operation:
            case "negative":
                inner = self._factor(node.operands[0])
                return Factored(self._make("negative", inner.constant), inner.rest)
            case "multiply":
                a, b = map(self._factor, node.operands)
                return Factored(self._multiply(a.constant, b.constant), self._product(a.rest, b.rest))
            case "divide":
                a, b = map(self._factor, node.operands)
                return Factored(self._divide(a.constant, b.constant), self._quotient(a.rest, b.rest))
            case "power" if node.operands[1].operation == "constant" and node.operands[1].value == 2:  # a square
                a = self._factor(node.operands[0])
                return Factored(self._multiply(a.constant, a.constant), self._product(a.rest, a.rest))
            case _:
                drawn = node.operation == "uniform"
                operands = [word for whole in node.operands for word in _words(whole)] if drawn else node.operands
                return Factored(constant(1), self._leaf_or_operation(node, *map(self.lower, operands)))

    def _join(self, value: Factored) -> Scalar:
        if value.rest is None:
            return value.constant
        return self._multiply(value.constant, value.rest)

    def _product(self, a: Scalar | None, b: Scalar | None) -> Scalar | None:
        if a is None:
            return b
        return a if b is None else self._make("multiply", a, b)

    def _quotient(self, a: Scalar | None, b: Scalar | None) -> Scalar | None:
        if b is None:
            return a
        return self._make("divide", constant(1) if a is None else a, b)

    def _multiply(self, a: Scalar, b: Scalar) -> Scalar:
        if _is_one(a):
            return b
        return a if _is_one(b) else self._make("multiply", a, b)

    def _divide(self, a: Scalar, b: Scalar) -> Scalar:
        return a if _is_one(b) else self._make("divide", a, b)

    def _share(self, node: Scalar) -> Scalar:
        """The same graph, with equal parts made one."""
        shared: dict[int, Scalar] = {}
        for below in descend(node):
            shared[id(below)] = self._leaf_or_operation(below, *(shared[id(operand)] for operand in below.operands))
        return shared[id(node)]

    def _leaf_or_operation(self, node: Scalar, *operands: Scalar) -> Scalar:
        if node.operation in REDUCTIONS or node.operation == "uniform":
            new = Scalar(node.operation, operands, node.level, name=node.name)
            apart = node.name if node.level is Level.MODEL else ""  # two stages may be for other parameters each
            return self._nodes.setdefault((node.operation, node.level, apart, *map(id, operands)), new)
        if operands:
            return self._make(node.operation, *operands)
        return self._nodes.setdefault((node.operation, node.name or node.value), node)

    def _make(self, operation: Operation, *operands: Scalar) -> Scalar:
        key = (operation, *((o.operation, o.value) if o.operation == "constant" else id(o) for o in operands))
        if key not in self._nodes:
            self._nodes[key] = apply(operation, *operands)
        return self._nodes[key]


@dataclass(frozen=True)
class Factored:
    """A scalar as `constant` (one value during a step) times `rest` (one value an element; none means 1)."""

    constant: Scalar
    rest: Scalar | None


def _words(whole: Scalar) -> tuple[Scalar, Scalar]:
    """A whole number as a lower word, which a float32 holds exactly, and a higher one."""
    high = floor(whole / WORD)
    return whole - high * WORD, high


def _is_one(node: Scalar) -> bool:
    return node.operation == "constant" and node.value == 1
