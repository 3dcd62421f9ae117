"""Where a group stands: how far its schedules have come, and what its chain keeps for the whole model."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from thalweg.errors import ThalwegError
from thalweg.formula import Level
from thalweg.optimizer.calls import CALLS, SKIPS
from thalweg.optimizer.selection import kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.formula import Schedule
    from thalweg.optimizer.dialect import Dialect


CONTROLLERS = "controllers"
"""The entry of a saved group that says where the controllers of its chain stood."""


@runtime_checkable
class Controller(Protocol):
    """A schedule that goes by more than the step, as `plateau` does."""

    def state_dict(self) -> dict[str, Any]:
        """Where it stands."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from there."""
        ...


def schedules_of(group: Mapping[str, Any], dialect: Dialect) -> dict[str, Schedule]:
    """The group's numbers that a schedule drives."""
    chain = dialect.read(group)
    numbers = chain.numbers(*chain.traces(kinds(group, chain)))
    return {n: value for n, value in numbers.items() if callable(value)} | dialect.schedules_beside(group)


def counts_of(group: Mapping[str, Any], dialect: Dialect) -> set[str]:
    """The group's entries that are no settings but state: its counts, and what the chain keeps for the whole model."""
    chain = dialect.read(group)
    states = [kept for traced in chain.traces(kinds(group, chain)) for kept in traced.states]
    return {"steps", CALLS, SKIPS, *(kept.name for kept in states if kept.level is Level.MODEL)}


def controllers_in(schedule: object) -> list[Controller]:
    """The controllers that a schedule is composed of."""
    if isinstance(schedule, Controller):
        return [schedule]
    if not dataclasses.is_dataclass(schedule):
        return []
    values = [getattr(schedule, field.name) for field in dataclasses.fields(schedule)]
    parts = [part for value in values for part in (value if isinstance(value, tuple | list) else [value])]
    return [controller for part in cast("list[object]", parts) for controller in controllers_in(part)]


def states_in(schedule: object) -> list[dict[str, Any]]:
    """Where the controllers of a schedule stand."""
    return [controller.state_dict() for controller in controllers_in(schedule)]


def positions_of(schedules: Mapping[str, Schedule]) -> dict[str, list[dict[str, Any]]]:
    """Where the controllers of schedules stand, by the number that they drive."""
    positions = {name: states_in(schedule) for name, schedule in schedules.items()}
    return {name: states for name, states in positions.items() if states}


def take_positions(group: dict[str, Any], schedules: Mapping[str, Schedule]) -> None:
    """Take what a loaded group says of where the controllers stood out of it, and have those in schedules go on there.

    `misfit` must have been asked before.
    """
    saved = group.pop(CONTROLLERS, {})
    for name, schedule in schedules.items():
        if name in saved:
            for controller, state in zip(controllers_in(schedule), saved[name], strict=True):
                controller.load_state_dict(state)


def misfit(schedule: Schedule, states: list[dict[str, Any]], standing: dict[int, Mapping[str, Any]]) -> str | None:
    """Why the controllers of a schedule cannot go on from these states; None if they can.

    `standing` holds where other groups, asked before, have their controllers go on: one that several follow has one
    state.
    """
    controllers = controllers_in(schedule)
    if not isinstance(states, list):  # pyright: ignore[reportUnnecessaryIsInstance]  # a file may hold anything
        return f"where its controllers stood is {states!r}, and no list"
    if len(controllers) != len(states):
        return f"{len(states)} controllers were saved, and {schedule!r} has {len(controllers)}"
    try:
        for controller, state in zip(controllers, states, strict=True):
            copy.deepcopy(controller).load_state_dict(state)
    except (ThalwegError, TypeError, ValueError) as error:
        return str(error)
    for controller, state in zip(controllers, states, strict=True):
        if standing.setdefault(id(controller), state) != state:
            return f"{controller!r} drives several groups, and those that were saved stood at different places"
    return None
