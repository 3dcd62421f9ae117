"""What a command shows while it works: a line that moves in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Listener = TypeVar("Listener")
PAUSE = 10.0
"""Seconds between two plain lines."""


@contextlib.contextmanager
def shown(
    live: Callable[[Progress], Listener], plain: Callable[[Callable[[str], None]], Listener]
) -> Generator[Listener]:
    """A listener that draws for as long as the block lasts: on a bar with a field `left`, or by lines that it says."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield plain(lambda line: console.print(line, highlight=False, soft_wrap=True))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[left]}[/dim]"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield live(bar)
