"""What a race is, and how it is run: tune all, run the chosen settings on fresh seeds, record every run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from thalweg.errors import RaceError
from thalweg.lab.clock import now
from thalweg.lab.contenders import NAMES
from thalweg.lab.entries import DEFAULT_PROBLEMS
from thalweg.lab.machine import describe_machine, describe_versions
from thalweg.lab.program import compile_race
from thalweg.lab.progress import RaceBegun, RaceEnded, ignore
from thalweg.lab.records import RaceRecord
from thalweg.lab.schedule import Schedule
from thalweg.lab.tables import SCHEMA_VERSION
from thalweg.lab.workers import Workers, cores

if TYPE_CHECKING:
    from thalweg.lab.entries import Point
    from thalweg.lab.program import Program
    from thalweg.lab.progress import Listener
    from thalweg.lab.store import Store


@dataclass(frozen=True, kw_only=True)
class Race:
    """What to race: an inert value, that `run_race` runs.

    `problems` are names of surfaces, names of training problems, and Python files; `optimizers` are names
    of rules, or chains as they are typed. `start` replaces the surfaces' own starts. Where a number is
    None, the kind of problem has its usual one. `seeds` are those that the chosen setting is run on; those
    for tuning are others.
    """

    problems: tuple[str, ...] = DEFAULT_PROBLEMS
    optimizers: tuple[str, ...] = NAMES
    start: Point | None = None
    trials: int | None = None
    tuning_seeds: int | None = None
    seeds: int | None = None
    steps: int | None = None


def run_race(
    race: Race,
    store: Store,
    *,
    workers: int | None = None,
    progress: Listener = ignore,
    command: str = "",
) -> RaceRecord:
    """Run a race to its end, each run into the store as it ends, and give back its record.

    If the store holds an unfinished race with the same settings, versions and kind of machine, that one
    goes on; if it holds a finished one, nothing is run. `workers` is the number of processes, by default
    one for each core. The cores are shared out among them; since the number of threads decides in which
    order numbers are summed, a race that goes on keeps to the number that it began with.

    In a script of your own, call it under `if __name__ == "__main__":`, as every process that starts others
    must.

    Raises:
        RaceError, UnknownNameError, ProblemError: it cannot be run as it is asked for.
        StoreError: the store cannot be written.
        KeyboardInterrupt: it was interrupted; the message says how to go on.
    """
    if workers is not None and workers < 1:
        raise RaceError(f"a race needs at least 1 worker, not {workers}")
    count = workers or cores()
    program = compile_race(race)
    record = _find(store, program) or _begin(store, program, command, threads=max(1, cores() // count))
    if record.finished is not None:
        progress(RaceBegun(done=len(store.runs(record)), total=len(store.runs(record)), workers=0))
        return record
    schedule = Schedule(program.contests, store.runs(record))
    progress(RaceBegun(done=schedule.done, total=schedule.total, workers=count))
    begin = time.perf_counter()
    try:
        with Workers(count, threads=cast("int", record.settings["threads"])) as crew:
            schedule.run(store, record, crew, progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; {schedule.done} of {schedule.total} runs are in {store.name}: "
            "the same command goes on from there"
        ) from None
    store.finish_race(record, now())
    progress(RaceEnded(runs=schedule.done, elapsed=time.perf_counter() - begin))
    return _find(store, program) or record


def _find(store: Store, program: Program) -> RaceRecord | None:
    """The last race of the same settings, that ran with the same versions on the same kind of machine."""
    machine, versions = describe_machine(), describe_versions()
    for record in reversed(store.races()):
        same_machine = all(record.machine.get(name) == machine[name] for name in ("cpu", "system"))
        if record.key == program.key and same_machine and record.versions == versions:
            return record
    return None


def _begin(store: Store, program: Program, command: str, *, threads: int) -> RaceRecord:
    record = RaceRecord(
        id=0,  # the store gives it one
        key=program.key,
        created=now(),
        finished=None,
        schema_version=SCHEMA_VERSION,
        command=command,
        settings={**program.settings, "threads": threads},
        machine=describe_machine(),
        versions=describe_versions(),
        source=program.source,
    )
    return store.begin_race(record, program.problems)
