"""What a rule is: one formula, read off its signature; and a stage: the rule with its settings.

>>> from thalweg.formula import Direction, Fraction, Update, Zeros, rule
>>> @rule(title="Damped average", source="any textbook", learning_rate=0.1)
... def average(g: Direction, m: Zeros, *, beta: Fraction = 0.9) -> Update:
...     m = beta * m + (1 - beta) * g
...     return m, m
>>> average(beta=0.5)
average(beta=0.5)
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import operator
import types
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from thalweg.errors import FormulaError, did_you_mean
from thalweg.formula.calls import Calls, Waits
from thalweg.formula.hyperparameter import ANY_NUMBER, Hyperparameter, Schedule, Value
from thalweg.formula.scalar import Level, Scalar
from thalweg.formula.settings import Settings, read_settings
from thalweg.formula.slots import MovedSlot, ParameterSlot, Range, Slot, State, Update
from thalweg.formula.translation import Translation, read_translation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


@dataclass(frozen=True, eq=False)
class Rule:
    """An update rule: its formula, and what its signature says of it. Calling it gives a stage of a chain."""

    name: str
    title: str
    formula: Callable[..., Update]
    slots: Mapping[str, Slot]
    hyperparameters: Mapping[str, Hyperparameter]
    source: str
    learning_rate: float | None
    """A rate to start from, for a rule that descends by one."""
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    """`dialect`, `when`, and where each default comes from, by its name."""
    translations: tuple[Translation, ...] = ()
    """What it and its settings are called in torch, in Keras and in its papers."""
    evaluate: Callable[..., Scalar] | None = None
    """Where evaluation is to see the parameter, if not where it is: of `p`, states and settings, by their names."""
    calls: Calls | None = None
    """What it decides about a whole call of `step`, if it does: then it stands first in its chain."""

    @property
    def doc(self) -> str:
        """The formula's docstring."""
        return inspect.getdoc(self.formula) or ""

    @property
    def follows_step(self) -> bool:
        """Whether it stands behind the step, as an average of where the parameter has been."""
        return any(isinstance(slot, MovedSlot) for slot in self.slots.values())

    @property
    def outside(self) -> frozenset[str]:
        """The hyper-parameters that the optimizer goes by; the formula need not."""
        if self.calls is None:
            return frozenset()
        return frozenset({self.calls.every if isinstance(self.calls, Waits) else self.calls.at_most})

    @property
    def states(self) -> dict[str, State]:
        """The slots that are kept from one step to the next."""
        return {name: slot for name, slot in self.slots.items() if isinstance(slot, State)}

    def __call__(
        self,
        *first: float | Schedule,
        only: str | Iterable[str] = (),
        skip: str | Iterable[str] = (),
        **settings: Value,
    ) -> Stage:
        """A stage with these settings; the first hyper-parameter may be given by position.

        `only` and `skip` say for which parameters it stands in the chain, by role (`norm`, `bias`, …) or by a pattern
        of the name (`layers.*.weight`).

        Raises `HyperparameterError` for an unknown name or a value out of range.
        """
        typed = read_settings(self, first, settings)
        checked = {name: self.hyperparameters[name].check(value, self.name) for name, value in typed.items()}
        return Stage(self, tuple(checked.items()), len(first), _as_names(only), _as_names(skip))

    def __reduce__(self) -> tuple[Callable[[str, str], Rule], tuple[str, str]]:
        return _find_rule, (self.formula.__module__, self.formula.__qualname__)

    def __deepcopy__(self, _: object) -> Rule:
        return self

    def __repr__(self) -> str:
        return f"<rule {self.name}>"


@dataclass(frozen=True, repr=False)
class Stage(Settings):
    """A rule with its settings: inert, comparable, printed as it is typed."""

    rule: Rule
    only: tuple[str, ...] = ()
    """The roles and patterns of names of the parameters that it is for; none means all."""
    skip: tuple[str, ...] = ()
    """Those of the parameters that it leaves out."""

    def replace(self, numbers: Mapping[str, Value]) -> Stage:
        """The same stage with other values."""
        hypers = self.rule.hyperparameters
        checked = {name: hypers[name].check(value, self.rule.name) for name, value in numbers.items()}
        return dataclasses.replace(self, typed=self.typed_with(checked))

    @property
    def form(self) -> Stage:
        """The same stage without its numbers."""
        return dataclasses.replace(self, typed=self.typed_options, by_position=0)

    @property
    def arguments(self) -> list[str]:
        """The settings and the choice of parameters as they are typed between brackets."""
        chosen = {"only": self.only, "skip": self.skip}
        parts = [f"{name}={(some[0] if len(some) == 1 else some)!r}" for name, some in chosen.items() if some]
        return [*super().arguments, *parts]


def rule(
    *,
    title: str,
    source: str,
    learning_rate: float | None = None,
    translations: Sequence[str] = (),
    evaluate: Callable[..., Scalar] | None = None,
    calls: Calls | None = None,
    **notes: str,
) -> Callable[[Callable[..., Update]], Rule]:
    """Make a rule of a formula.

    `source` says where the formula is printed, `notes` where each default comes from (by its name), which `dialect` the
    rule speaks and `when` to use it, `translations` how the same is typed elsewhere: see `thalweg.formula.translation`.
    `evaluate` says where evaluation is to see the parameter, as a function of the `p`, states and hyper-parameters that
    it names, `calls` what the stage decides about a whole call of `step`.

    Raises `FormulaError` if the signature does not say what an argument stands for.
    """

    def read(formula: Callable[..., Update]) -> Rule:
        slots, hyperparameters = _read_signature(formula)
        known = {"dialect", "when", "learning_rate", *hyperparameters}
        for note in notes:
            if note not in known:
                nearest = did_you_mean(note, known)
                message = f"rule `{formula.__name__}` has a note on `{note}`, which it does not have; {nearest}"
                raise FormulaError(message)
        spoken = tuple(
            read_translation(text, rule=formula.__name__, source=source, hyperparameters=hyperparameters)
            for text in translations
        )
        if evaluate is not None:
            states = {name for name, slot in slots.items() if isinstance(slot, State)}
            for name in inspect.signature(evaluate).parameters:
                if name not in {"p", *states, *hyperparameters}:
                    message = f"rule `{formula.__name__}`: `evaluate` asks for `{name}`, which is no state of it"
                    raise FormulaError(message)
        return Rule(
            name=formula.__name__,
            title=title,
            formula=formula,
            slots=slots,
            hyperparameters=hyperparameters,
            source=source,
            learning_rate=learning_rate,
            notes=notes,
            translations=spoken,
            evaluate=evaluate,
            calls=calls,
        )

    return read


def _find_rule(module: str, name: str) -> Rule:
    """The rule where its file defines it, for unpickling."""
    return typing.cast("Rule", operator.attrgetter(name)(importlib.import_module(module)))


def _read_signature(formula: Callable[..., Update]) -> tuple[dict[str, Slot], dict[str, Hyperparameter]]:
    hints = typing.get_type_hints(formula, include_extras=True)
    slots: dict[str, Slot] = {}
    hypers: dict[str, Hyperparameter] = {}
    for name, argument in inspect.signature(formula).parameters.items():
        if argument.kind is inspect.Parameter.KEYWORD_ONLY:
            hypers[name] = _read_hyperparameter(formula.__name__, argument, hints.get(name))
        else:
            slots[name] = _read_slot(formula.__name__, name, hints.get(name))
    for name, slot in slots.items():
        if isinstance(slot, State) and isinstance(slot.start, str) and slot.start not in hypers:
            message = (
                f"rule `{formula.__name__}`: state `{name}` starts at `{slot.start}`, which is no hyper-parameter; "
                + did_you_mean(slot.start, hypers)
            )
            raise FormulaError(message)
        if isinstance(slot, State) and isinstance(slot.start, ParameterSlot) and slot.level is not Level.ELEMENT:
            message = (
                f"rule `{formula.__name__}`: state `{name}` has one value a {slot.level.value}, and starts at many"
            )
            raise FormulaError(message)
    return slots, hypers


def _read_slot(rule_name: str, name: str, hint: Any) -> Slot:  # noqa: ANN401  # an annotation may be anything
    for mark in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        if isinstance(mark, Slot):
            return mark
    message = (
        f"rule `{rule_name}` does not say what its argument `{name}` stands for; annotate it with `Direction`, "
        "`Parameter`, `Step`, `LearningRate`, `Zeros` or another slot of thalweg.formula, or make it keyword-only if "
        "it is a hyper-parameter"
    )
    raise FormulaError(message)


def _read_hyperparameter(rule_name: str, argument: inspect.Parameter, hint: Any) -> Hyperparameter:  # noqa: ANN401  # as above
    if argument.default is inspect.Parameter.empty:
        message = f"rule `{rule_name}`: hyper-parameter `{argument.name}` has no default; give it the paper's"
        raise FormulaError(message)
    bounds = ANY_NUMBER
    for part in get_args(hint) if get_origin(hint) in (types.UnionType, typing.Union) else (hint,):
        if part is bool:
            return Hyperparameter(argument.name, argument.default, choices=(False, True))
        if get_origin(part) is Literal:
            return Hyperparameter(argument.name, argument.default, choices=get_args(part))
        if get_origin(part) is Annotated:
            bounds = next((mark for mark in get_args(part)[1:] if isinstance(mark, Range)), bounds)
    return Hyperparameter(argument.name, argument.default, bounds)


def _as_names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
