"""`thalweg report STORE`: draw the report of a race again, from its records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    store: Annotated[str, typer.Argument(help="The file or the URL that a race wrote its records to.")],
    out: Annotated[Path | None, typer.Option(help="The page to write; by default beside the store.")] = None,
    video: Annotated[Path | None, typer.Option(help="Write an mp4 of a surface's race too.")] = None,
    problem: Annotated[str | None, typer.Option(help="Which surface the film shows; by default the first.")] = None,
) -> None:
    """Draw the report of the store's latest race again."""
    from thalweg.cli.ending import write_files
    from thalweg.lab.store import open_store

    with open_store(store, create=False) as opened:
        page = out or (Path("report.html") if "://" in store else Path(store).with_name("report.html"))
        write_files(opened, page, video=video, problem=problem)
