"""How an optimizer looks: one colour, dash and marker for it through the whole page, and through the film.

The colours of one dash stay apart for eyes without red, green or blue cones, and all of them stand out from the paper,
light and dark; a test holds this. Methods of one family have neighbouring hues.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from thalweg.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Theme: TypeAlias = Literal["light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("light", "dark")

PAPER: Final[Mapping[Theme, Mapping[str, str]]] = {
    "light": {
        "paper": "#ffffff",
        "ink": "#1d2127",
        "muted": "#5d6672",
        "grid": "#e3e6ea",
        "contour": "#8f9aa5",
        "low": "#b9d5e6",
        "middle": "#e9f0ec",
        "high": "#f4e2c4",
    },
    "dark": {
        "paper": "#14161b",
        "ink": "#e6e9ee",
        "muted": "#a0a8b4",
        "grid": "#30353e",
        "contour": "#5a6572",
        "low": "#123a54",
        "middle": "#1f2830",
        "high": "#4a3d2a",
    },
}


@dataclass(frozen=True)
class Look:
    """A colour for light paper and one for dark, a dash for lines and a marker (both as Plotly calls them)."""

    light: str
    dark: str
    dash: str
    symbol: str

    def colour(self, theme: Theme) -> str:
        """The colour on this paper."""
        return self.light if theme == "light" else self.dark


KNOWN: Final[Mapping[str, Look]] = {
    "gradient_descent": Look("#2b2e33", "#e4e8ef", "solid", "circle"),
    "heavy_ball": Look("#2772f6", "#80a9f9", "solid", "square"),
    "nesterov": Look("#2c9bc6", "#22d8f4", "dash", "diamond"),
    "rprop": Look("#4c4000", "#a29229", "dashdot", "cross"),
    "adagrad": Look("#02632c", "#2c9050", "solid", "triangle-up"),
    "adadelta": Look("#5ea137", "#7dc425", "dot", "triangle-down"),
    "rmsprop": Look("#fe5a15", "#faa06c", "solid", "pentagon"),
    "rmsprop_momentum": Look("#9c6111", "#fece66", "dash", "hexagon"),
    "adam": Look("#bb6492", "#fd56a7", "solid", "star-diamond"),
    "adamax": Look("#7d2cc5", "#7e6fd9", "dot", "triangle-right"),
    "adamw": Look("#661257", "#c3439f", "dash", "triangle-left"),
}

SPARE_DASHES: Final = ("longdash", "longdashdot", "5px,2px,1px,2px", "1px,4px")


def looks_for(optimizers: Iterable[str]) -> dict[str, Look]:
    """The look of each optimizer: its own if it is known, else a colour of the palette with an open marker."""
    looks: dict[str, Look] = {}
    palette = list(KNOWN.values())
    strangers = 0
    for name in optimizers:
        if name in KNOWN:
            looks[name] = KNOWN[name]
        elif name not in looks:
            lent = palette[(3 * strangers + 1) % len(palette)]
            dash = SPARE_DASHES[(strangers // len(palette)) % len(SPARE_DASHES)]
            looks[name] = Look(lent.light, lent.dark, dash, lent.symbol + "-open")
            strangers += 1
    return looks


def title_of(optimizer: str) -> str:
    """What the page calls an optimizer: its title if it is in a catalogue, else the name that was recorded.

    >>> title_of("of_a_later_version")
    'of_a_later_version'
    """
    from thalweg import rules  # noqa: PLC0415 (a page of records alone would not need the catalogue)

    try:
        return rules.get(optimizer).title
    except UnknownNameError:
        from thalweg.descent import titles  # noqa: PLC0415 (likewise; it imports PyTorch)

        return titles.title_of(optimizer)
