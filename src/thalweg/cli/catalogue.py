"""`thalweg list`: everything that there is, by name."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator


class Shelf(StrEnum):
    """What can be listed by itself."""

    rules = "rules"
    matrix = "matrix"
    stages = "stages"
    schedules = "schedules"
    optimizers = "optimizers"
    descents = "descents"
    parts = "parts"
    trainers = "trainers"
    surfaces = "surfaces"
    problems = "problems"


TITLES = {
    Shelf.rules: "Update rules (thalweg explain NAME)",
    Shelf.matrix: "Methods that see a weight as a matrix: chain(METHOD(only='matrix'), adam(skip='matrix'), step(…))",
    Shelf.stages: "Stages around a rule: chain(STAGE, rule, STAGE, step(…))",
    Shelf.schedules: "Schedules, of the learning rate or of any hyper-parameter",
    Shelf.optimizers: "Optimizers with a class of their own: tw.NAME(model.parameters(), …)",
    Shelf.descents: "Descents, for functions that can be evaluated again and again: tw.minimize(f, x0, NAME)",
    Shelf.parts: "Parts of a descent: descent(direction=…, step_size=…, stop=…)",
    Shelf.trainers: "Trainers, which step a model on minibatches (thalweg race mnist_mlp --optimizers NAME)",
    Shelf.surfaces: "Test surfaces (thalweg race NAME)",
    Shelf.problems: "Training problems (thalweg race NAME)",
}


@dataclass(frozen=True)
class Entry:
    """One thing of the catalogue, with its line in the list."""

    shelf: Shelf
    thing: object
    line: str


def list_catalogue(
    what: Annotated[Shelf | None, typer.Argument(help="Only these; without it, everything.")] = None,
) -> None:
    """The catalogue: rules, matrix methods, stages, schedules, optimizers, descents, trainers, surfaces, problems."""
    console = Console()
    for shelf in [what] if what else list(Shelf):
        console.print(Text(f"\n{TITLES[shelf]}", style="bold"), soft_wrap=True)
        entries = contents(shelf)
        width = max(map(len, entries))
        for name, entry in entries.items():
            line = Text.assemble((name.ljust(width), "cyan"), "  ", entry.line)
            if console.is_terminal:  # cut off at its edge; a program reads the whole line
                console.print(line, no_wrap=True, overflow="ellipsis")
            else:
                console.print(line, soft_wrap=True)


@functools.cache
def contents(shelf: Shelf) -> dict[str, Entry]:
    """What stands on a shelf, by name."""
    found = {
        Shelf.rules: _rules,
        Shelf.matrix: _matrix_methods,
        Shelf.stages: _stages,
        Shelf.schedules: _schedules,
        Shelf.optimizers: _optimizers,
        Shelf.descents: _descents,
        Shelf.parts: _parts,
        Shelf.trainers: _trainers,
        Shelf.surfaces: _surfaces,
        Shelf.problems: _problems,
    }[shelf]()
    return {name: Entry(shelf, thing, line) for name, thing, line in found}


def everything() -> dict[str, Entry]:
    """The whole catalogue, by name."""
    return {name: entry for shelf in Shelf for name, entry in contents(shelf).items()}


def first_line(doc: str | None) -> str:
    """The first line of a docstring."""
    return (doc or "").strip().split("\n", maxsplit=1)[0]


def _rules() -> Iterator[tuple[str, object, str]]:
    from thalweg import rules

    for name, rule in rules.catalogue().items():
        yield name, rule, f"{rule.title}. {first_line(rule.doc)}"


def _matrix_methods() -> Iterator[tuple[str, object, str]]:
    from thalweg.chain import matrix_methods

    for name, method in matrix_methods().items():
        yield name, method, f"{method.rule.title}. {method.rule.doc}"


def _stages() -> Iterator[tuple[str, object, str]]:
    from thalweg.chain import chain, route, stages, step

    for name, stage in stages().items():
        yield name, stage, f"{stage.title}. {first_line(stage.doc)}"
    for function in (step, chain, route):
        yield function.__name__, function, first_line(function.__doc__)


def _schedules() -> Iterator[tuple[str, object, str]]:
    from thalweg import schedules

    for name in schedules.__all__:
        kind = getattr(schedules, name)
        if isinstance(kind, type) and kind is not schedules.Schedule:
            yield name, kind, first_line(kind.__doc__)


def _optimizers() -> Iterator[tuple[str, object, str]]:
    import torch

    import thalweg

    for name in thalweg.__all__:
        kind = getattr(thalweg, name)
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer):
            yield name, kind, first_line(kind.__doc__)


def _descents() -> Iterator[tuple[str, object, str]]:
    from thalweg.descent import Descent, methods
    from thalweg.descent.titles import title_of

    for name, method in methods().items():
        described = method.direction if isinstance(method, Descent) else method
        yield name, method, f"{title_of(name)}. {first_line(described.__doc__)}"


def _parts() -> Iterator[tuple[str, object, str]]:
    """The directions, step sizes and stopping rules; one that a method is named after stands there."""
    import inspect

    from thalweg import descent
    from thalweg.descent.part import Part

    named = descent.methods()
    for name in descent.__all__:
        part = getattr(descent, name)
        if name in named or not isinstance(part, type) or not issubclass(part, Part) or inspect.isabstract(part):
            continue
        if not issubclass(part, descent.Trainer):
            yield name, part, first_line(part.__doc__)


def _trainers() -> Iterator[tuple[str, object, str]]:
    from thalweg.descent import by_minibatch, trainers
    from thalweg.descent.titles import title_of

    for name, trainer in trainers().items():
        yield name, trainer, f"{title_of(name)}. {first_line(trainer.__doc__)}"
    yield by_minibatch.__name__, by_minibatch, first_line(by_minibatch.__doc__)


def _surfaces() -> Iterator[tuple[str, object, str]]:
    from thalweg import surfaces

    for name, surface in surfaces.catalogue().items():
        yield name, surface, surface.title


def _problems() -> Iterator[tuple[str, object, str]]:
    from thalweg.lab import problems

    for name, problem in problems.catalogue().items():
        yield name, problem, problem.title
