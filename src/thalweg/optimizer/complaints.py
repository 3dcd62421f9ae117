"""What is said of gradients that are not finite."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from thalweg.errors import NonFiniteGradientError, ThalwegError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from thalweg.optimizer.launch import Member
    from thalweg.optimizer.layout import Layout


def complain(bad: Sequence[Member], adding: Container[int]) -> None:
    """Raise `NonFiniteGradientError` for the first of these members, if there are any, after a step without their part.

    `adding` are the places of those whose gradients are only added up.
    """
    if bad:
        first = min(bad, key=lambda member: member.place)
        what = "been added up" if first.place in adding else "moved"
        why = f"has a NaN or an infinity; those elements were left as they were and all others have {what}"
        raise refusal(first, why)


def tell_late(layouts: Iterable[Layout]) -> None:
    """Wait for devices, and complain of what they have found in steps before."""
    for layout in layouts:
        complain([member for launch in layout.launches if (member := launch.wait()) is not None], layout.adding)


def tell_at_the_end(layouts: Mapping[Any, Layout]) -> None:
    """Tell what nobody has asked for before the optimizer goes: as a warning, since no step is left to raise it."""
    try:
        tell_late(layouts.values())
    except ThalwegError as error:
        warnings.warn(f"in the last steps of an optimizer, {error}", RuntimeWarning, stacklevel=2)


def refusal(member: Member, why: str) -> NonFiniteGradientError:
    """The error of a step that is not made, or not of all elements."""
    return NonFiniteGradientError(
        f"the gradient of {member.name} {why} (pass nonfinite='skip' to leave out such steps, or 'propagate' to do as "
        "torch does)"
    )


def too_many(member: Member, why: str) -> NonFiniteGradientError:
    """The error of one step more that is left out than may be in a row."""
    return NonFiniteGradientError(
        f"the gradient of {member.name} {why}, and too many in a row have been left out; look at the data and the "
        "loss, or let more pass by `at_most`"
    )
