"""The lines that a rule's page and a chain's have in common: the drawn formula, its letters, states, bytes."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from thalweg.formula.scalar import Level
from thalweg.kernels import plan, plan_meanwhile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from thalweg.chain import Chain
    from thalweg.formula import Trace
    from thalweg.kernels import Plan

MARGIN = 4


def print_formulas(console: Console, typed: Chain) -> list[tuple[str, str]]:
    """A chain's formula, that of matrices and that of vectors apart where they differ; gives its states and bytes.

    Raises `ChainError` or `FormulaError` if its stages do not compose.
    """
    kinds = {" of matrices": True, " of vectors": False} if typed.depends_on_shape else {"": True}
    facts: list[tuple[str, str]] = []
    for kind, is_matrix in kinds.items():
        traced = typed.trace(is_matrix=is_matrix, with_names=True)
        if kind:
            console.print(f"[bold]Elements{kind}[/bold]")
        _print_formula(console, traced)
        planned = plan(traced)
        facts += [(f"State{kind}", states(planned)), (f"Moves{kind}", moved(planned))]
        adding = plan_meanwhile(traced, beside=planned)
        if adding is not None:
            facts.append((f"In between{kind}", moved(adding)))
    return facts


def _print_formula(console: Console, traced: Trace) -> None:
    """The lines of one formula, and what its letters stand for."""
    from thalweg.kernels.notation import draw

    lines = draw(traced)
    for line in lines:
        console.print(Text(within(line.text, console.width)), soft_wrap=True)
    made = {line.name.name for line in lines}
    given = {symbol.name for line in lines for symbol in line.value.free_symbols} - made
    meanings = {
        "g": "g the gradient",
        "d": "d the direction so far",
        "p": "p the parameter",
        "alpha": "α the learning rate",
        "t": "t the step, from 1",
    }
    told = (meaning for letter, meaning in meanings.items() if letter in (made if letter in "dp" else given))
    console.print(f"\n[dim]{', '.join(told)}[/dim]\n")


def within(drawing: str, width: int) -> str:
    """A drawn line with a margin; one that is too wide goes on below, as if its paper were cut and hung up lower."""
    rows = [_cells(row) for row in drawing.split("\n")]
    pieces: list[str] = []
    begin, margin = 0, MARGIN
    while begin == 0 or any(len(row) > begin for row in rows):
        end = begin + width - margin
        pieces += ["".join([" " * margin, *row[begin:end]]).rstrip() for row in rows]
        begin, margin = end, 2 * MARGIN
    return "\n".join(pieces)


def _cells(row: str) -> list[str]:
    """The columns of a row: a letter and the hat or bar over it are one."""
    cells: list[str] = []
    for character in row:
        if unicodedata.combining(character) and cells:
            cells[-1] += character
        else:
            cells.append(character)
    return cells


def print_facts(console: Console, facts: Iterable[tuple[str, str]]) -> None:
    """Lines with a word in bold before each."""
    table = Table(box=None, show_header=False, padding=(0, 2), pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in facts:
        table.add_row(name, Text(text))
    console.print(table)


def states(plan: Plan) -> str:
    """What a step keeps, and how much that is."""
    if not plan.states:
        return "none"
    fine = [kept.name for kept in plan.states if kept.level is Level.ELEMENT]
    parts = [f"{', '.join(fine)} ({4 * len(fine)} bytes a parameter in float32)"] if fine else []
    parts += [f"{kept.name} (one number a {kept.level.value})" for kept in plan.states if kept.name not in fine]
    return ", ".join(parts)


def moved(plan: Plan) -> str:
    """The bytes that a step must move: what each pass over the arrays reads and writes."""
    reads = sum(len(plan.loads_of(one)) for one in plan.passes)
    writes = sum(len(one.stores) for one in plan.passes)
    passes = f", in {len(plan.passes)} passes" if len(plan.passes) > 1 else ""
    return (
        f"{plan.bytes_per_parameter()} bytes a parameter and step in float32: "
        f"{_count(reads, 'read')}, {_count(writes, 'write')}{passes}"
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
