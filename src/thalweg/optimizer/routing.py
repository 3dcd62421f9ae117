"""Splits the parameters of a model into groups, each with the chain that a route has for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from thalweg.errors import ChainError, ParameterError, UnknownNameError, did_you_mean
from thalweg.optimizer.dialect import ChainDialect
from thalweg.optimizer.roles import ROLES, Role, match
from thalweg.optimizer.selection import in_brackets, named_with_roles, refuse_doubts, treatment

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from thalweg.chain import Chain, Route
    from thalweg.formula import Schedule


def routed(params: Any, route: Route, given: Mapping[str, Role]) -> list[dict[str, Any]]:  # noqa: ANN401  # as an optimizer takes them
    """The parameter groups that a route makes of a model's parameters, or of named ones; of their roles, `given`.

    Raises `ParameterError` for parameters that nothing is for, or whose chain depends on a role that the model leaves
    open, `ChainError` where roles or names are needed and not known, `UnknownNameError` for a name that fits nothing.
    """
    keys = [key for key, _ in route.entries]
    chains = dict(route.entries)
    is_module = isinstance(params, nn.Module)
    if is_module or given:
        entries, found = named_with_roles(params, given)
        names: Sequence[str | None] = [name for name, _ in entries]
        roles: Sequence[Role | None] = found
    else:
        entries = [params] if isinstance(params, torch.Tensor) else list(params)
        if any(isinstance(entry, dict) for entry in entries):
            raise ParameterError("a route makes the parameter groups itself; give the model, or named parameters")
        names = [entry[0] if isinstance(entry, tuple) else None for entry in entries]
        roles = [None] * len(entries)
    _check(route, names, roles)

    def treat(name: str, role: Role, shape: tuple[int, ...]) -> Hashable:
        key = _first(keys, name, role)
        return key, key is not None and treatment(chains[key], name, role, shape)

    if is_module:
        refuse_doubts(params, treat, given, route)
    homes = [_first(keys, name, role) for name, role in zip(names, roles, strict=True)]
    lost = [_called(name, role) for name, role, key in zip(names, roles, homes, strict=True) if key is None]
    if lost:
        raise ParameterError(f"{route!r} has no chain for {', '.join(lost)}; add one, or '*' for all the rest")
    return [_group(entries, roles, homes, key, chain) for key, chain in route.entries if key in homes]


class RoutedDialect:
    """As `ChainDialect`, for groups that each bring their chain."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._any = ChainDialect(route.entries[0][1])
        self.state_names = self._any.state_names
        self.keeps_step = self._any.keeps_step
        self.optional_states = self._any.optional_states
        self.shows_codes = self._any.shows_codes
        self.rows_only = False

    def complete(self, group: dict[str, Any]) -> None:
        """Give the group the numbers of its chain. Raises `ChainError` if it has none."""
        if "chain" not in group:
            raise ChainError(f"a parameter group that joins {self._route!r} brings its own `chain`")
        self._any.complete(group)

    def mend(self, group: dict[str, Any]) -> None:
        """Have the schedules go on where those of a loaded group stood."""
        self._any.mend(group)

    def read(self, group: Mapping[str, Any]) -> Chain:
        """The group's chain with the group's numbers."""
        return self._any.read(group)

    def schedules_beside(self, group: Mapping[str, Any]) -> dict[str, Schedule]:
        """Nothing: all numbers are the chain's."""
        return self._any.schedules_beside(group)


def _first(keys: Sequence[str], name: str | None, role: Role | None) -> str | None:
    """The first key that fits a parameter."""
    return next((key for key in keys if key in ("*", role) or (name is not None and match(key, name))), None)


def _group(
    entries: Sequence[Any], roles: Sequence[Role | None], homes: Sequence[str | None], key: str, chain: Chain
) -> dict[str, Any]:
    own = [at for at, home in enumerate(homes) if home == key]
    known = [role for at in own if (role := roles[at]) is not None]
    group = {"params": [entries[at] for at in own], "chain": chain}
    return {**group, "roles": known} if known else group


def _check(route: Route, names: Sequence[str | None], roles: Sequence[Role | None]) -> None:
    """Refuse a key that cannot be told, or means nothing here."""
    known = [name for name in names if name is not None]
    for key, _ in route.entries:
        if key in ROLES:
            if not all(roles):
                raise ChainError(
                    f"{route!r} goes by the role `{key}`; give the model itself, or `roles=`, to know roles"
                )
        elif key != "*":
            if len(known) < len(names):
                raise ChainError(
                    f"{route!r} goes by the name `{key}`; give the model, or named parameters, to know names"
                )
            if not any(match(key, name) for name in known):
                hint = did_you_mean(key, [*ROLES, *known])
                raise UnknownNameError(f"{route!r}: `{key}` is no role, and no parameter's name fits it; {hint}")


def _called(name: str | None, role: Role | None) -> str:
    return (f"`{name}`" if name else "a parameter without a name") + in_brackets(role)
