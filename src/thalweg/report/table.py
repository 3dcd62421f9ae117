"""What a table of the page is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One entry: its text, a second text in grey (such as an interval), and the classes that the style sheet knows."""

    text: str
    more: str = ""
    classes: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line; one about an optimizer shows its colour and dash in front, and is dimmed with it."""

    cells: tuple[Cell, ...]
    optimizer: str | None = None
    classes: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: the heads of its columns, its rows, and a note that explains them."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""
