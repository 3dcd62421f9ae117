"""How a race ends on the terminal: its files, and its findings in a few lines."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

INTERRUPTED = 130

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from thalweg.lab.records import RaceRecord
    from thalweg.lab.store import Store


def write_files(
    store: Store, page: Path, *, video: Path | None = None, problem: str | None = None, race: RaceRecord | None = None
) -> None:
    """Write the report and, if it is asked for, the film; then say what was found and where the files are."""
    from thalweg.lab.findings import findings
    from thalweg.report import write_report, write_video

    race = race or store.latest_race()
    with drawing(f"Drawing the report {page}", store):
        written = write_report(store, page, race=race)
    console = Console()
    found = findings(store, race)
    for kind, title in (("surface", "On the surfaces"), ("training", "In training")):
        said = [finding for finding in found if finding.kind == kind and finding.tone == "result"]
        if said:
            console.print(f"\n[bold]{title}[/bold]")
            for finding in said:
                console.print(f"  {escape(finding.text)}")
    warnings = [finding for finding in found if finding.tone == "warning"]
    if warnings:
        console.print(f"\n[dim]{len(warnings)} reservations stand in the report.[/dim]")
    console.print(f"\nReport: [bold]{escape(str(written))}[/bold]", soft_wrap=True)
    if video is not None:
        with drawing(f"Drawing the film {video}", store):
            film = write_video(store, video, problem=problem)
        console.print(f"Film:   [bold]{escape(str(film))}[/bold]", soft_wrap=True)


@contextlib.contextmanager
def drawing(what: str, store: Store) -> Generator[None]:
    """Say what is being drawn, and how to have it drawn again if it is interrupted."""
    console = Console(stderr=True)
    try:
        with console.status(f"{escape(what)} …"):
            yield
    except KeyboardInterrupt:
        leave_interrupted(f"interrupted; all runs are in {store.name}: `thalweg report {store.name}` draws the report")


def leave_interrupted(message: str) -> NoReturn:
    """The program's end after Ctrl-C, as a shell expects it."""
    Console(stderr=True).print(f"thalweg: {message}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(INTERRUPTED)
