"""Whether a saved state fits an optimizer, and what to say if it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

from thalweg.errors import CheckpointError
from thalweg.optimizer.dialect import PLUMBING
from thalweg.optimizer.element_states import without_codes
from thalweg.optimizer.expected import Expected
from thalweg.optimizer.positions import CONTROLLERS, misfit, positions_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.formula import Schedule
    from thalweg.optimizer.dialect import Dialect

OWN = ("params", "chain", "state_dtype")
"""Entries of a group that are the optimizer's own, whatever the saved ones are."""


def as_plain(state_dict: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """A state dict of plain dictionaries: it can be read without us, that of a drop-in by torch's optimizer.

    Its groups name their chain by its form, and say where the controllers in it stand.
    """
    plain = dict if dialect.shows_codes else without_codes
    state_dict["state"] = {
        key: plain(state) if isinstance(state, dict) else state for key, state in state_dict["state"].items()
    }
    for group in state_dict["param_groups"]:
        if "chain" in group:
            positions = positions_of(group["chain"].schedules | dialect.schedules_beside(group))
            if positions:
                group[CONTROLLERS] = positions
            group["chain"] = group["chain"].form
    return state_dict


def check_fits(state_dict: Mapping[str, Any], groups: Sequence[dict[str, Any]], dialect: Dialect) -> dict[str, Any]:
    """The state dict, its tensors copied, if it fits the groups. Raises `CheckpointError` if not."""
    saved_groups = saved_groups_of(state_dict)
    if [len(group["params"]) for group in saved_groups] != [len(group["params"]) for group in groups]:
        message = (
            f"the state is of {count_of(saved_groups)} parameters, and this optimizer has {count_of(groups)}; "
            "make it with the same groups before loading"
        )
        raise CheckpointError(message)
    copied: dict[Any, dict[str, Any]] = {}
    standing: dict[int, Mapping[str, Any]] = {}
    for saved, group in zip(saved_groups, groups, strict=True):
        chain = group.get("chain")
        if chain is not None and saved.get("chain") != chain.form:
            message = (
                f"the state is of {saved.get('chain', 'another optimizer')}, and this optimizer steps by {chain.form}"
            )
            raise CheckpointError(message)
        _check_settings(saved, group)
        if chain is not None:
            schedules = chain.schedules | dialect.schedules_beside(group)
            _check_positions(saved.get(CONTROLLERS, {}), schedules, standing)
        settings = {name: value for name, value in saved.items() if name not in (*OWN, CONTROLLERS)}
        expected = Expected({**group, **settings}, dialect)
        for key, parameter in zip(saved["params"], group["params"], strict=True):
            if key in state_dict["state"]:
                copied[key] = _copied(state_dict["state"][key], parameter, expected, f"parameter {key}")
    return {**state_dict, "state": copied}


def saved_groups_of(state_dict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The groups of a state dict, of torch's too. Raises `CheckpointError` if it is none."""
    if isinstance(state_dict, dict) and isinstance(state_dict.get("state"), dict):  # pyright: ignore[reportUnnecessaryIsInstance]
        groups = state_dict.get("param_groups")
        if isinstance(groups, list) and all(isinstance(group, dict) and "params" in group for group in groups):
            return groups
    message = "this is no optimizer's state dict: that is a dictionary with `state` and a list of `param_groups`"
    raise CheckpointError(message)


def count_of(groups: Sequence[Mapping[str, Any]]) -> str:
    """How many parameters each of the groups has, for an error."""
    return " + ".join(str(len(group["params"])) for group in groups)


def _check_settings(saved: Mapping[str, Any], group: Mapping[str, Any]) -> None:
    """Refuse a group without the numbers that this optimizer steps by; a switch that came later is no loss."""
    numbers = {n for n, v in group.items() if isinstance(v, int | float | tuple) and not isinstance(v, bool)}
    missing = sorted(numbers - set(saved) - PLUMBING)
    if missing:
        message = f"the state's parameter groups lack {', '.join(missing)}: they are another optimizer's"
        raise CheckpointError(message)


def _check_positions(
    positions: Any,  # noqa: ANN401  # a file may hold anything
    schedules: Mapping[str, Schedule],
    standing: dict[int, Mapping[str, Any]],
) -> None:
    """Refuse positions that the controllers of schedules cannot take."""
    if not isinstance(positions, dict):
        raise CheckpointError(f"the state's `{CONTROLLERS}` is {positions!r}, and no dictionary")
    for name, states in cast("dict[str, Any]", positions).items():
        if name in schedules:
            why = misfit(schedules[name], states, standing)
            if why is not None:
                raise CheckpointError(f"`{name}`: {why}")


def _copied(state: Mapping[str, Any], parameter: torch.Tensor, expected: Expected, label: str) -> dict[str, Any]:
    """A copy of a parameter's state, without the entries that stand for nothing."""
    if not isinstance(state, dict):
        raise CheckpointError(f"{label}: its state is {state!r}, and no dictionary")
    filled = {name: value for name, value in state.items() if value is not None}
    filled = expected.in_kind(filled, parameter)
    why = expected.misfit(filled, parameter)
    if why is not None:
        raise CheckpointError(f"{label}: {why}")
    return {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in filled.items()}
