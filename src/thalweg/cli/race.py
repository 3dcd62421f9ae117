"""`thalweg race`: tune, run, record, report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from thalweg.errors import RaceError


def race(
    problems: Annotated[
        list[str] | None,
        typer.Argument(
            help="Surfaces and training problems, as `thalweg list` names them, or Python files that define one; by "
            "default the classic ones."
        ),
    ] = None,
    optimizers: Annotated[
        str | None,
        typer.Option(
            help="Names, or chains and descents as they are typed, separated by commas; `lr` in one is tuned, as in "
            "'adam, chain(adam(beta2=0.95), decay(0.1), step(lr))'. By default eleven rules."
        ),
    ] = None,
    start: Annotated[str | None, typer.Option(help="Where to start on a surface, as in 2,-2.")] = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="How many rates each optimizer is tuned over: 13 on surfaces, 7 in training."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="On how many fresh seeds the chosen setting is run: 10.")
    ] = None,
    tuning_seeds: Annotated[
        int | None, typer.Option(min=1, help="On how many seeds each rate is tried: 3 on surfaces, 2 in training.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="The budget, in gradient evaluations, of one run: 1000 on surfaces, a problem's own."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder for the records and the report.")] = Path("thalweg-race"),
    store: Annotated[
        str | None, typer.Option(help="Keep the records in this file or at this URL (SQLite, PostgreSQL).")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many processes; by default one for each core.")
    ] = None,
    video: Annotated[Path | None, typer.Option(help="Write an mp4 of a surface's race too.")] = None,
) -> None:
    """Race optimizers fairly: equal tuning, equal budgets, fresh seeds. Ends with a report.

    Interrupted or killed, the same command goes on where it was.
    """
    from thalweg.cli.ending import leave_interrupted, write_files
    from thalweg.cli.progress import watch
    from thalweg.lab.race import Race, run_race
    from thalweg.lab.store import open_store

    typed = {
        "problems": tuple(problems or ()),
        "optimizers": _split(optimizers) if optimizers else (),
        "start": _point(start) if start is not None else None,
        "trials": trials,
        "seeds": seeds,
        "tuning_seeds": tuning_seeds,
        "steps": steps,
    }
    settings = Race(**{name: value for name, value in typed.items() if value})  # pyright: ignore[reportArgumentType]
    where = store or str(_folder(out) / "race.sqlite")
    with open_store(where) as opened:
        try:
            with watch() as listener:
                record = run_race(settings, opened, workers=workers, progress=listener, command=_as_typed())
        except KeyboardInterrupt as stop:
            leave_interrupted(str(stop))
        write_files(opened, out / "report.html", video=video, race=record)


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot make the folder {out}: {error.strerror}; choose another with --out"
        raise RaceError(message) from error
    return out


def _split(text: str) -> tuple[str, ...]:
    """The words between commas, those inside brackets apart: a chain has commas of its own."""
    words, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            words.append("")
        else:
            words[-1] += character
    return tuple(word.strip() for word in words if word.strip())


def _point(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        message = f"the start {text!r} is not a point; type it as in --start 2,-2"
        raise RaceError(message) from None


def _as_typed() -> str:
    return shlex.join(["thalweg", *sys.argv[1:]])
