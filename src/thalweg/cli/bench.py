"""`thalweg bench`: how fast each rule is on this machine, beside its memory, torch and optax."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from thalweg.errors import RaceError

TO_STDOUT = "-"


def bench(
    rules: Annotated[
        list[str] | None, typer.Argument(help="Rules by name, as `thalweg list` prints them; by default all.")
    ] = None,
    sizes: Annotated[
        str, typer.Option(help="Models to step: so many tensors of such a shape, as in 300x64,4x2000x2500.")
    ] = "150x1000,4x5000000",
    dtype: Annotated[str, typer.Option(help="float32, float64, bfloat16 or float16.")] = "float32",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[
        int | None, typer.Option(min=1, help="On how many threads; by default as many as torch takes.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each of those compared takes its turn.")] = 10,
    against: Annotated[
        str | None, typer.Option(help="torch, optax, both, or none; by default torch, and optax if it is installed.")
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write all numbers to this file, or with - to stdout.")
    ] = None,
) -> None:
    """Measure this machine: each rule's time, bytes and share of the memory's speed, against torch and optax.

    All rules take about two minutes on two cores that have nothing else to do.
    """
    from thalweg.cli.bench_progress import watch
    from thalweg.cli.bench_table import print_bench
    from thalweg.cli.ending import leave_interrupted
    from thalweg.lab.bench import Bench, read_sizes, run_bench

    settings = Bench(
        rules=tuple(rules or ()),
        sizes=read_sizes(sizes),
        dtype=dtype,
        device=device,
        threads=threads,
        rounds=rounds,
        against=tuple(word.strip() for word in against.split(",")) if against is not None else (),
    )
    _check_writable(json_file)
    try:
        with watch() as listener:
            record = run_bench(settings, command=shlex.join(["thalweg", *sys.argv[1:]]), progress=listener)
    except KeyboardInterrupt:
        leave_interrupted("interrupted; nothing was written")
    if json_file != TO_STDOUT:
        print_bench(record)
    if json_file is not None:
        _write(record.as_json(), json_file)


def _check_writable(file: str | None) -> None:
    """Find out before the minutes of measuring that there is no such folder."""
    if file is None or file == TO_STDOUT:
        return
    if Path(file).is_dir() or not Path(file).absolute().parent.is_dir():
        raise RaceError(f"cannot write {file}: it is a folder, or in none; choose another with --json")


def _write(record: dict[str, Any], file: str) -> None:
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    if file == TO_STDOUT:
        typer.echo(text, nl=False)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RaceError(f"cannot write {file}: {error.strerror}; choose another with --json") from error
    typer.echo(f"\nRecord: {file}")
