"""What a race shows while it runs: a line that moves in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.markup import escape

from thalweg.cli.moving_line import PAUSE, shown
from thalweg.lab.progress import RaceBegun, TaskBegun, TaskEnded, Tuned

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rich.progress import Progress

    from thalweg.lab.progress import Listener
    from thalweg.lab.progress import Progress as Event


def watch() -> AbstractContextManager[Listener]:
    """A listener for `run_race`, that draws for as long as the block lasts."""
    return shown(_live, _plain)


def _live(bar: Progress) -> Listener:
    task = bar.add_task("compiling the race", total=None, left="")
    running: list[str] = []

    def listen(event: Event) -> None:
        match event:
            case RaceBegun():
                bar.update(task, completed=event.done, total=event.total)
            case TaskBegun():
                running.append(_describe(event))
                bar.update(task, description=running[-1])
            case TaskEnded():
                running.remove(_describe(event))
                shown = running[-1] if running else _describe(event)
                bar.update(
                    task, description=shown, completed=event.done, total=event.total, left=_left(event.remaining)
                )
            case Tuned() if event.choice.final_score is None:
                bar.console.print(f"[dim]{escape(_say_choice(event))}[/dim]", highlight=False)
            case _:
                pass

    return listen


def _plain(say: Callable[[str], None]) -> Listener:
    last = time.monotonic()

    def listen(event: Event) -> None:
        nonlocal last
        match event:
            case RaceBegun():
                say(f"{event.total} runs{f', {event.done} of them done before' if event.done else ''}")
            case Tuned() if event.choice.final_score is None:
                say(_say_choice(event))
            case TaskEnded() if time.monotonic() - last > PAUSE:
                last = time.monotonic()
                say(f"{event.done} of {event.total} runs; {_left(event.remaining)}")
            case _:
                pass

    return listen


def _describe(event: TaskBegun | TaskEnded) -> str:
    return f"{event.problem}: {event.optimizer} ({'tuning' if event.role == 'tuning' else 'fresh seeds'})"


def _say_choice(event: Tuned) -> str:
    choice = event.choice
    if choice.trial is not None and not choice.tuned:
        return f"{choice.problem}: {choice.optimizer} has nothing to tune"
    chosen = ", ".join(f"{name} {value:.3g}" for name, value in choice.tuned.items()) or "no rate that survives"
    return f"{choice.problem}: {choice.optimizer} takes {chosen}"


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"about {minutes} min {rest:02d} s left" if minutes else f"about {rest} s left"
