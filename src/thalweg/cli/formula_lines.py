"""The lines that a rule's page and a chain's have in common: the drawn formula, its letters, states, bytes."""

from __future__ import annotations

import unicodedata
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from thalweg.cli.matrix_facts import states_of
from thalweg.cli.treatments import treatments
from thalweg.formula.scalar import Level
from thalweg.kernels import plan, plan_meanwhile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from thalweg.chain import Chain, Whole
    from thalweg.formula import Trace
    from thalweg.kernels import Plan
    from thalweg.optimizer.state_dtypes import StateDtypes

MARGIN = 4
GIVEN, MADE = "G", "D"
"""The letters of what a matrix method is given, and of what it makes."""


def print_formulas(console: Console, typed: Chain, kept: StateDtypes | None = None) -> list[tuple[str, str]]:
    """A chain's formula, apart for parameters that it treats apart; gives the states and bytes of each.

    The states are `kept` in dtypes of their own, or in float32.

    Raises `ChainError` or `FormulaError` if its stages do not compose.
    """
    facts: list[tuple[str, str]] = []
    for one in treatments(typed):
        traced = typed.trace(is_matrix=one.kind.is_matrix, active=one.kind.active, with_names=True)
        if one.heading:
            console.print(Text(one.heading, style="bold"))
        whole = typed.whole_for(one.kind)
        _print_formula(console, traced, whole)
        plans = list(map(plan, traced.parts))
        sizes = {} if kept is None else kept.sizes(traced)
        own = [] if whole is None else [states_of(whole)]
        needed = needs(traced)
        facts += [(one.only_of("Needs"), needed)] if needed else []
        facts += [(one.only_of("State"), states(plans, own, sizes)), (one.only_of("Moves"), moved(plans, sizes))]
        adding = plan_meanwhile(traced, beside=plans[0])
        if adding is not None:
            facts.append((one.only_of("In between"), moved([adding], sizes)))
    return facts


def _print_formula(console: Console, traced: Trace, whole: Whole | None) -> None:
    """The lines of one formula, and what its letters stand for."""
    from thalweg.kernels.notation import draw

    *before, lines = map(draw, traced.parts)
    for line in (line for part in before for line in part):  # ends with what the method is given
        _print_line(console, line.text.replace(f"{MADE} ←", f"{GIVEN} ←"))
    for row in () if whole is None else whole.rule.algorithm:
        _print_line(console, row)
    for line in lines:
        _print_line(console, line.text)
    made = {line.name.name for line in lines}
    given = {symbol.name for part in (*before, lines) for line in part for symbol in line.value.free_symbols} - made
    kept = {kept.name for kept in traced.states}
    meanings = {
        "g": "g the gradient",
        "d": "d the direction so far",
        "p": "p the parameter",
        "alpha": "α the learning rate",
        "t": "t the step, from 1",
        "loss": "loss the loss",
        "hhat": "ĥ an estimate of the Hessian's diagonal",
        "Hv": "Hv the Hessian times a random vector",
    }
    told = [m for letter, m in meanings.items() if letter in (made - kept if letter in "dp" else given)]
    told += (
        [] if whole is None else [f"{GIVEN} what the method is given, as a matrix", f"{MADE} the direction it makes"]
    )
    console.print(Text(f"\n{', '.join(told)}\n", style="dim"))


def _print_line(console: Console, text: str) -> None:
    console.print(Text(within(text, console.width)), soft_wrap=True)


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


def needs(traced: Trace) -> str:
    """What a step is to be given besides gradients."""
    slot = traced.curvature
    parts = ["the loss: step(closure) or step(loss=loss)"] if traced.uses_loss else []
    if slot is not None:
        what = "an estimate of the Hessian's diagonal" if slot.kind == "diagonal" else "a product with the Hessian"
        often = "at every step" if slot.every == 1 else f"at every {slot.every}th step"
        parts.append(f"{what} {often}: estimate_curvature(loss)")
    return ", ".join(parts)


def states(plans: Sequence[Plan], more: Sequence[str] = (), sizes: Mapping[str, float] = MappingProxyType({})) -> str:
    """What a step keeps, and how much that is, with the bytes of an element of those that are not in float32."""
    every = [kept for one in plans for kept in one.states if not kept.name.endswith(".direction")]
    fine = [kept.name for kept in every if kept.level is Level.ELEMENT]
    room = f"{sum(sizes.get(name, 4) for name in fine):.4g} bytes a parameter{'' if sizes else ' in float32'}"
    parts = [f"{', '.join(fine)} ({room})"] if fine else []
    parts += [f"{kept.name} (one number a {kept.level.value})" for kept in every if kept.name not in fine]
    return ", ".join([*parts, *more]) or "none"


def moved(plans: Sequence[Plan], sizes: Mapping[str, float] = MappingProxyType({})) -> str:
    """The bytes that a step must move: what each pass over the arrays reads and writes."""
    passes = [(one, each) for one in plans for each in one.passes]
    reads = sum(len(one.loads_of(each)) for one, each in passes)
    writes = sum(len(each.stores) for _, each in passes)
    count = f", in {len(passes)} passes" if len(passes) > 1 else ""
    around = ", around the matrix products" if len(plans) > 1 else ""
    return (
        f"{sum(one.moved(sizes) for one in plans):.4g} bytes a parameter and step"
        f"{', itself in float32' if sizes else ' in float32'}: "
        f"{_count(reads, 'read')}, {_count(writes, 'write')}{count}{around}"
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
