"""What a rule and its settings are called elsewhere, said as one types it there, with our names for the values.

A rule's file writes "torch.optim.SGD(lr=lr, momentum=beta) where form='classical'; while the rate is constant": torch's
`momentum` is our `beta` if our `form` is `classical`, and both take the same steps as long as the learning rate stays
as it is. A setting that is not spoken of has its default. A paper is called by its authors and year, as the rule's
source has them, and has its own letters: "Kingma_and_Ba_2015(α=lr, β1=beta1)". What stands behind a semicolon is a
remark, or, as in "default lr=0.001", the defaults there that are not ours.
"""

from __future__ import annotations

import ast
import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from thalweg.errors import FormulaError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from thalweg.formula.hyperparameter import Hyperparameter, Value

Library: TypeAlias = Literal["torch", "Keras", "optax", "paper"]
_PACKAGES: dict[str, Library] = {"torch": "torch", "keras": "Keras", "optax": "optax"}

RATE, STEP = "lr", "t"
"""How a translation calls the learning rate and the step count, beside the hyper-parameters."""
CONSTANT_RATE = "while the rate is constant"
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


@dataclass(frozen=True)
class Translation:
    """A rule in the words of another library, or of a paper."""

    name: str
    """The class there, or the paper: `torch.optim.SGD`, `Polyak 1964`."""
    arguments: Mapping[str, str]
    """Each argument there, as an expression of our settings."""
    fixed: Mapping[str, Value]
    """Our settings that no argument speaks of, and the value that they must have."""
    where: Mapping[str, Value]
    """Of these, the ones worth saying: our dialect."""
    defaults: Mapping[str, Any]
    """The defaults there that differ from ours; of several in a row, `...` stands for those that do not."""
    remarks: tuple[str, ...]

    @property
    def library(self) -> Library:
        """Whose words these are."""
        return _PACKAGES.get(self.name.partition(".")[0], "paper")

    @property
    def needs_constant_rate(self) -> bool:
        """Whether the learning rate stands elsewhere in the formula, so that both agree only while it is constant."""
        return CONSTANT_RATE in self.remarks

    def holds(self, settings: Mapping[str, Value]) -> bool:
        """Whether it speaks of the rule with these settings."""
        return all(settings[name] == value for name, value in self.fixed.items())

    def values(self, settings: Mapping[str, Value]) -> dict[str, Any]:
        """What to set there for our settings, `lr` and `t` among them; what depends on a None is left out."""
        return {
            argument: _evaluate(ast.parse(expression, mode="eval").body, settings)
            for argument, expression in self.arguments.items()
            if all(settings[name] is not None for name in names_in(expression))
        }

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={expression}' for name, expression in self.arguments.items())})"


def read_translation(
    text: str, *, rule: str, source: str, hyperparameters: Mapping[str, Hyperparameter]
) -> Translation:
    """The translation that a rule's file writes as text.

    Raises `FormulaError` if it cannot be read, names a setting that the rule lacks, or a paper that is not its source;
    `HyperparameterError` if it is for a value that a setting cannot have.
    """
    sentence, *clauses = (part.strip() for part in text.split(";"))
    written, _, condition = sentence.partition(" where ")
    called = _parse_call(written)
    if called is None:
        message = f"rule `{rule}`: its translation `{text}` cannot be read; write it as it is typed there, as in "
        raise FormulaError(message + "'torch.optim.SGD(lr=lr, momentum=beta)'")
    name, arguments = called
    where = f"rule `{rule}`, translation to {name}"
    spoken = {found for expression in arguments.values() for found in _names(expression, where)}
    _refuse_unknown(spoken, {*hyperparameters, RATE, STEP}, where)
    stated = _read_settings(condition, where)
    _refuse_unknown(stated, hyperparameters, where)
    for setting, value in stated.items():
        hyperparameters[setting].check(value, where)
    fixed = {n: stated.get(n, hyper.default) for n, hyper in hyperparameters.items() if n not in spoken}
    if name.partition(".")[0] not in _PACKAGES:
        words = name.split("_")
        if not all(word in source for word in words):
            raise FormulaError(f"{where}: {' '.join(words)} is not among the rule's sources; cite it in `source`")
        name = _as_cited(words)
    defaults = ", ".join(clause.removeprefix("default ") for clause in clauses if clause.startswith("default "))
    return Translation(
        name=name,
        arguments={argument: ast.unparse(expression) for argument, expression in arguments.items()},
        fixed=fixed,
        where={n: value for n, value in fixed.items() if n in stated or hyperparameters[n].is_option},
        defaults=_read_settings(defaults, where),
        remarks=tuple(clause for clause in clauses if not clause.startswith("default ")),
    )


def names_in(expression: str) -> set[str]:
    """Our names that an expression speaks of."""
    return _names(ast.parse(expression, mode="eval").body, expression)


def _parse_call(text: str) -> tuple[str, dict[str, ast.expr]] | None:
    """What is called, and each argument by its name; None if the text is something else."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(tree, ast.Call) or tree.args or not all(keyword.arg for keyword in tree.keywords):
        return None
    return ast.unparse(tree.func), {str(keyword.arg): keyword.value for keyword in tree.keywords}


def _read_settings(text: str, where: str) -> dict[str, Any]:
    """Settings as they stand in a call: `form='torch', dampening=0`."""
    called = _parse_call(f"settings({text})")
    try:
        if called is not None:
            return {name: ast.literal_eval(value) for name, value in called[1].items()}
    except ValueError:  # something else than a literal
        pass
    raise FormulaError(f"{where}: `{text}` is no list of settings; write it as in `form='torch', eps=0`")


def _as_cited(words: list[str]) -> str:
    """Authors and year as a source has them: `Kingma and Ba 2015`, `Liu et al. 2020`."""
    if "and" in words:
        last = words.index("and")
        return " ".join([", ".join(words[:last]), *words[last:]])
    return " ".join("al." if word == "al" else word for word in words)


def _refuse_unknown(names: Iterable[str], known: Collection[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise FormulaError(f"{where} names `{name}`, which the rule does not have; {did_you_mean(name, known)}")


def _names(tree: ast.expr, where: str) -> set[str]:
    """The names in an expression. Raises `FormulaError` if it is more than can be evaluated."""
    match tree:
        case ast.Constant():
            return set()
        case ast.Name(id=name):
            return {name}
        case ast.Tuple(elts=parts):
            pass
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            parts = [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            parts = [left, right]
        case ast.Call(func=ast.Name(id="sqrt"), args=[argument], keywords=[]):
            parts = [argument]
        case _:
            raise FormulaError(f"{where}: `{ast.unparse(tree)}` is more than names, numbers, + - * / ** and sqrt()")
    return {name for part in parts for name in _names(part, where)}


def _evaluate(tree: ast.expr, values: Mapping[str, Any]) -> Any:  # noqa: ANN401  # a number, an option, or several
    match tree:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.Tuple(elts=parts):
            return tuple(_evaluate(part, values) for part in parts)
        case ast.UnaryOp(operand=operand):
            return -_evaluate(operand, values)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.Call(args=[argument]):
            return math.sqrt(_evaluate(argument, values))
        case _:
            raise TypeError(tree)
