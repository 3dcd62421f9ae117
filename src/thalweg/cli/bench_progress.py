"""What a bench shows while it measures: a line that moves in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from thalweg.cli.moving_line import PAUSE, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rich.progress import Progress

    from thalweg.lab.bench import Listener
    from thalweg.lab.bench import Progress as Event


def watch() -> AbstractContextManager[Listener]:
    """A listener for `run_bench`, that draws for as long as the block lasts."""
    return shown(_live, _plain)


def _live(bar: Progress) -> Listener:
    task = bar.add_task("starting", total=None, left="")

    def listen(event: Event) -> None:
        bar.update(task, description=_describe(event), completed=event.done, total=event.total, left=_left(event))

    return listen


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
