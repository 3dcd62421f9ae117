"""Draws a formula: as LaTeX for pages, as lines of text for a terminal.

Both come from the traced graph, with the names that the formula's own code gives to what it computes.
"""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import sympy
from sympy.printing.pretty.pretty import PrettyPrinter

from thalweg.formula.scalar import Scalar, descend

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from thalweg.formula import Trace
    from thalweg.formula.scalar import Operation

_LETTERS = {
    "lr": "alpha",
    "eps": "epsilon",
    "weight": "lambda",
    "weight_decay": "lambda",
    "eta_plus": "eta^+",
    "eta_minus": "eta^-",
    "mean": "g_bar",
    "direction": "D",
    "curvature": "h_hat",
    "hessian_product": "Hv",
}
"""How papers write what the code has to spell out."""


def _product(a: Any, b: Any) -> Any:  # noqa: ANN401  # sympy's expressions
    """A product, in which no factor of 1 is drawn: one stands where an option is left out."""
    if a == 1:
        return b
    return a if b == 1 else sympy.Mul(a, b, evaluate=False)


_PLAIN: Mapping[Operation, Callable[..., Any]] = {
    "add": lambda a, b: sympy.Add(a, b, evaluate=False),
    "subtract": lambda a, b: sympy.Add(a, sympy.Mul(-1, b, evaluate=False), evaluate=False),
    "multiply": _product,
    "divide": lambda a, b: _product(a, sympy.S.One if b == 1 else sympy.Pow(b, -1, evaluate=False)),
    "power": lambda a, b: sympy.Pow(a, b, evaluate=False),
    "negative": lambda a: sympy.Mul(-1, a, evaluate=False),
    "absolute": sympy.Abs,
    "sqrt": lambda a: sympy.sqrt(a, evaluate=False),
    "exp": sympy.exp,
    "log": sympy.log,
    "sign": sympy.sign,
    "floor": sympy.floor,
    "stored": sympy.Function("stored"),
    "dithered": sympy.Function("dithered"),
    "uniform": sympy.Function("uniform"),
    "maximum": sympy.Function("max"),
    "minimum": sympy.Function("min"),
    "less": lambda a, b: sympy.StrictLessThan(a, b, evaluate=False),
    "less_equal": lambda a, b: sympy.LessThan(a, b, evaluate=False),
    "equal": lambda a, b: sympy.Eq(a, b, evaluate=False),
    "both": sympy.And,
    "either": sympy.Or,
    "where": lambda c, a, b: sympy.Piecewise((a, c), *_cases(b), evaluate=False),
}


_REDUCTIONS = {"total": "sum", "mean": "mean", "largest": "max"}
_ROOTS = {"total": "norm", "mean": "rms"}
"""What the root of a sum, or of a mean, of squares is called."""

Key: TypeAlias = int | str


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
        return "\n".join(((f"{left} ← " if row == right.baseline else margin) + part).rstrip() for row, part in rows)


def draw(traced: Trace) -> list[Line]:
    """The lines of a chain traced `with_names`, as they can be carried out one after the other.

    First what the formula computes, in its own order, then the parameter, and at last the states that take over a value
    which has another name: v ← v_new.
    """
    return _Drawing(traced).lines()


class _Drawing:
    """The values of a traced chain, the letter that each is drawn with, and which value a letter stands for by now."""

    def __init__(self, traced: Trace) -> None:
        named: dict[int, tuple[str, Scalar]] = {}
        for name, node in traced.steps_of_formula:
            if node.operation not in ("constant", "input"):
                named.setdefault(id(node), (name, node))
        self._steps = sorted(named.values(), key=lambda step: step[1].order)
        self._named = set(named)
        self._results = [("p", traced.parameter)]
        self._results += [(kept.name, kept.after) for kept in traced.states if kept.after is not kept.before]
        self._letters: dict[Key, str] = {}
        self._stands_for: dict[str, Key] = {}
        changing = [name for name, _ in self._results]
        roots = [node for _, node in (*self._steps, *self._results)]
        inputs = [node.name for node in descend(*roots) if node.operation == "input"]
        for name in (*changing, *inputs):
            if name not in self._letters:
                owner = name.rpartition(".")[0].rpartition("#")[2]
                self._write(name, self._free(_letter(name), self._stands_for.values(), owner))
        self._staying = {name for name in self._letters if name not in changing}

    def lines(self) -> list[Line]:
        """Every line."""
        drawn: list[Line] = []
        for place, (name, node) in enumerate(self._steps):
            later = [*self._staying, *(key for _, after in self._results for key in self._needs(after))]
            later += [key for _, after in self._steps[place + 1 :] for key in self._needs(after, itself=True)]
            letter = self._letter_for(name, node)
            if self._stands_for.get(letter) in later:  # it would be lost
                letter = self._free("d" if name == "g" else letter, later)
            drawn.append(Line(sympy.Symbol(letter), self._convert(node, itself=True)))
            self._write(id(node), letter)
        todo = [(self._letters[name], node) for name, node in self._results]
        todo = [(letter, node) for letter, node in todo if self._stands_for[letter] != _key(node)]
        while todo:
            place = next((i for i in range(len(todo)) if not self._is_needed(i, todo)), None)
            if place is None:  # each is needed by another: keep the first one's old value
                letter, old = todo[0][0], self._stands_for[todo[0][0]]
                self._write(old, self._free(f"{letter}_old", self._stands_for.values()))
                drawn.append(Line(sympy.Symbol(self._letters[old]), sympy.Symbol(letter)))
                place = 0
            letter, node = todo.pop(place)
            drawn.append(Line(sympy.Symbol(letter), self._convert(node)))
            self._stands_for[letter] = _key(node)
        return drawn

    def _is_needed(self, place: int, todo: list[tuple[str, Scalar]]) -> bool:
        """Whether what a result's letter stands for is still needed for another result."""
        old = self._stands_for[todo[place][0]]
        return any(old in self._needs(node) for i, (_, node) in enumerate(todo) if i != place)

    def _letter_for(self, name: str, node: Scalar) -> str:
        """The letter of a value that the formula calls so: its state's, if it is the new value of one."""
        for result, after in self._results:
            if after is node and result.rpartition(".")[2] == name:
                return self._letters[result]
        return _accented(name)

    def _write(self, key: Key, letter: str) -> None:
        self._letters[key] = letter
        self._stands_for[letter] = key

    def _free(self, letter: str, needed: Collection[Key], owner: str = "") -> str:
        """The letter, with an index if what it stands for is still needed."""
        indices = itertools.chain(filter(None, [owner]), itertools.count(2))
        letters = itertools.chain([letter], (f"{letter}_{index}" for index in indices))
        return next(name for name in letters if self._stands_for.get(name) not in needed)

    def _needs(self, node: Scalar, *, itself: bool = False) -> set[Key]:
        """The named values and inputs that a value is drawn with; `itself` draws a named value in full."""
        found: set[Key] = set()
        seen: set[int] = set()
        todo = list(node.operands) if itself else [node]
        while todo:
            below = todo.pop()
            if id(below) in self._named or below.operation == "input":
                found.add(_key(below))
            elif id(below) not in seen:
                seen.add(id(below))
                todo.extend(below.operands)
        return found

    def _convert(self, node: Scalar, *, itself: bool = False) -> Any:  # noqa: ANN401  # sympy's expressions
        if node.operation == "constant":
            return sympy.Integer(int(node.value)) if node.value == int(node.value) else sympy.Float(node.value)
        if node.operation == "input" or (id(node) in self._named and not itself):
            return sympy.Symbol(self._letters[_key(node)])
        match node:
            case Scalar("add", (a, Scalar("negative", (b,)) as minus)) if id(minus) not in self._named:
                return _PLAIN["subtract"](self._convert(a), self._convert(b))
            case Scalar("sqrt", (Scalar("total" | "mean", (Scalar("power", (x, Scalar(value=2))),)) as gathered,)) if (
                id(gathered) not in self._named
            ):
                return _per(_ROOTS[gathered.operation], gathered, self._convert(x))
            case Scalar("total" | "mean" | "largest", (x,)):
                return _per(_REDUCTIONS[node.operation], node, self._convert(x))
            case _:
                return _PLAIN[node.operation](*map(self._convert, node.operands))


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


def _key(node: Scalar) -> Key:
    """What tells a value apart: an input's name, as it may have several nodes, or the node."""
    return node.name if node.operation == "input" else id(node)


def _per(word: str, reduction: Scalar, gathered: Any) -> Any:  # noqa: ANN401  # sympy's expressions
    return sympy.Function(f"{word}_{reduction.level.value}")(gathered)


def _letter(name: str) -> str:
    """How papers write what a formula is given, as sympy wants it spelled."""
    last = name.rpartition(".")[2]
    return _accented(_LETTERS.get(last, last))


def _accented(name: str) -> str:
    """`m_hat` with a hat, `g_bar` with a bar: as sympy wants them spelled."""
    for accent in ("hat", "bar"):
        name = name.removesuffix(f"_{accent}") + accent if name.endswith(f"_{accent}") else name
    return name
