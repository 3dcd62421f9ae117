"""Different parameters to different chains: each goes to the first that is for its role or its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.chain.chain import Chain
from thalweg.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Route:
    """Chains by the roles and patterns of names that they are for, tried in order. Make one with `route`."""

    entries: tuple[tuple[str, Chain], ...]

    def __repr__(self) -> str:
        return f"route({{{', '.join(f'{key!r}: {chain!r}' for key, chain in self.entries)}}})"


def route(chains: Mapping[str, Chain]) -> Route:
    """Send each parameter to the first chain that is for it: by its role, by a pattern of its name, `*` for the rest.

    `Optimizer(model, route(…))` makes a parameter group of each, with its own rates and schedules. A parameter that
    nothing is for is an error, and so is one whose chain depends on a role that the model leaves open.

    Raises `ChainError` for what is no chain.

    >>> from thalweg.chain import chain, muon, step
    >>> from thalweg.rules import adam
    >>> route({"matrix": chain(muon(), step(0.02)), "*": chain(adam(), step(3e-4))})
    route({'matrix': chain(muon(), step(0.02)), '*': chain(adam(), step(0.0003))})
    """
    if not chains:
        raise ChainError("an empty route leads nowhere; write for example `route({'matrix': chain(…), '*': chain(…)})`")
    for key, chain in chains.items():
        if not isinstance(key, str) or not key:  # pyright: ignore[reportUnnecessaryIsInstance]  # user code may pass anything
            raise ChainError(f"a route goes by roles and patterns of names, and one is {key!r}; write a text")
        if not isinstance(chain, Chain):  # pyright: ignore[reportUnnecessaryIsInstance]  # as above
            raise ChainError(f"route: `{key}` leads to {chain!r}; write `chain(…)`")
    return Route(tuple(chains.items()))
