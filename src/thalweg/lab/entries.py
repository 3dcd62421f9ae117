"""What is raced on: surfaces with a start, and training problems, found by what the user types."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from thalweg import surfaces
from thalweg.errors import RaceError, UnknownNameError, did_you_mean
from thalweg.lab import problems
from thalweg.lab.user_problem import load_user_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thalweg.lab.problem import Problem
    from thalweg.surfaces import Surface

Point: TypeAlias = tuple[float, ...]

DEFAULT_PROBLEMS = (
    "beale",
    "rosenbrock",
    "quadratic",
    "saddle",
    "two_basins",
    "mnist_softmax",
    "mnist_mlp",
)


@dataclass(frozen=True)
class SurfaceReference:
    """A surface and the start on it, by name: enough for any process to find them."""

    surface: str
    start: Point
    name: str


@dataclass(frozen=True)
class TrainingReference:
    """A training problem, by name: one of ours, or one that a user's file defines."""

    name: str
    file: str | None = None


Reference: TypeAlias = SurfaceReference | TrainingReference


def resolve(typed: Sequence[str], *, start: Point | None = None) -> tuple[Reference, ...]:
    """What the user's words refer to: names of surfaces, names of training problems, Python files.

    A surface is raced from each of its own starts, or from `start` alone.

    >>> [reference.name for reference in resolve(["beale", "mnist_mlp"])]
    ['beale (2, -2)', 'beale (-3, 3)', 'mnist_mlp']

    Raises:
        UnknownNameError: a word refers to nothing; the message names the nearest that do.
        RaceError: the same problem twice, or a start for what is no surface or has other coordinates.
    """
    found: list[Reference] = []
    for word in typed:
        found += _resolve_one(word, start)
    for name in {reference.name for reference in found}:
        if sum(reference.name == name for reference in found) > 1:
            raise RaceError(f"`{name}` is asked for twice; name each problem once")
    if start is not None and not any(isinstance(reference, SurfaceReference) for reference in found):
        raise RaceError(f"a start belongs to a surface, and none of {', '.join(typed)} is one; leave it out")
    return tuple(found)


def surface_of(reference: SurfaceReference) -> Surface:
    """The surface that a reference names."""
    return surfaces.get(reference.surface)


@cache
def problem_of(reference: TrainingReference) -> Problem:
    """The training problem that a reference names; loaded once a process."""
    if reference.file is None:
        return problems.get(reference.name)
    return {problem.name: problem for problem in load_user_problem(reference.file)}[reference.name]


def _resolve_one(word: str, start: Point | None) -> list[Reference]:
    if word in surfaces.catalogue():
        return list(_starts(surfaces.get(word), start))
    if word in problems.catalogue():
        return [TrainingReference(word)]
    if word.endswith(".py"):
        return [TrainingReference(problem.name, word) for problem in load_user_problem(word)]
    known = [*surfaces.catalogue(), *problems.catalogue()]
    raise UnknownNameError(
        f"there is no surface or training problem `{word}`; {did_you_mean(word, known)}"
        " (a problem of your own is a Python file: my_problem.py)"
    )


def _starts(surface: Surface, start: Point | None) -> list[SurfaceReference]:
    if start is not None and len(start) != surface.dimension:
        raise RaceError(
            f"the start {_print_point(start)} has {len(start)} coordinates, and `{surface.name}` needs "
            f"{surface.dimension}; type it as in --start 2,-2"
        )
    starts = surface.starts if start is None else (start,)
    named_alone = start is None and len(starts) == 1
    return [
        SurfaceReference(surface.name, point, surface.name if named_alone else f"{surface.name} {_print_point(point)}")
        for point in starts
    ]


def _print_point(point: Point) -> str:
    return f"({', '.join(f'{coordinate:g}' for coordinate in point)})"
