"""The program: its commands, and what becomes of an error."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import thalweg
from thalweg.cli.bench import bench
from thalweg.cli.catalogue import list_catalogue
from thalweg.cli.explain import explain
from thalweg.cli.race import race
from thalweg.cli.report import report
from thalweg.errors import ChainError, HyperparameterError, RaceError, ScheduleError, ThalwegError, UnknownNameError

WRONG_COMMAND = 2
FAILED = 1

WRONG_INPUT = (UnknownNameError, ChainError, HyperparameterError, ScheduleError, RaceError)
"""What is raised for words that were typed here; the rest has gone wrong elsewhere."""

app = typer.Typer(
    name="thalweg",
    help="Optimizers for neural networks: exact, fused, and fairly compared.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"thalweg {thalweg.__version__}")
        raise typer.Exit


@app.callback()
def thalweg_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Optimizers for neural networks: exact, fused, and fairly compared."""


app.command("race")(race)
app.command("list")(list_catalogue)
app.command("explain")(explain)
app.command("report")(report)
app.command("bench")(bench)


def main() -> None:
    """Run the program: 0 if all went well, 2 for a wrong command line, 1 for a run that failed."""
    try:
        app()
    except WRONG_INPUT as error:
        _leave(str(error), WRONG_COMMAND)
    except ThalwegError as error:
        _leave(str(error), FAILED)
    except BrokenPipeError:  # the reader, as in `thalweg list | head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(message: str, status: int) -> None:
    print(f"thalweg: {message}", file=sys.stderr)  # noqa: T201  # the last word of a program
    sys.exit(status)
