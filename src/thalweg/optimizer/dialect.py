"""How the entries of a parameter group say which chain steps its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from thalweg.chain import Chain
from thalweg.errors import ChainError, HyperparameterError, did_you_mean
from thalweg.formula import Level
from thalweg.optimizer.calls import CALLS, SKIPS
from thalweg.optimizer.positions import CONTROLLERS, take_positions
from thalweg.optimizer.selection import kinds
from thalweg.optimizer.state_dtypes import StateDtypes, state_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.formula import Schedule, Trace, Value

_SCHEDULERS = ("initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum", "swa_lr")
_COUNTS = ("steps", CALLS, SKIPS, CONTROLLERS)
PLUMBING = frozenset(
    ("params", "param_names", "roles", "name", "chain", "maximize", "state_dtype", *_COUNTS, *_SCHEDULERS)
)
"""Entries of a group that are no number of its chain: torch's, those that its schedulers leave there, and ours."""


class Dialect(Protocol):
    """What tells an optimizer of a user's chain from a drop-in for one of torch's."""

    @property
    def state_names(self) -> Mapping[str, str]:
        """What the states are called in `state_dict`, by their names in the formula; missing ones keep theirs."""
        ...

    @property
    def keeps_step(self) -> bool:
        """Whether the step count stands in `state_dict`."""
        ...

    @property
    def optional_states(self) -> frozenset[str]:
        """Names in `state_dict` of states that only some settings keep."""
        ...

    @property
    def shows_codes(self) -> bool:
        """Whether states in 8 bits stand in `state_dict` as they are kept; or else as the numbers that they are."""
        ...

    @property
    def rows_only(self) -> bool:
        """Whether gradients must be sparse, and rows without one stay whatever the formula does."""
        ...

    def complete(self, group: dict[str, Any]) -> None:
        """Check a new group's entries and add those that it lacks. Raises `HyperparameterError`."""
        ...

    def mend(self, group: dict[str, Any]) -> None:
        """Set what a loaded group may have otherwise, and must not."""
        ...

    def read(self, group: Mapping[str, Any]) -> Chain:
        """The chain that a group's entries say now."""
        ...

    def schedules_beside(self, group: Mapping[str, Any]) -> dict[str, Schedule]:
        """What drives numbers of the group that are not its chain's, by their names there."""
        ...


class ChainDialect:
    """A chain as its user wrote it: a group's entries are the names of the chain's numbers."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.state_names: Mapping[str, str] = {}
        self.keeps_step = True
        self.optional_states: frozenset[str] = frozenset()
        self.shows_codes = True
        self.rows_only = False

    def complete(self, group: dict[str, Any]) -> None:
        """Give the group its chain, and that chain's numbers where the group has none of its own."""
        chain = group.get("chain", self.chain)
        if not isinstance(chain, Chain):
            message = f"a parameter group's `chain` is {chain!r}; write `chain(…)`"
            raise ChainError(message)
        traces = chain.traces(kinds(group, chain))
        numbers = chain.numbers(*traces)
        of_model = {kept.name for traced in traces for kept in traced.states if kept.level is Level.MODEL}
        for name in group:
            if name not in numbers and name not in PLUMBING and name not in of_model:
                message = (
                    f"a parameter group sets `{name}`, which {chain!r} does not have; {did_you_mean(name, numbers)}"
                )
                raise HyperparameterError(message)
        group.setdefault("maximize", False)
        group.setdefault("steps", 0)
        if "state_dtype" in group:
            group["state_dtype"] = _own_dtypes(group, chain, traces).plain
        group["chain"] = chain = chain.replace({name: group[name] for name in numbers if name in group}, *traces)
        for name, value in chain.numbers(*traces).items():
            if not isinstance(group.get(name), torch.Tensor):  # a tensor may be filled anew between steps
                group[name] = value(0) if callable(value) else value

    def mend(self, group: dict[str, Any]) -> None:
        """Have the schedules go on where those of a loaded group stood."""
        take_positions(group, group["chain"].schedules)

    def read(self, group: Mapping[str, Any]) -> Chain:
        """The group's chain with the group's numbers; what a schedule drives stays a schedule's."""
        chain: Chain = group["chain"]
        traces = chain.traces(kinds(group, chain))
        numbers = chain.numbers(*traces)
        for name in numbers:
            if name not in group:
                message = f"a parameter group lacks `{name}`, which its {chain!r} needs; for another chain, add a group"
                raise ChainError(message)
        given: dict[str, Value] = {name: group[name] for name in numbers}
        return chain.replace({n: v for n, v in given.items() if not callable(numbers[n]) or callable(v)}, *traces)

    def schedules_beside(self, group: Mapping[str, Any]) -> dict[str, Schedule]:  # noqa: ARG002  # whatever the group is
        """Nothing: all numbers are the chain's."""
        return {}


def _own_dtypes(group: Mapping[str, Any], chain: Chain, traces: Sequence[Trace]) -> StateDtypes:
    """In which dtypes a group keeps its states; of those for all groups, what its chain has."""
    asked = group["state_dtype"]
    own = asked.within(state_names(chain, traces)) if isinstance(asked, StateDtypes) else StateDtypes.read(asked)
    own.check(chain, traces, group["params"])
    return own
