"""What a state dict of torch's says: its groups, whose they are, which parameters, how many steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.errors import CheckpointError
from thalweg.optimizer.checkpoint import count_of
from thalweg.optimizer.names import has_names, names_of, numbered
from thalweg.optimizer.phrase import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch.nn import Module

    from thalweg.optimizer.optimizer import Optimizer
    from thalweg.optimizer.phrase import Language


def check_settings(saved_groups: Sequence[Mapping[str, Any]], theirs: Language) -> None:
    """Refuse groups without the numbers that this optimizer of torch's steps by: they are another's."""
    numbers = {name for name, value in theirs.defaults.items() if is_number(value) or isinstance(value, tuple)}
    for group in saved_groups:
        lacking = sorted(numbers - set(group))
        if lacking:
            message = f"the state's groups lack {', '.join(lacking)}: they are not torch.optim.{theirs.name}'s"
            raise CheckpointError(message)


def paired_names(
    optimizer: Optimizer, model: Module | None, saved_groups: Sequence[Mapping[str, Any]]
) -> tuple[list[list[str]], list[list[str]]]:
    """The parameters' names here and there; by their order, if one side has none.

    Raises `CheckpointError` if they have only their order, and are grouped in another way.
    """
    named = model is not None or has_names(optimizer)
    names = names_of(optimizer, model) if named else numbered(optimizer)
    if named and all("param_names" in group for group in saved_groups):
        return names, [list(group["param_names"]) for group in saved_groups]
    own, saved = map(count_of, (optimizer.param_groups, saved_groups))
    if own != saved:
        message = (
            f"the state is of {saved} parameters, and this optimizer has {own}; without names on both sides they are "
            "found by their order: make the optimizer with the same groups"
        )
        raise CheckpointError(message)
    return names, names


def steps_done(states: Sequence[Mapping[str, Any]], theirs: Language) -> int | None:
    """How often torch has stepped a group, if it knows."""
    if not theirs.dialect.keeps_step:
        return None
    return max((int(state["step"]) for state in states if "step" in state), default=0)
