"""How dashes and markers are drawn where Plotly does not draw them: in the page's legends, and in the film."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.report.looks import Look


@dataclass(frozen=True)
class Glyph:
    """A marker as an SVG path around (0, 0), and as Matplotlib calls it."""

    outline: str
    marker: str | tuple[int, Literal[0, 1, 2], int]


MARKERS: Final[Mapping[str, Glyph]] = {
    "circle": Glyph("M4.5 0A4.5 4.5 0 1 1-4.5 0A4.5 4.5 0 1 1 4.5 0Z", "o"),
    "square": Glyph("M-4-4H4V4H-4Z", "s"),
    "diamond": Glyph("M0-5.5L5.5 0L0 5.5L-5.5 0Z", "D"),
    "cross": Glyph("M-1.8-5.2H1.8V-1.8H5.2V1.8H1.8V5.2H-1.8V1.8H-5.2V-1.8H-1.8Z", "P"),
    "triangle-up": Glyph("M0-5L5 4H-5Z", "^"),
    "triangle-down": Glyph("M0 5L5-4H-5Z", "v"),
    "triangle-right": Glyph("M5 0L-4 5V-5Z", ">"),
    "triangle-left": Glyph("M-5 0L4 5V-5Z", "<"),
    "pentagon": Glyph("M0-5L4.8-1.5L2.9 4H-2.9L-4.8-1.5Z", "p"),
    "hexagon": Glyph("M0-5L4.3-2.5V2.5L0 5L-4.3 2.5V-2.5Z", "h"),
    "star-diamond": Glyph("M0-6.5L1.9-1.9L6.5 0L1.9 1.9L0 6.5L-1.9 1.9L-6.5 0L-1.9-1.9Z", (4, 1, 0)),
}

DASHES: Final[Mapping[str, tuple[float, ...]]] = {
    "solid": (),
    "dash": (7, 4),
    "dot": (2, 3),
    "dashdot": (7, 3, 2, 3),
    "longdash": (11, 4),
    "longdashdot": (11, 3, 2, 3),
}


def glyph_of(look: Look) -> Glyph:
    """The marker of a look; an open one has the outline of the filled one."""
    return MARKERS[look.symbol.removesuffix("-open")]


def dash_of(look: Look) -> tuple[float, ...]:
    """The lengths of dash and gap in turn, nothing for a solid line; other dashes are written as such lengths."""
    if look.dash in DASHES:
        return DASHES[look.dash]
    return tuple(float(length.removesuffix("px")) for length in look.dash.split(","))
