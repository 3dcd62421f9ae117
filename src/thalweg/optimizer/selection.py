"""Which stages of a chain are for which parameter: by its role in the module, or by a pattern of its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from thalweg.errors import ChainError, ParameterError, UnknownNameError, did_you_mean
from thalweg.optimizer.roles import ROLES, Role, doubts, match, matching, roles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.chain import Chain, Kind

_PATTERN = frozenset("*?[.")


def kinds(group: Mapping[str, Any], chain: Chain) -> list[Kind]:
    """How the chain sees each parameter of a group, in order; `roles` and names stand in the group.

    Raises `ChainError` where it selects by what the group does not say, `UnknownNameError` for what is no role.
    """
    entries: Sequence[Any] = group["params"]
    tensors = [entry[1] if isinstance(entry, tuple) else entry for entry in entries]
    if not chain.selects:
        vector, matrix = (chain.kind_of((), is_matrix=is_matrix) for is_matrix in (False, True))
        return [matrix if _is_matrix(tensor) else vector for tensor in tensors]
    names: Sequence[str | None] = group.get("param_names") or [e[0] if isinstance(e, tuple) else None for e in entries]
    roles: Sequence[str | None] = group.get("roles") or [None] * len(tensors)
    _check(chain, names, roles)
    found: list[Kind] = []
    for tensor, name, role in zip(tensors, names, roles, strict=True):
        spoken = {one for one in chain.selects if one == role or (name is not None and match(one, name))}
        kind = chain.kind_of(spoken, is_matrix=_is_matrix(tensor))
        if chain.stages and not any(place < len(chain.stages) for place in kind.active):
            called = f"`{name}`" + (f", a {role}," if role else "")
            message = f"{chain!r} has no stage for {called}; add one, or put that parameter into a group of its own"
            raise ChainError(message)
        found.append(kind)
    return found


def _is_matrix(entry: object) -> bool:
    return isinstance(entry, torch.Tensor) and entry.dim() >= 2  # torch says what is wrong with anything else


def _check(chain: Chain, names: Sequence[str | None], roles: Sequence[str | None]) -> None:
    for one in chain.selects:
        if one in ROLES:
            if not all(roles):
                message = f"{chain!r} selects by the role `{one}`; give the model itself, or `roles=`, to know roles"
                raise ChainError(message)
        elif not _PATTERN.isdisjoint(one):
            if not all(names):
                message = f"{chain!r} selects by the name `{one}`; give the model, or named parameters, to know names"
                raise ChainError(message)
        elif one not in names:
            hint = did_you_mean(one, [*ROLES, *(name for name in names if name)])
            message = f"{chain!r} selects by `{one}`, which is no role, no parameter's name and no pattern; {hint}"
            raise UnknownNameError(message)


def with_roles(params: Any, chain: Chain, given: Mapping[str, Role]) -> Any:  # noqa: ANN401  # as an optimizer takes them
    """The parameters with their names, and with their roles where they come from a module or `given` has them all.

    Raises `ParameterError` where the chain treats a parameter by a role that the module leaves open.
    """
    if isinstance(params, nn.Module):
        named = list(params.named_parameters())
        if not chain.selects and not given:
            return named
        found = roles(params, overrides=given)
        _refuse_doubts(params, chain, given)
        return [{"params": named, "roles": [found[name] for name, _ in named]}]
    if not given:
        return params
    entries = list(params)
    if not all(isinstance(entry, tuple) for entry in entries):
        message = "`roles` goes by names; give the model, or named parameters (`model.named_parameters()`)"
        raise ParameterError(message)
    names = [name for name, _ in entries]
    by_name = {name: role for pattern, role in given.items() for name in matching(pattern, names)}
    if len(by_name) < len(names):
        message = f"`roles` says nothing of {', '.join(f'`{name}`' for name in names if name not in by_name)}"
        raise ParameterError(message)
    return [{"params": entries, "roles": [by_name[name] for name in names]}]


def _refuse_doubts(model: nn.Module, chain: Chain, given: Mapping[str, Role]) -> None:
    shapes = {name: parameter.dim() >= 2 for name, parameter in model.named_parameters()}
    for name, doubt in doubts(model, overrides=given).items():
        by_pattern = {one for one in chain.selects if one not in ROLES and match(one, name)}
        seen = {chain.kind_of({*by_pattern, role}, is_matrix=shapes[name]) for role in doubt.options}
        if len(seen) > 1:
            raise ParameterError(f"{chain!r} depends on a role that is not certain: {doubt}")


def check_patterns(chain: Chain, names: Sequence[str]) -> None:
    """Refuse a pattern that fits none of all the names. Raises `UnknownNameError`."""
    for one in chain.selects:
        if one not in ROLES:
            _ = matching(one, names)
