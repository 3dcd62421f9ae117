"""Which optimizer of torch and of optax is which of our rules, as the rules themselves say it.

A rule has several dialects, and is measured in one that both libraries have, if there is such a one. A rule whose
formula torch and optax do not have has no twin there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from thalweg import rules
from thalweg.formula.translation import RATE, STEP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.formula import Rule, Value
    from thalweg.formula.translation import Library, Translation

Call: TypeAlias = "tuple[str, Mapping[str, object]]"
"""A class or function of the library, by its name there, and its settings."""


@dataclass(frozen=True)
class Twin:
    """The settings of our rule besides its defaults, and the calls that do the same."""

    settings: Mapping[str, Value] = field(default_factory=dict[str, "Value"])
    torch: Call | None = None
    optax: Call | None = None


def twin_of(name: str, rate: float | None) -> Twin:
    """The rule's twins at a constant learning rate, and the settings to measure it with.

    >>> twin_of("heavy_ball", 0.1).torch
    ('SGD', {'lr': 0.1, 'momentum': 0.9, 'dampening': 0.0})
    """
    rule = rules.get(name)
    defaults = {name: hyper.default for name, hyper in rule.hyperparameters.items()}
    spoken = [*_in(rule, "torch"), *_in(rule, "optax")]
    settings = defaults | dict(spoken[0].fixed) if spoken else defaults
    calls = {
        library: _call(found, {**settings, RATE: rate, STEP: 1})
        for library in ("torch", "optax")
        for found in reversed(_in(rule, library))
        if found.holds(settings)
    }
    changed = {name: value for name, value in settings.items() if value != defaults[name]}
    return Twin(changed, calls.get("torch"), calls.get("optax"))


def _in(rule: Rule, library: Library) -> list[Translation]:
    """The translations to a library, those that hold at any learning rate first."""
    found = [translation for translation in rule.translations if translation.library == library]
    return sorted(found, key=lambda translation: translation.needs_constant_rate)


def _call(translation: Translation, settings: Mapping[str, Value]) -> Call:
    """Without the packages before the name: `torch.optim`, `optax`."""
    prefix = "torch.optim." if translation.library == "torch" else "optax."
    return translation.name.removeprefix(prefix), translation.values(settings)
