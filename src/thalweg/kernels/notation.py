"""Draws a formula: as LaTeX for pages, as lines of text for a terminal.

Both come from the traced graph, with the names that the formula's own code gives to what it computes.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy
from sympy.printing.pretty.pretty import PrettyPrinter

from thalweg.formula.slots import Displacement, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thalweg.formula import Trace
    from thalweg.formula.scalar import Operation, Scalar

_LETTERS = {
    "lr": "alpha",
    "eps": "epsilon",
    "weight": "lambda",
    "weight_decay": "lambda",
    "eta_plus": "eta^+",
    "eta_minus": "eta^-",
    "mean": "gbar",
}
"""How papers write what the code has to spell out."""
_PLAIN: Mapping[Operation, Callable[..., Any]] = {
    "add": lambda a, b: sympy.Add(a, b, evaluate=False),
    "subtract": lambda a, b: sympy.Add(a, sympy.Mul(-1, b, evaluate=False), evaluate=False),
    "multiply": lambda a, b: sympy.Mul(a, b, evaluate=False),
    "divide": lambda a, b: sympy.Mul(a, sympy.Pow(b, -1, evaluate=False), evaluate=False),
    "power": lambda a, b: sympy.Pow(a, b, evaluate=False),
    "negative": lambda a: sympy.Mul(-1, a, evaluate=False),
    "absolute": sympy.Abs,
    "sqrt": lambda a: sympy.sqrt(a, evaluate=False),
    "exp": sympy.exp,
    "log": sympy.log,
    "sign": sympy.sign,
    "maximum": sympy.Function("max"),
    "minimum": sympy.Function("min"),
    "less": lambda a, b: sympy.StrictLessThan(a, b, evaluate=False),
    "less_equal": lambda a, b: sympy.LessThan(a, b, evaluate=False),
    "equal": lambda a, b: sympy.Eq(a, b, evaluate=False),
    "both": sympy.And,
    "either": sympy.Or,
    "where": lambda c, a, b: sympy.Piecewise((a, c), *_cases(b), evaluate=False),
}


@dataclass(frozen=True)
class Line:
    """One assignment of a formula."""

    name: Any
    value: Any

    @property
    def latex(self) -> str:
        """The line in LaTeX."""
        words = {atom: f"\\mathrm{{{atom.name}}}" for atom in _words(self.name) | _words(self.value)}
        name, value = (sympy.latex(part, order="none", symbol_names=words) for part in (self.name, self.value))
        return f"{name} \\leftarrow {value}"

    @property
    def text(self) -> str:
        """The line as it stands in a terminal, over several rows where it has fractions."""
        printer = PrettyPrinter({"use_unicode": True, "order": "none", "wrap_line": False})
        left = printer.doprint(self.name)
        right: Any = printer._print(self.value)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # a box with a base line
        margin = " " * (_width(left) + 3)
        rows = enumerate(str(right).split("\n"))
        return "\n".join((f"{left} ← " if row == right.baseline else margin) + part for row, part in rows)


def draw(traced: Trace) -> list[Line]:
    """The lines of a chain traced `with_names`, in the order in which it computes them; the last is the parameter's."""
    names: dict[int, str] = {}
    for name, node in sorted(traced.steps_of_formula, key=lambda step: step[1].order):
        if node.operation not in ("constant", "input"):
            names.setdefault(id(node), name)
    named = {id(node): node for _, node in traced.steps_of_formula if id(node) in names}
    lines = [
        Line(_symbol(names[key]), _convert(node, {k: v for k, v in names.items() if k != key}))
        for key, node in sorted(named.items(), key=lambda item: item[1].order)
    ]
    parameter = _symbol("p")
    match traced.moves:
        case Displacement(value) if value.operation == "negative":
            result = _PLAIN["subtract"](parameter, _convert(value.operands[0], names))
        case Displacement(value):
            result = sympy.Add(parameter, _convert(value, names), evaluate=False)
        case Position(value):
            result = _convert(value, names)
        case direction:
            move = sympy.Mul(_symbol("lr"), _convert(direction, names), evaluate=False)
            result = sympy.Add(parameter, sympy.Mul(-1, move, evaluate=False), evaluate=False)
    return [*lines, Line(parameter, result)]


def _words(expression: Any) -> set[Any]:  # noqa: ANN401  # sympy's expressions
    """The symbols that are words, and are to be set upright: not a letter with hat or index, nor a Greek one."""
    plain = {atom for atom in expression.free_symbols if atom.name.isalpha() and len(atom.name) > 1}
    return {atom for atom in plain if sympy.latex(atom) == atom.name}


def _cases(value: Any) -> list[Any]:  # noqa: ANN401  # sympy's expressions
    """The cases of a case distinction, so that one within another is drawn as one."""
    return list(value.args) if isinstance(value, sympy.Piecewise) else [(value, True)]


def _width(text: str) -> int:
    """The columns that a text takes: a hat or a bar over a letter takes none."""
    return sum(not unicodedata.combining(character) for character in text)


def _convert(node: Scalar, names: Mapping[int, str]) -> Any:  # noqa: ANN401  # sympy's expressions
    if id(node) in names:
        return _symbol(names[id(node)])
    if node.operation == "constant":
        return sympy.Integer(int(node.value)) if node.value == int(node.value) else sympy.Float(node.value)
    if node.operation == "input":
        return _symbol(node.name.rsplit(".", 1)[-1])
    return _PLAIN[node.operation](*(_convert(operand, names) for operand in node.operands))


def _symbol(name: str) -> Any:  # noqa: ANN401
    """A symbol whose name sympy draws as papers do: `m_hat` with a hat, `beta1` with an index."""
    letter = _LETTERS.get(name, name)
    return sympy.Symbol(letter.removesuffix("_hat") + "hat" if letter.endswith("_hat") else letter)
