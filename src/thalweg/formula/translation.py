"""What a rule and its settings are called elsewhere, said as one types it there, with our names for the values.

A rule's file writes `"torch.optim.SGD(lr=lr, momentum=beta) where form='classical'; while the rate is constant"`: torch's
`momentum` is our `beta`, if our `form` is `classical`; and this is all to be said of the learning rate only if it stays
as it is. A setting that is not spoken of has its default. A paper is called by its authors and year, as the rule's
source has them, with its own letters: `"Kingma_and_Ba_2015(α=lr, β1=beta1)"`. After a further semicolon
`default lr=0.001` says which defaults there are not ours.
"""

from __future__ import annotations

import ast
import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from thalweg.errors import FormulaError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from thalweg.formula.rule import Hyperparameter, Value

Library: TypeAlias = Literal["torch", "Keras", "paper"]

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
    defaults: Mapping[str, Value]
    """The defaults there that differ from ours."""
    remarks: tuple[str, ...]

    @property
    def library(self) -> Library:
        """Whose words these are."""
        if self.name.startswith("torch."):
            return "torch"
        return "Keras" if self.name.startswith("keras.") else "paper"

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
            argument: _evaluate(_parse(expression), settings)
            for argument, expression in self.arguments.items()
            if all(settings[name] is not None for name in names_in(expression))
        }

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={expression}' for name, expression in self.arguments.items())})"


def read_translation(
    text: str, *, rule: str, source: str, hyperparameters: Mapping[str, Hyperparameter]
) -> Translation:
    """The translation that a rule's file writes as text.

    Raises `FormulaError` if it cannot be read, names a setting that the rule lacks, or a paper that is not its source.
    """
    sentence, *clauses = (part.strip() for part in text.split(";"))
    written, _, condition = sentence.partition(" where ")
    called = _parse(written, rule)
    if not isinstance(called, ast.Call) or called.args or not all(keyword.arg for keyword in called.keywords):
        raise _unreadable(rule, text)
    name = ast.unparse(called.func)
    arguments = {str(keyword.arg): ast.unparse(keyword.value) for keyword in called.keywords}
    where = f"rule `{rule}`, translation to {name}"
    spoken = {found for keyword in called.keywords for found in _checked_names(keyword.value, where)}
    stated = _read_settings(condition, where)
    _refuse_unknown(spoken, {*hyperparameters, RATE, STEP}, where)
    _refuse_unknown(stated, hyperparameters, where)
    for setting, value in stated.items():
        hyperparameters[setting].check(value, where)
    fixed = {n: stated.get(n, hyper.default) for n, hyper in hyperparameters.items() if n not in spoken}
    if not name.startswith(("torch.", "keras.")):
        name = name.replace("_", " ")
        if not all(word in source for word in name.split()):
            raise FormulaError(f"{where}: {name} is not among the rule's sources; cite it in `source`")
    return Translation(
        name=name,
        arguments=arguments,
        fixed=fixed,
        where={n: value for n, value in fixed.items() if n in stated or hyperparameters[n].is_option},
        defaults=_read_settings(
            ", ".join(c.removeprefix("default ") for c in clauses if c.startswith("default ")), where
        ),
        remarks=tuple(c for c in clauses if not c.startswith("default ")),
    )


def names_in(expression: str) -> set[str]:
    """Our names that an expression speaks of."""
    return _checked_names(_parse(expression), expression)


def _parse(text: str, rule: str = "") -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        raise _unreadable(rule, text) from None


def _unreadable(rule: str, text: str) -> FormulaError:
    return FormulaError(
        f"rule `{rule}`: its translation `{text}` cannot be read; write it as it is typed there, as in "
        "'torch.optim.SGD(lr=lr, momentum=beta)'"
    )


def _read_settings(text: str, where: str) -> dict[str, Value]:
    """Settings as they stand in a call: `form='torch', dampening=0`."""
    try:
        called = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(called, ast.Call) or called.args or not all(keyword.arg for keyword in called.keywords):
            raise SyntaxError
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in called.keywords}
    except (SyntaxError, ValueError):
        raise FormulaError(f"{where}: `{text}` is no list of settings; write it as in `form='torch', eps=0`") from None


def _refuse_unknown(names: Iterable[str], known: Iterable[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise FormulaError(f"{where} names `{name}`, which the rule does not have; {did_you_mean(name, known)}")


def _checked_names(tree: ast.expr, where: str) -> set[str]:
    """The names in an expression, once with None for every value to see that it can be evaluated."""
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
    return {name for part in parts for name in _checked_names(part, where)}


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
