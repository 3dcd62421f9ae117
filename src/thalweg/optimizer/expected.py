"""Whether a saved state can be a parameter's, by the settings of its group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from thalweg.kernels.eight_bits import MAPS
from thalweg.optimizer.element_states import as_wanted, name_in_state
from thalweg.optimizer.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.optimizer.dialect import Dialect


class Expected:
    """The states that a group's parameters must have by these settings.

    Raises `HyperparameterError` or `ChainError` for settings that say no chain.
    """

    def __init__(self, settings: Mapping[str, Any], dialect: Dialect) -> None:
        self._reading = Reading(dict(settings), dialect)
        self._dialect = dialect

    def misfit(self, state: Mapping[str, Any], parameter: torch.Tensor) -> str | None:
        """Why this cannot be the parameter's state; None if it can. A parameter never stepped has none."""
        if not state:
            return None
        states = self._likes(parameter)
        expected = {*states, "step"} if self._dialect.keeps_step else set(states)
        optional = self._dialect.optional_states
        if not expected - optional <= set(state) <= expected | optional:
            own = ", ".join(sorted(expected)) or "none"
            return f"its state holds {', '.join(sorted(state))}, and this optimizer keeps {own}: it is another rule's"
        other = next(iter(states.values()), None)
        for name, value in state.items():
            why = _wrong_count(value) if name == "step" else _wrong_state(value, states.get(name, other))
            if why is not None:
                return f"its state `{name}` {why}"
        return None

    def in_kind(self, state: Mapping[str, Any], parameter: torch.Tensor) -> dict[str, Any]:
        """The state, with those entries in 8 bits that the parameter keeps so, and no others."""
        return as_wanted(state, {name: like.dtype for name, like in self._likes(parameter).items()})

    def _likes(self, parameter: torch.Tensor) -> dict[str, torch.Tensor]:
        names = self._dialect.state_names
        return {name_in_state(n, names): like for n, like in self._reading.states_of(parameter).items()}


def _wrong_count(value: object) -> str | None:
    if isinstance(value, int | float) or (isinstance(value, torch.Tensor) and value.numel() == 1):
        return None
    return f"is {value!r}, and no number"


def _wrong_state(value: object, like: torch.Tensor | None) -> str | None:
    if not isinstance(value, torch.Tensor):
        return f"is {value!r}, and no tensor"
    if like is not None and like.dtype in MAPS:
        if value.dtype != like.dtype or value.shape != like.shape:
            return f"is {tuple(value.shape)} of {value.dtype}, and must be {tuple(like.shape)} of {like.dtype}"
        return None
    is_complex = like is not None and like.is_complex()
    if value.layout != torch.strided or not (value.is_complex() if is_complex else value.is_floating_point()):
        kind = "complex" if is_complex else "real"
        return f"is a {value.layout} tensor of {value.dtype}, and no dense tensor of {kind} numbers"
    if like is not None and value.shape != like.shape:
        return f"has shape {tuple(value.shape)}, and the parameter's must have {tuple(like.shape)}"
    return None
