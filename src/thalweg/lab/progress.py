"""What a race tells while it runs: small values, handed to whoever draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.lab.records import ChoiceRecord, Role


@dataclass(frozen=True, kw_only=True)
class RaceBegun:
    """The race is known to the store. `done` runs of `total` are in it from an earlier, interrupted run."""

    done: int
    total: int
    workers: int


@dataclass(frozen=True, kw_only=True)
class TaskBegun:
    """A worker has begun some runs."""

    problem: str
    optimizer: str
    role: Role
    runs: int


@dataclass(frozen=True, kw_only=True)
class TaskEnded:
    """Some runs have ended and are in the store.

    `total` grows when a search must go on beyond its grid. `elapsed` and `remaining` are seconds;
    `remaining` is None while nothing is known.
    """

    problem: str
    optimizer: str
    role: Role
    runs: int
    diverged: int
    failed: int
    done: int
    total: int
    elapsed: float
    remaining: float | None


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """An optimizer's setting on a problem is chosen."""

    choice: ChoiceRecord


@dataclass(frozen=True, kw_only=True)
class RaceEnded:
    """All runs are in the store."""

    runs: int
    elapsed: float


Progress: TypeAlias = RaceBegun | TaskBegun | TaskEnded | Tuned | RaceEnded
Listener: TypeAlias = "Callable[[Progress], None]"


def ignore(_event: Progress) -> None:
    """A listener that does nothing."""
