"""How an optimizer tells of gradients that it cannot take: at once, late where a GPU found them, or at its end."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch

from thalweg.errors import GradientError, NonFiniteGradientError, ThalwegError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from thalweg.optimizer.launch import Member
    from thalweg.optimizer.stepper import Layout


def tell(bad: Sequence[Member]) -> None:
    """Raise `NonFiniteGradientError` if there are members whose gradient was not finite, and all else has moved."""
    if bad:
        why = "has a NaN or an infinity; those elements were left as they were and all others have moved"
        raise NonFiniteGradientError(reason(min(bad, key=lambda member: member.place), why))


def tell_late(layouts: Iterable[Layout]) -> None:
    """Wait for devices, and tell of what they have found in steps before."""
    launches = [launch for layout in layouts for launch in layout.launches]
    tell([member for launch in launches if (member := launch.wait()) is not None])


def tell_at_the_end(layouts: Mapping[Any, Layout]) -> None:
    """Tell what nobody has asked for before the optimizer goes: as a warning, since no step is left to raise it."""
    try:
        tell_late(layouts.values())
    except ThalwegError as error:
        warnings.warn(f"in the last steps of an optimizer, {error}", RuntimeWarning, stacklevel=2)


def reason(member: Member, why: str) -> str:
    """What an error says of a gradient that is not finite."""
    return (
        f"the gradient of {member.name} {why} (pass nonfinite='skip' to leave out such steps, or 'propagate' to do as "
        "torch does)"
    )


def explain_sparse(members: Iterable[Member]) -> None:
    """Raise `GradientError` for a gradient that is not dense."""
    for member in members:
        gradient = member.parameter.grad
        if gradient is not None and gradient.layout != torch.strided:
            message = (
                f"the gradient of {member.name} is sparse, and this chain needs a dense one; "
                "make the layer with sparse=False, or give that parameter to torch.optim.SparseAdam"
            )
            raise GradientError(message)
