"""How torch's argument names say a chain; what the drop-in classes share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from thalweg.chain import Chain, Step, decay
from thalweg.errors import HyperparameterError, UnknownNameError, did_you_mean
from thalweg.formula import Range, Rule, Stage, Value
from thalweg.formula.hyperparameter import WANTS_GRADIENT
from thalweg.optimizer.selection import kinds
from thalweg.optimizer.state_dtypes import StateDtypes, state_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from thalweg.formula import Schedule

Rate: TypeAlias = "float | torch.Tensor"
"""A number, or a tensor with one element whose value is read at every step."""
ANY = Range(float("-inf"), float("inf"), low_included=False)
NOT_NEGATIVE = Range(0)
BETA = Range(0, 1)


@dataclass(frozen=True)
class TorchDialect:
    """One of torch's optimizers: its names of states, the ranges that it checks, and the chain that its arguments mean.

    The ranges are torch's, wider than our rules' own, and are looked at when a group is made, as torch does: what a
    scheduler sets later is taken as it is.
    """

    name: str
    chain_of: Callable[[Mapping[str, Any]], Chain]
    state_names: Mapping[str, str]
    ranges: Mapping[str, Range | tuple[Range, Range]]
    keeps_step: bool = True
    optional_states: frozenset[str] = frozenset()
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Entries of a group that are not the user's to choose."""
    rows_only: bool = False
    shows_codes: bool = False

    def complete(self, group: dict[str, Any]) -> None:
        """Refuse a wrong setting at once, not at the first step."""
        self.mend(group)
        if group.get("differentiable"):
            message = (
                f"{self.name}: `differentiable=True` is not to be had here; use thalweg.functional, or "
                f"torch.optim.{self.name}"
            )
            raise HyperparameterError(message)
        for name, wanted in self.ranges.items():
            value = group[name]
            if isinstance(wanted, Range):
                self._check(name, value, wanted)
                continue
            if not isinstance(value, tuple | list) or len(value) != len(wanted):
                message = f"{self.name}: `{name}` is {value!r}; it must be a pair of numbers"
                raise HyperparameterError(message)
            for place, (part, bounds) in enumerate(zip(value, wanted, strict=True)):
                self._check(f"{name}[{place}]", part, bounds)
        chain = self.read(group)
        if group.get("state_dtype") is not None:
            group["state_dtype"] = self._own_dtypes(group, chain).plain

    def mend(self, group: dict[str, Any]) -> None:
        """Set what is not the user's to choose."""
        group.update(self.fixed)

    def read(self, group: Mapping[str, Any]) -> Chain:
        """The chain that a group's entries say now."""
        try:
            return self.chain_of(group)
        except (TypeError, ValueError, IndexError, KeyError) as error:
            if isinstance(error, HyperparameterError):
                raise
            given = ", ".join(f"{name}={v!r}" for name, v in group.items() if name not in ("params", "param_names"))
            message = f"{self.name} cannot read the settings {given}: {error}"
            raise HyperparameterError(message) from error

    def schedules_beside(self, group: Mapping[str, Any]) -> dict[str, Schedule]:  # noqa: ARG002  # as in other dialects
        """Nothing: torch's schedulers write into the groups."""
        return {}

    def _own_dtypes(self, group: Mapping[str, Any], chain: Chain) -> StateDtypes:
        """In which dtypes a group keeps its states, which are called as torch calls them."""
        asked = StateDtypes.read(group["state_dtype"])
        known = self.state_names.values()
        for name in asked.named:
            if name not in known:
                message = (
                    f"{self.name}: `state_dtype` names `{name}`, and it has no such state; {did_you_mean(name, known)}"
                )
                raise UnknownNameError(message)
        traces = chain.traces(kinds(group, chain))
        names = self.state_names
        asked.renamed(names).within(state_names(chain, traces)).check(chain, traces, group["params"])
        return asked

    def _check(self, name: str, value: object, wanted: Range) -> None:
        if isinstance(value, torch.Tensor) and value.numel() != 1:
            message = f"{self.name}: `{name}` is a tensor of {value.numel()} elements; it must have one"
            raise HyperparameterError(message)
        if isinstance(value, torch.Tensor) and value.requires_grad:
            raise HyperparameterError(f"{self.name}: `{name}` {WANTS_GRADIENT}")
        if isinstance(value, bool) or not isinstance(value, int | float | torch.Tensor):
            message = f"{self.name}: `{name}` is {value!r}; it must be a number in {wanted}"
            raise HyperparameterError(message)
        if float(value) not in wanted:
            message = f"{self.name}: `{name}` is {float(value):g}; it must lie in {wanted}"
            raise HyperparameterError(message)


def stage(rule: Rule, **settings: Value) -> Stage:
    """A stage as torch takes it, outside our rules' ranges too."""
    return Stage(rule, tuple(settings.items()))


def coupled(group: Mapping[str, Any], rule: Stage) -> Chain:
    """L2 regularisation before the rule, and the step after it."""
    weight = float(group.get("weight_decay", 0))
    return Chain((*([stage(decay, weight=weight)] if weight else []), rule), Step(float(group["lr"])))


def decoupled(group: Mapping[str, Any], rule: Stage) -> Chain:
    """The rule, then weight decay multiplied by the learning rate, then the step."""
    weight = float(group["weight_decay"])
    return Chain((rule, *([stage(decay, weight=weight)] if weight else [])), Step(float(group["lr"])))
