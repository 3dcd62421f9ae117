"""Loads saved states into an optimizer, each by its parameter's name, and says what does not fit."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import torch

from thalweg.errors import CheckpointError, ThalwegError, did_you_mean
from thalweg.optimizer.dialect import PLUMBING, Dialect
from thalweg.optimizer.dropin.dialect import TorchDialect
from thalweg.optimizer.expected import Expected
from thalweg.optimizer.load_report import LoadReport, other_beginning
from thalweg.optimizer.positions import controllers_in, counts_of, misfit, schedules_of
from thalweg.optimizer.sharding import is_spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from thalweg.optimizer.optimizer import Optimizer

Settings: TypeAlias = Literal["saved", "own"]
IDENTITY = ("params", "param_names", "roles", "chain", "name", "state_dtype")
"""A group's entries that say what it consists of, and not how it steps."""


@dataclass(frozen=True, eq=False)
class SavedGroup:
    """What the parameters of a saved group had in common."""

    rule: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    schedules: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    """The numbers that a schedule drove, which are not among the settings, and where its controllers stood."""


@dataclass(frozen=True, eq=False)
class SavedState:
    """One parameter's state, by the names that it has in `state_dict`."""

    entries: Mapping[str, Any]
    group: SavedGroup
    refusal: str | None = None
    """Why it can be no state of this optimizer's, where that is known beforehand."""


def dialect_of(optimizer: Optimizer) -> Dialect:
    """How the optimizer's groups say their chain."""
    return optimizer.dialect


def rule_of(group: Mapping[str, Any], dialect: Dialect) -> str:
    """What must be equal for two groups to take each other's state: a drop-in's name, or the chain's form."""
    return dialect.name if isinstance(dialect, TorchDialect) else group["chain"].form


def load_states(
    optimizer: Optimizer,
    names: Sequence[Sequence[str]],
    saved: Mapping[str, SavedState],
    *,
    strict: bool,
    settings: Settings,
) -> LoadReport:
    """Load what fits; `names` are those of the optimizer's parameters, group by group.

    Raises `CheckpointError`, and changes nothing, if `strict` and something does not fit.
    """
    if settings not in get_args(Settings):
        message = f"`settings` is {settings!r}; {did_you_mean(str(settings), get_args(Settings))}"
        raise CheckpointError(message)
    dialect = dialect_of(optimizer)
    groups = [
        _GroupLoad(f"group {at}", group, dialect, own, saved)
        for at, (group, own) in enumerate(zip(optimizer.param_groups, names, strict=True))
    ]
    standing: dict[int, Mapping[str, Any]] = {}
    for group in groups:
        group.choose(settings, standing)
    known = {name for own in names for name in own}
    report = LoadReport(
        loaded=tuple(name for group in groups for name in group.fitting),
        missing=tuple(name for own in names for name in own if name not in saved),
        unexpected=tuple(name for name in saved if name not in known),
        mismatched={name: why for group in groups for name, why in group.mismatched.items()},
    )
    if strict and not report.fits:
        message = f"the checkpoint does not fit, and nothing was loaded.\n{report.misfits}\n{_advice(report)}"
        raise CheckpointError(message)
    copies = [(p, _copied(group.entries[name], p)) for group in groups for name, p in group.fitting.items()]
    for parameter, state in copies:
        optimizer.state.pop(parameter, None)
        if state:
            optimizer.state[parameter] = state
    for group in groups:
        group.settle()
    return report


class _GroupLoad:
    """What fits into one group: the states of its parameters, settings, and positions of schedules."""

    def __init__(
        self, label: str, group: dict[str, Any], dialect: Dialect, names: Sequence[str], saved: Mapping[str, SavedState]
    ) -> None:
        self.fitting: dict[str, Tensor] = {}
        self.entries: dict[str, Mapping[str, Any]] = {}
        self.mismatched: dict[str, str] = {}
        self._label = label
        self._group = group
        self._dialect = dialect
        self._saved = saved
        self._candidates: dict[str, Tensor] = {}
        self._source: SavedGroup | None = None
        self._settings: dict[str, Any] = {}
        self._schedules = schedules_of(group, dialect)
        self._counts = counts_of(group, dialect)
        rule = rule_of(group, dialect)
        for name, parameter in zip(names, group["params"], strict=True):
            found = saved.get(name)
            if found is None:
                continue
            if found.refusal is not None or found.group.rule != rule:
                why = f"its state is of {found.group.rule}, and this optimizer steps by {rule}"
                self.mismatched[name] = found.refusal or why
            else:
                self._candidates[name] = parameter

    def choose(self, which: Settings, standing: dict[int, Mapping[str, Any]]) -> None:
        """Take the settings of the saved groups that the parameters come from, and the states that fit them."""
        sources = list(dict.fromkeys(self._saved[name].group for name in self._candidates))
        why = self._choose_settings(sources, which, standing) if sources else None
        try:
            expected = Expected(self._group | self._settings, self._dialect)
        except ThalwegError as error:
            why, self._settings, self._source = str(error), {}, None
            expected = Expected(self._group, self._dialect)
        if why is not None:
            self.mismatched[self._label] = why
        for name, parameter in self._candidates.items():
            entries = expected.in_kind(self._saved[name].entries, parameter)
            why = expected.misfit(entries, parameter)
            if why is None:
                self.fitting[name] = parameter
                self.entries[name] = entries
            else:
                self.mismatched[name] = why

    def settle(self) -> None:
        """Write settings and positions into the group."""
        if self._source is None:
            return
        for name in self._counts - self._settings.keys() - {"steps"}:
            self._group.pop(name, None)  # it begins anew, as where it was saved
        self._group.update(self._settings)
        self._dialect.mend(self._group)
        for name, states in self._positions(self._source).items():
            for controller, state in zip(controllers_in(self._schedules[name]), states, strict=True):
                controller.load_state_dict(state)

    def _choose_settings(
        self, sources: Sequence[SavedGroup], which: Settings, standing: dict[int, Mapping[str, Any]]
    ) -> str | None:
        """Why the groups' settings cannot be taken; None if they can."""
        kept = {n for n in self._group if n not in (*IDENTITY, *self._schedules) and n not in self._counts}
        said: dict[str, list[Any]] = {}
        for source in sources:
            for name, value in source.settings.items():
                said.setdefault(name, []).append(value)
        wanted = [n for n in said if n in self._counts or (which == "saved" and n not in self._schedules)]
        differing = [n for n in wanted if any(not _same(value, said[n][0]) for value in said[n])]
        if differing:
            values = (f"{n} ({', '.join(map(repr, said[n]))})" for n in differing)
            return f"its parameters come from groups that differ in {', '.join(values)}"
        needed = [n for n in kept if _is_number(self._group[n]) and n not in PLUMBING] if which == "saved" else []
        lacking = [n for n in needed if n not in said and not any(n in source.schedules for source in sources)]
        if lacking:
            return f"the saved group lacks {', '.join(sorted(lacking))}"
        first = sources[0]
        for name, states in self._positions(first).items():
            if any(source.schedules.get(name) != states for source in sources):
                return f"its parameters come from groups whose schedules of `{name}` stand at different places"
            why = misfit(self._schedules[name], states, standing)
            if why is not None:
                return f"`{name}`: {why}"
        self._source = first
        self._settings = {n: copy.deepcopy(said[n][0]) for n in wanted}
        return None

    def _positions(self, source: SavedGroup) -> dict[str, list[dict[str, Any]]]:
        """Where the controllers of the group's schedules stood, if they were schedules with controllers then."""
        return {name: source.schedules[name] for name in self._schedules if source.schedules.get(name)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | tuple | list | torch.Tensor) and not isinstance(value, bool)


def _same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
        return isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and torch.equal(a, b)
    return a == b


def _advice(report: LoadReport) -> str:
    beginning = other_beginning(report.missing, report.unexpected)
    if beginning:
        return f"The names differ by `{beginning}`: pass `model=` with the model as it is without that wrapping."
    keep = "; to keep this optimizer's numbers, settings='own'"
    of_groups = any(name.startswith("group ") for name in report.mismatched)
    return f"To load what fits, pass strict=False{keep if of_groups else ''}."


def _copied(state: Mapping[str, Any], parameter: Tensor) -> dict[str, Any]:
    """A copy of a state where its parameter is, of its own dtype."""
    return {
        name: _placed(value, parameter) if isinstance(value, torch.Tensor) and name != "step" else copy.deepcopy(value)
        for name, value in state.items()
    }


def _placed(value: Tensor, parameter: Tensor) -> Tensor:
    if is_spread(value) or is_spread(parameter):
        return value.detach().clone()  # what is whole is cut as the parameter is, before the next step
    if value.shape == parameter.shape:
        new = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False)
    else:
        new = torch.empty(value.shape, dtype=value.dtype, device=parameter.device)
    return new.copy_(value.detach())
