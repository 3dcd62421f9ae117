"""What the stages that decide about whole calls of `step` ask of an optimizer, and whether it can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.errors import ChainError, HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thalweg.chain import Chain
    from thalweg.optimizer.layout import NonFinite


CALLS = "calls"
"""In a group: how many calls it has behind it since it moved. In a parameter's state: in how many it had a gradient."""
SKIPS = "skips"
"""In a group: how many calls before this one were left out, in a row."""


def check_calls(chains: Sequence[Chain], nonfinite: NonFinite, *, capturable: bool) -> None:
    """Raise `ChainError` or `HyperparameterError` where the chains of an optimizer's groups ask for what cannot be."""
    with_skips = [chain for chain in chains if chain.skips is not None]
    if with_skips and len(with_skips) < len(chains):
        without = next(chain for chain in chains if chain.skips is None)
        message = (
            f"{with_skips[0].skips!r} leaves out whole calls of `step`, and {without!r} of another group does not have "
            "it; put it into every chain, or pass nonfinite='skip' to the optimizer"
        )
        raise ChainError(message)
    if with_skips and nonfinite == "propagate":
        message = f"{with_skips[0].skips!r} in the chain and nonfinite='propagate' contradict each other; leave one out"
        raise HyperparameterError(message)
    waiting = next((chain.waits for chain in chains if chain.waits is not None), None)
    if waiting is not None and capturable:
        message = (
            f"{waiting!r} does something else at every so many calls, and a captured step always does the same; leave "
            "`capturable` out, or add the gradients up by calling backward several times before a step"
        )
        raise ChainError(message)


def policy(chains: Sequence[Chain], nonfinite: NonFinite) -> NonFinite:
    """What becomes of a gradient that is not finite: as the optimizer was told, if no stage says otherwise."""
    return "skip" if any(chain.skips is not None for chain in chains) else nonfinite
