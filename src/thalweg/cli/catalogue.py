"""`thalweg list`: everything that there is, by name."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


class Shelf(StrEnum):
    """What can be listed by itself."""

    rules = "rules"
    surfaces = "surfaces"
    problems = "problems"
    schedules = "schedules"


def list_catalogue(
    what: Annotated[Shelf | None, typer.Argument(help="Only these; without it, everything.")] = None,
) -> None:
    """The catalogue: update rules, test surfaces, training problems, schedules."""
    console = Console()
    shelves = {
        Shelf.rules: (_rules, "Update rules (thalweg explain NAME)"),
        Shelf.surfaces: (_surfaces, "Test surfaces (thalweg race NAME)"),
        Shelf.problems: (_problems, "Training problems (thalweg race NAME)"),
        Shelf.schedules: (_schedules, "Schedules (of the learning rate, or of any hyper-parameter)"),
    }
    for shelf in [what] if what else list(shelves):
        rows, title = shelves[shelf]
        console.print(f"\n[bold]{title}[/bold]")
        table = Table(box=None, show_header=False, padding=(0, 2), pad_edge=False)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for name, text in rows():
            table.add_row(name, text)
        console.print(table)


def _rules() -> list[tuple[str, str]]:
    from thalweg import rules

    return [(name, f"{rule.title}. {_first_line(rule.doc)}") for name, rule in rules.catalogue().items()]


def _surfaces() -> list[tuple[str, str]]:
    from thalweg import surfaces

    return [(name, surface.title) for name, surface in surfaces.catalogue().items()]


def _problems() -> list[tuple[str, str]]:
    from thalweg.lab import problems

    return [(name, problem.title) for name, problem in problems.catalogue().items()]


def _schedules() -> list[tuple[str, str]]:
    from thalweg import schedules

    made = {name: getattr(schedules, name) for name in schedules.__all__}
    kinds = {name: v for name, v in made.items() if isinstance(v, type) and v is not schedules.Schedule}
    return [(name, _first_line(kind.__doc__ or "")) for name, kind in kinds.items()]


def _first_line(doc: str) -> str:
    return doc.strip().split("\n", maxsplit=1)[0]
