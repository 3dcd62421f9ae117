"""What `thalweg explain` prints of a descent or a trainer: its parts, what it spends and keeps, its settings."""

from __future__ import annotations

import dataclasses
import inspect
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from thalweg.cli.flowing import flowing
from thalweg.cli.formula_lines import print_facts
from thalweg.descent import Routine, Trainer
from thalweg.descent.directions.direction import Direction
from thalweg.descent.part import Part
from thalweg.descent.steps.step_size import StepSize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from thalweg.descent import Descent

AnyPart = Part | type[Part]
ONCE = "function and gradient at the next point"
DERIVATIVES = (
    "values of the function alone",
    "values and gradients",
    "values, gradients and products with the Hessian",
)
BOUNDS = {
    "refused": "it knows none",
    "taken": "each variable may have some",
    "needed": "each variable needs two; a race on a surface gives it the window",
}


def print_descent(console: Console, method: Descent, *, name: str = "", title: str = "") -> None:
    """Direction, step size and stopping rule, each as its docstring has it; what a step costs; when to use it."""
    if name:
        console.print(f"\n[bold]{title}[/bold]  [cyan]{name}[/cyan]")
    console.print(Text(f"{method!r}\n", style="" if name else "bold"))
    direction, step_size = method.direction, method.step_size
    searched = [step_size] if isinstance(step_size, StepSize) else []
    parts = [direction, *searched, *method.stop.parts]
    roles = ["Direction", *(["Step size"] if searched else []), "Stops"]
    console.print(_described(roles, parts))
    console.print()
    known = [] if searched else [("Step size", f"known beforehand: {step_size!r}")]
    spent = searched[0].spends if searched else ONCE
    spends = ("Spends", f"where it stands: {direction.spends}; to step: {spent}")
    print_facts(console, [*known, spends, *_facts_of(type(direction))])
    _print_settings(console, parts)
    if name:
        console.print(_typed(name))


def print_part(console: Console, part: AnyPart, *, name: str = "", title: str = "") -> None:
    """A direction, step size, stopping rule, routine or trainer: its docstring, what it spends, its settings."""
    if name:
        console.print(f"\n[bold]{title}[/bold]  [cyan]{name}[/cyan]")
        console.print(Text(f"{part!r}\n"))
    else:
        console.print(Text.assemble("\n", (_name(part), "bold cyan"), "\n"))
    console.print(Text(f"{_document(part)}\n"))
    kind = part if isinstance(part, type) else type(part)
    if issubclass(kind, Direction):
        print_facts(console, [("Spends", f"where it stands: {kind.spends}"), *_facts_of(kind)])
    elif issubclass(kind, StepSize):
        print_facts(console, [("Spends", f"to step: {kind.spends}")])
    elif isinstance(part, Routine):
        print_facts(console, [("Asks for", DERIVATIVES[part.derivatives]), ("Bounds", BOUNDS[part.bounds])])
    elif issubclass(kind, Trainer):
        print_facts(console, [("Spends", f"for a step: {kind.spends}"), ("When", kind.when)])
    _print_settings(console, [part])
    if name and isinstance(part, Trainer):
        console.print(_trains(part, name))
    elif name:
        bounds = ", bounds=[…]" if isinstance(part, Routine) and part.bounds == "needed" else ""
        console.print(_typed(name, bounds))


def _typed(name: str, more: str = "") -> Text:
    line = f"\ntw.minimize(f, x0, {name!r}{more}); thalweg race rosenbrock --optimizers {name},adam"
    return Text(line, style="dim")


def _trains(trainer: Trainer, name: str) -> Text:
    line = f"\ntw.{trainer.optimizer_name}(model, …); thalweg race mnist_mlp --optimizers {name},adam"
    return Text(line, style="dim")


def _facts_of(direction: type[Direction]) -> list[tuple[str, str]]:
    """What a direction keeps, and when to use it."""
    when = [("When", direction.when)] if direction.when else []
    return [("Keeps", f"of n variables: {direction.keeps}"), *when]


def _described(roles: Sequence[str], parts: Sequence[Part]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2), pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for role, part in zip_longest(roles, parts, fillvalue=""):  # of several stopping rules, the first has the word
        assert isinstance(part, Part)  # noqa: S101  # there are as many parts as roles, or more
        table.add_row(role, _name(part), Text(" ".join(_document(part).split())))
    return table


def _document(part: AnyPart) -> str:
    """Its docstring; of one of several with a formula in common, the family's too."""
    kind = part if isinstance(part, type) else type(part)
    family = kind.__bases__[0]
    in_common = family.__doc__ if family.__bases__[0] in (Direction, StepSize) else None
    return "\n\n".join(filter(None, [flowing(inspect.getdoc(kind)), in_common and flowing(in_common)]))


def _print_settings(console: Console, parts: Sequence[AnyPart]) -> None:
    """The numbers of the parts; here, where a part has been given another one than its default."""
    rows = [(part, known) for part in parts for known in dataclasses.fields(part) if "range" in known.metadata]
    if not rows:
        return
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim")
    changed = any(_here(part, known) for part, known in rows)
    for column in ("name", "of", "default", *(["here"] if changed else []), "range"):
        table.add_column(column, no_wrap=True)
    sourced = any(known.metadata["source"] for _, known in rows)
    if sourced:
        table.add_column("the default's source")
    for part, known in rows:
        here = [_here(part, known)] if changed else []
        default = "" if known.default is dataclasses.MISSING else _show(known.default)
        whole = "whole, " if known.metadata["whole"] else ""
        source = [known.metadata["source"]] if sourced else []
        table.add_row(known.name, _name(part), default, *here, f"{whole}{known.metadata['range']}", *source)
    console.print("\n[bold]Settings[/bold]")
    console.print(table)


def _here(part: AnyPart, known: dataclasses.Field[object]) -> str:
    """What a part's number is, if that is not its default."""
    value: object = known.default if isinstance(part, type) else getattr(part, known.name)
    return "" if value == known.default else _show(value)


def _name(part: AnyPart) -> str:
    return part.__name__ if isinstance(part, type) else type(part).__name__


def _show(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
