"""Which surfaces there are: the list to which a new one is added."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from thalweg.errors import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.surfaces.surface import Surface

# Each is a module of this package that holds a function of the same name.
NAMES = (
    "beale",
    "rosenbrock",
    "quadratic",
    "saddle",
    "two_basins",
    "booth",
    "matyas",
    "himmelblau",
    "three_hump_camel",
    "six_hump_camel",
    "styblinski_tang",
    "rastrigin",
    "goldstein_price",
    "mccormick",
    "levy13",
    "easom",
)


def catalogue() -> dict[str, Surface]:
    """Every surface by its name, with its default settings.

    >>> list(catalogue())[:5]
    ['beale', 'rosenbrock', 'quadratic', 'saddle', 'two_basins']
    """
    return {name: _build(name) for name in NAMES}


def get(name: str) -> Surface:
    """The surface of this name.

    >>> get("beale").starts
    ((2.0, -2.0), (-3.0, 3.0))

    Raises:
        UnknownNameError: there is none; the message names the nearest ones.
    """
    if name not in NAMES:
        raise UnknownNameError(f"there is no surface `{name}`; {did_you_mean(name, NAMES)}")
    return _build(name)


@cache
def _build(name: str) -> Surface:
    build: Callable[[], Surface] = getattr(import_module(f"thalweg.surfaces.{name}"), name)
    return build()
