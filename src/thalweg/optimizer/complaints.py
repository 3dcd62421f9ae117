"""What is said of gradients that are not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.errors import NonFiniteGradientError

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from thalweg.optimizer.launch import Member


def complain(bad: Sequence[Member], adding: Container[int]) -> None:
    """Raise `NonFiniteGradientError` for the first of these members, if there are any, after a step without their part.

    `adding` are the places of those whose gradients are only added up.
    """
    if bad:
        first = min(bad, key=lambda member: member.place)
        what = "been added up" if first.place in adding else "moved"
        why = f"has a NaN or an infinity; those elements were left as they were and all others have {what}"
        raise refusal(first, why)


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
