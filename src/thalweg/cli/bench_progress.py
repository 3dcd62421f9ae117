"""What a bench shows while it measures: a line that moves in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from thalweg.cli.progress import PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from thalweg.lab.bench import Listener
    from thalweg.lab.bench import Progress as Event


@contextlib.contextmanager
def watch() -> Generator[Listener]:
    """A listener for `run_bench`, that draws for as long as the block lasts."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(lambda line: console.print(line, highlight=False, soft_wrap=True))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[left]}[/dim]"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None, left="")

        def listen(event: Event) -> None:
            bar.update(task, description=_describe(event), completed=event.done, total=event.total, left=_left(event))

        yield listen


def _plain(say: Callable[[str], None]) -> Listener:
    last = float("-inf")

    def listen(event: Event) -> None:
        nonlocal last
        if time.monotonic() - last > PAUSE:
            last = time.monotonic()
            left = _left(event)
            say(f"measuring {_describe(event)}, {event.done} of {event.total} done{f', {left}' if left else ''}")

    return listen


def _describe(event: Event) -> str:
    return "the memory's speed" if event.rule is None else f"{event.rule} {event.size}"


def _left(event: Event) -> str:
    return "" if event.remaining is None else f"about {max(round(event.remaining), 1)} s left"
