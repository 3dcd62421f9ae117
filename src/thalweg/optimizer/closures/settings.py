"""What such an optimizer keeps in its parameter groups beside the numbers of their chains: `rho` and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from thalweg.chain import Chain
from thalweg.errors import HyperparameterError, ParameterError
from thalweg.optimizer.dialect import ChainDialect
from thalweg.optimizer.positions import CONTROLLERS, take_positions
from thalweg.optimizer.selection import kinds
from thalweg.optimizer.sharding import is_spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.formula import Hyperparameter, Schedule, Value
    from thalweg.optimizer.dialect import Dialect


class MethodDialect:
    """How groups say their chains, and the numbers of the method around them.

    In a group a number has its own name, or `sam.rho` where the chain has a `rho`, too.
    """

    def __init__(self, method: str, of_chains: Dialect, numbers: Mapping[Hyperparameter, float | Schedule]) -> None:
        self.method = method
        self.state_names = of_chains.state_names
        self.keeps_step = of_chains.keeps_step
        self.optional_states = of_chains.optional_states
        self.shows_codes = of_chains.shows_codes
        self.rows_only = of_chains.rows_only
        self._of_chains = of_chains
        self._usual = of_chains.chain if isinstance(of_chains, ChainDialect) else None
        self._known = {hyper.name: hyper for hyper in numbers}
        self._given = {hyper.name: hyper.check(value, method) for hyper, value in numbers.items()}

    def complete(self, group: dict[str, Any]) -> None:
        """Check a new group's entries and add those that it lacks. Raises `HyperparameterError`."""
        if any(is_spread(entry[1] if isinstance(entry, tuple) else entry) for entry in group["params"]):
            message = (
                f"{self.method} moves whole parameters between evaluations, and one lies on several processes; use it "
                "with DistributedDataParallel, whose parameters are whole on each"
            )
            raise ParameterError(message)
        chain = group.get("chain", self._usual)
        taken = chain.numbers(*chain.traces(kinds(group, chain))) if isinstance(chain, Chain) else {}
        keys = {name: self._prefixed(name) if name in taken else name for name in self._known}
        own = {name: group.pop(key) for name, key in keys.items() if key in group}
        self._of_chains.complete(group)
        for name, key in keys.items():
            given = self._given[name]
            if callable(own.get(name)) or (callable(given) and name in own):
                message = (
                    f"{self.method}: a parameter group sets `{key}` to {own[name]!r}; a schedule is for all groups: "
                    "give it to the optimizer, and no value of their own to groups"
                )
                raise HyperparameterError(message)
            value = cast("Value", own.get(name, given))
            group[key] = self._known[name].check(value(group["steps"]) if callable(value) else value, self.method)

    def mend(self, group: dict[str, Any]) -> None:
        """As the chains', and the method's own schedules go on, too, where those of a loaded group stood."""
        saved = group.get(CONTROLLERS, {})
        self._of_chains.mend(group)
        take_positions({CONTROLLERS: saved}, self.schedules_beside(group))

    def read(self, group: Mapping[str, Any]) -> Chain:
        """The chain that a group's entries say now."""
        return self._of_chains.read(group)

    def schedules_beside(self, group: Mapping[str, Any]) -> dict[str, Schedule]:
        """What drives the method's own numbers."""
        given = {self._key(group, name): value for name, value in self._given.items()}
        return {key: value for key, value in given.items() if callable(value)}

    def number(self, group: dict[str, Any], name: str) -> float:
        """A number of the method's at this step; where a schedule drives it, it is set in the group.

        Raises `HyperparameterError` if it is out of range.
        """
        key = self._key(group, name)
        given = self._given[name]
        if callable(given):
            group[key] = float(given(group["steps"]))
        return float(cast("float", self._known[name].check(group[key], self.method)))

    def _key(self, group: Mapping[str, Any], name: str) -> str:
        return self._prefixed(name) if self._prefixed(name) in group else name

    def _prefixed(self, name: str) -> str:
        return f"{self.method}.{name}"
