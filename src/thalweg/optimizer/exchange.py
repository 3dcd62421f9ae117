"""How parameters of one formula go between a group of torch's and one of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import CheckpointError
from thalweg.optimizer.dropin.dialect import TorchDialect
from thalweg.optimizer.element_states import as_wanted, name_in_state
from thalweg.optimizer.fitting import IDENTITY, SavedGroup, SavedState, rule_of
from thalweg.optimizer.phrase import Formula
from thalweg.optimizer.positions import schedules_of
from thalweg.optimizer.selection import kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.chain import Kind
    from thalweg.optimizer.dialect import Dialect
    from thalweg.optimizer.phrase import Language, Phrase


def formulas_of(group: Mapping[str, Any], dialect: Dialect) -> list[Formula]:
    """What the group's chain does to each of its parameters; the same object where it does the same."""
    chain = dialect.read(group)
    found: dict[tuple[Kind, bool], Formula] = {}
    keys = [(kind, p.dim() >= 2) for kind, p in zip(kinds(group, chain), group["params"], strict=True)]
    return [found.setdefault((kind, is_matrix), Formula(chain, kind, is_matrix)) for kind, is_matrix in keys]


@dataclass(frozen=True)
class Import:
    """From a group of torch's."""

    group: SavedGroup
    language: Language
    phrase: Phrase | None = None
    refusal: str | None = None

    @classmethod
    def of(
        cls,
        own: dict[str, Any] | None,
        formula: Formula | None,
        dialect: Dialect,
        saved: Mapping[str, Any],
        theirs: Language,
        done: int | None,
    ) -> Import:
        """Into a group that steps by this formula; as it is where the group is the drop-in's, or there is none."""
        unknown = SavedGroup(f"torch.optim.{theirs.name}")
        if own is None or formula is None:
            return cls(unknown, theirs)
        if isinstance(dialect, TorchDialect):
            return cls(SavedGroup(theirs.name, {n: v for n, v in saved.items() if n not in IDENTITY}), theirs)
        settings = {name: saved.get(name, default) for name, default in theirs.defaults.items()}
        theirs.dialect.mend(settings)
        phrase = theirs.phrase(formula, settings)
        if phrase is None or not theirs.means(settings, formula, phrase.numbers_in(settings)):
            said = theirs.dialect.read(settings)
            why = f"torch.optim.{theirs.name} with these settings is {said!r}, and this optimizer steps by {formula!r}"
            return cls(unknown, theirs, refusal=why)
        if done is None and schedules_of(own, dialect):
            why = f"its schedule goes on from a step that torch.optim.{theirs.name} does not count; pass `steps=`"
            return cls(unknown, theirs, refusal=why)
        further = {n: v for n, v in saved.items() if n not in theirs.defaults and n not in IDENTITY}
        numbers = {"maximize": bool(saved.get("maximize", False)), **further, **phrase.numbers_in(settings)}
        if done is not None:
            numbers["steps"] = done
        return cls(SavedGroup(rule_of(own, dialect), numbers), theirs, phrase)

    def translate(self, state: Mapping[str, Any]) -> SavedState:
        """A parameter's state in the names that the optimizer has for it."""
        entries = {name: value for name, value in state.items() if value is not None}
        if self.phrase is None:
            return SavedState(entries, self.group, self.refusal)
        own_names = {theirs: own for own, theirs in self.phrase.states.items()}
        dialect = self.language.dialect
        idle = dialect.optional_states - own_names.keys()
        renamed = {name_in_state(name, own_names): value for name, value in entries.items() if name not in idle}
        if renamed and not dialect.keeps_step:
            renamed["step"] = 1.0  # all that torch knows: it is not the first step
        return SavedState(renamed, self.group)


@dataclass(frozen=True)
class Export:
    """To a group of torch's."""

    settings: dict[str, Any]
    phrase: Phrase
    language: Language

    @classmethod
    def of(cls, group: Mapping[str, Any], formula: Formula, theirs: Language) -> Export:
        """From a group that steps by this formula. Raises `CheckpointError` where torch cannot say it."""
        chain = formula.chain
        phrase = theirs.any_phrase(formula)
        if phrase is None:
            message = f"torch.optim.{theirs.name} is another formula than {formula!r}, whatever its settings"
            raise CheckpointError(message)
        said = {n: v(group["steps"]) if callable(v) else float(v) for n, v in chain.numbers(formula.trace).items()}
        settings = phrase.say(said)
        if not theirs.means(settings, formula, said):
            message = f"torch.optim.{theirs.name} has no settings that mean {formula!r}"
            raise CheckpointError(message)
        numbers = chain.numbers(*chain.traces(kinds(group, chain)))
        further = {n: v for n, v in group.items() if n not in {*IDENTITY, "steps", *numbers}}
        return cls({**settings, **further}, phrase, theirs)

    def translate(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """A parameter's state in torch's names."""
        state = as_wanted(state, dict.fromkeys(self.phrase.states, torch.float32))
        renamed = {theirs: state[own] for own, theirs in self.phrase.states.items() if own in state}
        if self.language.dialect.keeps_step and "step" in state:
            wide = torch.get_default_dtype() == torch.float64  # as torch has its step counts
            renamed["step"] = torch.tensor(float(state["step"]), dtype=torch.float64 if wide else torch.float32)
        return renamed
