"""How a chain is said in the settings of one of torch's optimizers, found by asking what chain its settings say.

A drop-in's dialect leads from settings to a chain. The way back needs no second table: settings are filled with numbers
that can be told apart, and where these come out in the chain is where they belong.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from thalweg.errors import ThalwegError, UnknownNameError, did_you_mean
from thalweg.optimizer import dropin
from thalweg.optimizer.dropin.dialect import TorchDialect
from thalweg.optimizer.fitting import dialect_of
from thalweg.optimizer.likeness import Likeness, likeness

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from thalweg.chain import Chain, Kind
    from thalweg.formula import Trace
    from thalweg.optimizer.optimizer import Optimizer

Place: TypeAlias = tuple[str, int | None]
"""Where a number stands among settings: under its name, and in a pair at this position."""


@dataclass(frozen=True, eq=False)
class Formula:
    """What a chain of ours does to one kind of parameter."""

    chain: Chain
    kind: Kind
    is_matrix: bool
    """Whether the parameter has two dimensions or more."""

    @property
    def trace(self) -> Trace:
        """Its graph."""
        return self.chain.trace(is_matrix=self.kind.is_matrix, active=self.kind.active)

    def __repr__(self) -> str:
        return repr(self.chain)


@dataclass(frozen=True)
class Phrase:
    """A chain's numbers and states in torch's words."""

    settings: Mapping[str, Any]
    """The settings whose numbers are to be filled in."""
    numbers: Mapping[str, Place | float]
    """Where each of the chain's numbers stands, or what torch has fixed it to."""
    states: Mapping[str, str]
    """What torch calls the chain's states."""

    def numbers_in(self, settings: Mapping[str, Any]) -> dict[str, float]:
        """The chain's numbers, read from settings of torch's."""
        return {
            own: float(_at(settings, place) if isinstance(place, tuple) else place)
            for own, place in self.numbers.items()
        }

    def say(self, numbers: Mapping[str, float]) -> dict[str, Any]:
        """Settings of torch's with these numbers."""
        settings = dict(self.settings)
        for own, place in self.numbers.items():
            if isinstance(place, tuple):
                settings = _with(settings, place, numbers[own])
        return settings


@dataclass(frozen=True)
class Language:
    """One of torch's optimizers: the settings it has by default, and what they mean."""

    name: str
    drop_in: Callable[..., Optimizer]
    dialect: TorchDialect
    defaults: Mapping[str, Any]
    known: dict[Hashable, Phrase | None] = field(default_factory=dict["Hashable", "Phrase | None"])
    """How formulas are said, as far as it was asked for: their numbers make no difference."""

    def phrase(self, formula: Formula, settings: Mapping[str, Any]) -> Phrase | None:
        """How the formula is said by these settings, whatever their numbers are; None if they say another."""
        return self._find(formula, dict(settings), zeros=[p for p in _places(settings) if _at(settings, p) == 0])

    def any_phrase(self, formula: Formula) -> Phrase | None:
        """How the formula is said by some settings; None if by none."""
        key = (formula.chain.structure, formula.kind, formula.is_matrix)
        if key not in self.known:
            switches = [name for name, value in self.defaults.items() if isinstance(value, bool)]
            choices = sorted(itertools.product((False, True), repeat=len(switches)), key=sum)
            settings = ({**self.defaults, **dict(zip(switches, c, strict=True)), **self.dialect.fixed} for c in choices)
            phrases = (self._find(formula, some, zeros=_places(some)) for some in settings)
            self.known[key] = next((phrase for phrase in phrases if phrase is not None), None)
        return self.known[key]

    def means(self, settings: Mapping[str, Any], formula: Formula, numbers: Mapping[str, float]) -> bool:
        """Whether the settings say the formula with just these numbers: at 0, one of them may change it."""
        said = self.dialect.read(settings)
        traced = said.trace(is_matrix=formula.is_matrix)
        values = said.numbers(traced)
        zeros, their_zeros = (
            frozenset(name for name, value in some.items() if value == 0 and name != "lr") for some in (numbers, values)
        )
        alike = likeness(formula.trace, traced)
        alike = alike or likeness(formula.trace, traced, zeros=zeros, other_zeros=their_zeros)
        return alike is not None and all(numbers[own] == values[theirs] for own, theirs in alike.numbers.items())

    def _find(self, formula: Formula, settings: dict[str, Any], zeros: list[Place]) -> Phrase | None:
        tried: dict[Hashable, Likeness | None] = {}
        for filled, marks in _fillings(settings, zeros):
            try:
                said = self.dialect.read(filled)
                traced = said.trace(is_matrix=formula.is_matrix)
            except ThalwegError:
                continue
            if said.structure not in tried:
                tried[said.structure] = likeness(formula.trace, traced)
            alike = tried[said.structure]
            if alike is not None:
                return self._phrase(said.numbers(traced), alike, filled, marks, settings)
        return None

    def _phrase(
        self,
        values: Mapping[str, Any],
        alike: Likeness,
        filled: dict[str, Any],
        marks: Mapping[float, Place],
        settings: Mapping[str, Any],
    ) -> Phrase:
        """What the numbers of the chain that marked settings say tell of the places where they stood."""
        numbers = {own: _place_or_number(values[theirs], marks) for own, theirs in alike.numbers.items()}
        idle = {*marks.values()} - {*numbers.values()}
        for place in idle:
            filled = _with(filled, place, _at(settings, place))
        names = self.dialect.state_names
        states = {own: names.get(theirs, theirs) for own, theirs in alike.states.items()}
        return Phrase(filled, numbers, states)


@lru_cache
def language(name: str) -> Language:
    """That of `torch.optim`'s optimizer of this name. Raises `UnknownNameError` for one that has no drop-in."""
    if name not in dropin.__all__:
        message = f"there is no drop-in for torch.optim.{name}; {did_you_mean(name, dropin.__all__)}"
        raise UnknownNameError(message)
    made: Optimizer = getattr(dropin, name)([torch.zeros(1, 1, requires_grad=True)])
    dialect = dialect_of(made)
    if not isinstance(dialect, TorchDialect):
        message = f"the drop-in {name} does not say its settings as a chain"
        raise UnknownNameError(message)
    return Language(name, type(made), dialect, {**made.defaults, **dialect.fixed})


def _fillings(settings: dict[str, Any], zeros: list[Place]) -> Iterator[tuple[dict[str, Any], dict[float, Place]]]:
    """The settings with numbers that can be told apart; some of them at zero, or a whole number as it is."""
    places = _places(settings)
    choices: list[list[float | None]] = []
    for place in places:
        now = _at(settings, place)
        stays = [now] if isinstance(now, int) and now != 0 else []
        choices.append([None, *([0.0] if place in zeros else []), *stays])
    for chosen in itertools.product(*choices):
        filled, marks = settings, dict[float, Place]()
        for count, (place, value) in enumerate(zip(places, chosen, strict=True)):
            mark = (count + 1) / 1024 + 0.5
            filled = _with(filled, place, mark if value is None else value)
            if value is None:
                marks[mark] = place
        yield filled, marks


def _place_or_number(value: Any, marks: Mapping[float, Place]) -> Place | float:  # noqa: ANN401  # never a schedule
    return marks.get(value, value)


def _places(settings: Mapping[str, Any]) -> list[Place]:
    """Where settings have numbers."""
    found: list[Place] = []
    for name, value in settings.items():
        if isinstance(value, tuple | list):
            found += [(name, at) for at, part in enumerate(value) if is_number(part)]
        elif is_number(value):
            found.append((name, None))
    return found


def is_number(value: object) -> bool:
    """Whether a setting is a number, or a tensor that holds one."""
    scalar = isinstance(value, torch.Tensor) and value.numel() == 1
    return (isinstance(value, int | float) and not isinstance(value, bool)) or scalar


def _at(settings: Mapping[str, Any], place: Place) -> Any:  # noqa: ANN401  # a number, or a tensor of one
    name, at = place
    return settings[name] if at is None else settings[name][at]


def _with(settings: dict[str, Any], place: Place, number: float) -> dict[str, Any]:
    name, at = place
    if at is None:
        return {**settings, name: number}
    parts = [number if i == at else part for i, part in enumerate(settings[name])]
    return {**settings, name: tuple(parts)}
