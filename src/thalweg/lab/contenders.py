"""Who races: how each optimizer's chain, descent or trainer is built from the one value that is tuned.

A rule or a trainer brings its own defaults, and only its learning rate is tuned. Rprop has none: its first step size is
tuned instead. A descent that searches its step sizes has nothing to tune.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from thalweg import rules
from thalweg.chain import chain, matrix_methods, step
from thalweg.descent import Descent, Routine, Trainer, by_minibatch, methods, trainers
from thalweg.descent.titles import title_of
from thalweg.errors import UnknownNameError, did_you_mean
from thalweg.formula import Rule
from thalweg.lab.grid import Grid
from thalweg.lab.other_names import typed_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.chain import Chain, MatrixMethod, Route
    from thalweg.lab.problem import Problem

    Built: TypeAlias = Chain | Route | Descent | Routine | Trainer

Tuned: TypeAlias = Literal["lr", "delta0"]

# The eleven that a race is between, if nobody says otherwise.
NAMES = (
    "gradient_descent",
    "heavy_ball",
    "nesterov",
    "rprop",
    "adagrad",
    "rmsprop",
    "rmsprop_momentum",
    "adadelta",
    "adam",
    "adamax",
    "adamw",
)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One optimizer of a race.

    `default` is the rate in the middle of the search. `contains` names the methods that this one becomes
    for some value of a hyper-parameter. Where `tuned` is None what is raced is fixed, and is run as it is.
    """

    name: str
    title: str
    build: Callable[[float], Built]
    tuned: Tuned | None = "lr"
    default: float

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        built = self.build(self.default)
        return "trainer" if isinstance(built, Trainer) else "descent" if self.is_descent else "chain"

    @property
    def is_descent(self) -> bool:
        """Whether it evaluates the loss as often as it wants, and spends what that costs."""
        return isinstance(self.build(self.default), Descent | Routine)

    def grid(self, *, trials: int, bounds: tuple[float, float] | None = None) -> Grid:
        """The rates to begin tuning with: between the bounds, or else in half decades around the default."""
        if self.tuned is None:
            return Grid.around(1.0, trials=1)
        if bounds is not None:
            return Grid.between(*bounds, trials=trials)
        return Grid.around(self.default, trials=trials)

    def settings(self, rate: float) -> dict[str, float]:
        """What the records say was tuned."""
        return {} if self.tuned is None else {self.tuned: rate}


def get(text: str) -> Contender:
    """The contender of this name, or the one whose chain is typed out.

    Raises:
        UnknownNameError: it is neither; the message names the nearest ones.
    """
    if "(" in text:
        from thalweg.lab.typed_chain import read_chain  # noqa: PLC0415 (most races need none)

        return read_chain(text)
    catalogue: dict[str, Rule | MatrixMethod] = {**rules.catalogue(), **matrix_methods()}
    descents, trained = methods(), trainers()
    if text in trained:
        return of_trainer(text, trained[text])
    if text in descents:
        return Contender(
            name=text, title=title_of(text), build=partial(_fixed, descents[text]), tuned=None, default=1.0
        )
    if text not in catalogue:
        known = typed_here(text)
        nearest = f"it is `{known}` here" if known else did_you_mean(text, [*catalogue, *trained, *descents])
        raise UnknownNameError(f"there is no optimizer `{text}` to race; {nearest}")
    found = catalogue[text]
    rule = found if isinstance(found, Rule) else found.rule
    rate = rule.learning_rate
    return Contender(
        name=text,
        title=rule.title,
        build=partial(_build, found),
        tuned="delta0" if rate is None else "lr",
        default=cast("float", rule.hyperparameters["delta0"].default) if rate is None else rate,
    )


def as_trained(built: Built, problem: Problem) -> Built:
    """What trains on a problem: a descent by itself goes by minibatches where the problem draws them."""
    return by_minibatch(built) if isinstance(built, Descent) and not problem.is_full_batch else built


def of_trainer(name: str, trainer: Trainer) -> Contender:
    """The contender that a trainer is, tuned in its learning rate where it has one."""
    rate = trainer.rate
    return Contender(
        name=name,
        title=title_of(name),
        build=partial(_fixed, trainer) if rate is None else trainer.with_rate,
        tuned=None if rate is None else "lr",
        default=1.0 if rate is None else rate,
    )


def _fixed(method: Descent | Routine | Trainer, _: float) -> Descent | Routine | Trainer:
    return method


def _build(rule: Rule | MatrixMethod, rate: float) -> Chain:
    if isinstance(rule, Rule) and rule.learning_rate is None:
        return chain(rule(delta0=rate))
    return chain(rule(), step(rate))
