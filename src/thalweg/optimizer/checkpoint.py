"""Whether a saved state fits an optimizer, and what to say if it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import CheckpointError
from thalweg.optimizer.dialect import PLUMBING
from thalweg.optimizer.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thalweg.optimizer.dialect import Dialect


def as_plain(state_dict: dict[str, Any]) -> dict[str, Any]:
    """A state dict of plain dictionaries, whose groups name their chain by its form: it can be read without us."""
    state_dict["state"] = {
        key: dict(state) if isinstance(state, dict) else state for key, state in state_dict["state"].items()
    }
    for group in state_dict["param_groups"]:
        if "chain" in group:
            group["chain"] = group["chain"].form
    return state_dict


def check_fits(state_dict: Mapping[str, Any], groups: Sequence[dict[str, Any]], dialect: Dialect) -> dict[str, Any]:
    """The state dict, its tensors copied, if it fits the groups. Raises `CheckpointError` if not."""
    saved_groups = _saved_groups(state_dict)
    if [len(group["params"]) for group in saved_groups] != [len(group["params"]) for group in groups]:
        message = (
            f"the state is of {_count(saved_groups)}, and this optimizer has {_count(groups)}; "
            "make it with the same groups before loading"
        )
        raise CheckpointError(message)
    copied: dict[Any, dict[str, Any]] = {}
    for saved, group in zip(saved_groups, groups, strict=True):
        chain = group.get("chain")
        if chain is not None and saved.get("chain") != chain.form:
            message = (
                f"the state is of {saved.get('chain', 'another optimizer')}, and this optimizer steps by {chain.form}"
            )
            raise CheckpointError(message)
        _check_settings(saved, group)
        settings = {**group, **{name: value for name, value in saved.items() if name not in ("params", "chain")}}
        reading = Reading(settings, dialect)
        for key, parameter in zip(saved["params"], group["params"], strict=True):
            if key in state_dict["state"]:
                states = expected_states(reading, parameter, dialect)
                copied[key] = _check_state(state_dict["state"][key], states, dialect, key)
    return {**state_dict, "state": copied}


def _saved_groups(state_dict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if isinstance(state_dict, dict) and isinstance(state_dict.get("state"), dict):  # pyright: ignore[reportUnnecessaryIsInstance]
        groups = state_dict.get("param_groups")
        if isinstance(groups, list) and all(isinstance(group, dict) and "params" in group for group in groups):
            return groups
    message = "this is no optimizer's state dict: that is a dictionary with `state` and a list of `param_groups`"
    raise CheckpointError(message)


def _check_settings(saved: Mapping[str, Any], group: Mapping[str, Any]) -> None:
    """Refuse a group without the numbers that this optimizer steps by; a switch that came later is no loss."""
    numbers = {n for n, v in group.items() if isinstance(v, int | float | tuple) and not isinstance(v, bool)}
    missing = sorted(numbers - set(saved) - PLUMBING)
    if missing:
        message = f"the state's parameter groups lack {', '.join(missing)}: they are another optimizer's"
        raise CheckpointError(message)


def expected_states(reading: Reading, parameter: torch.Tensor, dialect: Dialect) -> dict[str, torch.Tensor]:
    """What a parameter's state holds by a group's settings, the step count aside, by its names in `state_dict`.

    On the meta device: of the shapes that they have.
    """
    return {dialect.state_names.get(name, name): like for name, like in reading.states_of(parameter).items()}


def wrong_kind(value: object, like: torch.Tensor | None) -> str | None:
    """Why a value cannot be a state of this kind; None if it can. Where nothing is expected, it is of real numbers."""
    is_complex = like is not None and like.is_complex()
    kind = repr(value)
    if isinstance(value, torch.Tensor):
        if value.layout == torch.strided and (value.is_complex() if is_complex else value.is_floating_point()):
            return None
        kind = f"a {value.layout} tensor of {value.dtype}"
    return f"is {kind}, and no dense tensor of {'complex' if is_complex else 'real'} numbers"


def _check_state(
    state: Mapping[str, Any], states: Mapping[str, torch.Tensor], dialect: Dialect, key: object
) -> dict[str, Any]:
    """A copy of a parameter's state; what some settings of the same optimizer keep may be there or not."""
    optional = dialect.optional_states
    expected = {*states, "step"} if dialect.keeps_step else set(states)
    if not isinstance(state, dict):
        message = f"the state of parameter {key} is {state!r}, and no dictionary"
        raise CheckpointError(message)
    filled = {name: value for name, value in state.items() if value is not None}
    if filled and not (expected - optional <= set(filled) <= expected | optional):
        message = (
            f"the state of parameter {key} holds {', '.join(sorted(filled))}, and this optimizer keeps "
            f"{', '.join(sorted(expected)) or 'none'}: it is another rule's"
        )
        raise CheckpointError(message)
    for name, value in filled.items():
        if name == "step":
            if not isinstance(value, int | float) and (not isinstance(value, torch.Tensor) or value.numel() != 1):
                message = f"the step count of parameter {key} is {value!r}, and no number"
                raise CheckpointError(message)
            continue
        like = states.get(name, next(iter(states.values()), None))
        why = wrong_kind(value, like)
        if why is not None:
            message = f"the state `{name}` of parameter {key} {why}"
            raise CheckpointError(message)
        if name in states and value.shape != states[name].shape:
            message = (
                f"the state `{name}` of parameter {key} has shape {tuple(value.shape)}, and it must have "
                f"{tuple(states[name].shape)}: it is another model's"
            )
            raise CheckpointError(message)
    return {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in filled.items()}


def _count(groups: Sequence[Mapping[str, Any]]) -> str:
    return " + ".join(str(len(group["params"])) for group in groups) + " parameters"
