"""Which stages of a chain are for which parameter: by its role in the module, or by a pattern of its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from thalweg.chain import stages
from thalweg.errors import ChainError, ParameterError, UnknownNameError, did_you_mean
from thalweg.optimizer.roles import ROLES, Role, doubts, match, matching, roles
from thalweg.optimizer.sharding import check_stackable, is_cut

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from thalweg.chain import Chain, Kind

_PATTERN = frozenset("*?[.")
_NO_RULES = frozenset(stages().values())
"""Stages that stand around a rule, and are none."""


def kinds(group: Mapping[str, Any], chain: Chain) -> list[Kind]:
    """How the chain sees each parameter of a group, in order; `roles` and names stand in the group.

    Raises `ChainError` where it selects by what the group does not say, `UnknownNameError` for what is no role, and
    `ParameterError` for a parameter that a matrix method is for and cannot step.
    """
    entries: Sequence[Any] = group["params"]
    tensors = [entry[1] if isinstance(entry, tuple) else entry for entry in entries]
    if not chain.selects and not chain.wholes:
        vector, matrix = (chain.kind_of((), is_matrix=is_matrix) for is_matrix in (False, True))
        return [matrix if _is_matrix(tensor) else vector for tensor in tensors]
    names: Sequence[str | None] = group.get("param_names") or [e[0] if isinstance(e, tuple) else None for e in entries]
    roles: Sequence[str | None] = group.get("roles") or [None] * len(tensors)
    _check(chain, names, roles)
    found: list[Kind] = []
    for at, (tensor, name, role) in enumerate(zip(tensors, names, roles, strict=True)):
        kind = _kind(chain, name, role, is_matrix=_is_matrix(tensor))
        called = (f"`{name}`" if name else f"parameter {at} of its group") + in_brackets(role)
        if chain.stages and not any(place < len(chain.stages) for place in kind.active):
            message = f"{chain!r} has no stage for {called}; add one, or put that parameter into a group of its own"
            raise ChainError(message)
        if chain.wholes and isinstance(tensor, torch.Tensor):  # torch says what is wrong with anything else
            _check_whole(chain, kind, called, tuple(tensor.shape), role)
            if chain.whole_for(kind) is not None and is_cut(tensor):
                check_stackable(tensor, called)
        found.append(kind)
    return found


def in_brackets(role: str | None) -> str:
    """What an error says of a role, if it is known."""
    return f" ({'an' if role[0] in 'aeiou' else 'a'} {role})" if role else ""


def _kind(chain: Chain, name: str | None, role: str | None, *, is_matrix: bool) -> Kind:
    """How the chain sees a parameter of this name and role."""
    spoken = {one for one in chain.selects if one == role or (name is not None and match(one, name))}
    return chain.kind_of(spoken, is_matrix=is_matrix)


def _check_whole(chain: Chain, kind: Kind, called: str, shape: tuple[int, ...], role: str | None) -> None:
    """Refuse a parameter that a matrix method cannot step, or that it leaves to no rule at all."""
    stage = chain.whole_for(kind)
    why = stage.refusal(shape, role) if stage is not None else ""
    if stage is not None and why:
        message = (
            f"{chain!r} cannot step {called}: {why}. Send it to another rule: chain({stage.rule.name}(only='matrix'), "
            "adam(skip='matrix'), step(…)), or route({'matrix': chain(…), '*': chain(…)})"
        )
        raise ParameterError(message)
    if stage is None and all(one.rule in _NO_RULES for place, one in enumerate(chain.stages) if place in kind.active):
        message = (
            f"{chain!r} has no rule for {called}: it would go down its plain gradient at a matrix method's rate; add "
            "one that takes over, as adam(skip='matrix')"
        )
        raise ChainError(message)


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
        if not chain.selects and not chain.wholes and not given:
            return list(params.named_parameters())
        refuse_doubts(params, lambda name, role, shape: treatment(chain, name, role, shape), given, chain)
    elif not given:
        return params
    named, found = named_with_roles(params, given)
    return [{"params": named, "roles": found}]


def named_with_roles(params: Any, given: Mapping[str, Role]) -> tuple[list[tuple[str, Any]], list[Role]]:  # noqa: ANN401  # as above
    """The named parameters, and the role of each, of a module or of `given`. Raises `ParameterError` for others."""
    if isinstance(params, nn.Module):
        named, found = list(params.named_parameters()), roles(params, overrides=given)
        return named, [found[name] for name, _ in named]
    entries = list(params)
    if not all(isinstance(entry, tuple) for entry in entries):
        message = "`roles` goes by names; give the model, or named parameters (`model.named_parameters()`)"
        raise ParameterError(message)
    names = [name for name, _ in entries]
    by_name: dict[str, Role] = {name: role for pattern, role in given.items() for name in matching(pattern, names)}
    if len(by_name) < len(names):
        message = f"`roles` says nothing of {', '.join(f'`{name}`' for name in names if name not in by_name)}"
        raise ParameterError(message)
    return entries, [by_name[name] for name in names]


def treatment(chain: Chain, name: str, role: str, shape: tuple[int, ...]) -> Hashable:
    """What differs where a chain treats two roles in two ways."""
    kind = _kind(chain, name, role, is_matrix=len(shape) >= 2)
    stage = chain.whole_for(kind)
    return kind, stage is None or not stage.refusal(shape, role)


def refuse_doubts(
    model: nn.Module,
    treat: Callable[[str, Role, tuple[int, ...]], Hashable],
    given: Mapping[str, Role],
    what: object,
) -> None:
    """Refuse a parameter of a role that is not certain, where it makes a difference. Raises `ParameterError`."""
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    for name, doubt in doubts(model, overrides=given).items():
        if len({treat(name, role, shapes[name]) for role in doubt.options}) > 1:
            raise ParameterError(f"{what!r} depends on a role that is not certain: {doubt.settled_by('roles')}")


def check_patterns(chain: Chain, names: Sequence[str]) -> None:
    """Refuse a pattern that fits none of all the names. Raises `UnknownNameError`."""
    for one in chain.selects:
        if one not in ROLES:
            _ = matching(one, names)
