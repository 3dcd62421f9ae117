"""Whether a saved state can be a parameter's, by the settings of its group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

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
        names = self._dialect.state_names
        shapes = {names.get(n, n): tuple(like.shape) for n, like in self._reading.states_of(parameter).items()}
        expected = {*shapes, "step"} if self._dialect.keeps_step else set(shapes)
        optional = self._dialect.optional_states
        if not expected - optional <= set(state) <= expected | optional:
            own = ", ".join(sorted(expected)) or "none"
            return f"its state holds {', '.join(sorted(state))}, and this optimizer keeps {own}: it is another rule's"
        for name, value in state.items():
            why = _wrong_count(value) if name == "step" else _wrong_state(value, shapes.get(name))
            if why is not None:
                return f"its state `{name}` {why}"
        return None


def _wrong_count(value: object) -> str | None:
    if isinstance(value, int | float) or (isinstance(value, torch.Tensor) and value.numel() == 1):
        return None
    return f"is {value!r}, and no number"


def _wrong_state(value: object, shape: tuple[int, ...] | None) -> str | None:
    if not isinstance(value, torch.Tensor):
        return f"is {value!r}, and no tensor"
    if value.layout != torch.strided or not value.is_floating_point():
        return f"is a {value.layout} tensor of {value.dtype}, and no dense tensor of real numbers"
    if shape is not None and tuple(value.shape) != shape:
        return f"has shape {tuple(value.shape)}, and the parameter's must have {shape}"
    return None
