"""What `thalweg explain` prints of one rule."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from thalweg.chain import Whole, chain, step
from thalweg.cli.formula_lines import print_facts, print_formulas
from thalweg.cli.matrix_facts import taken_by
from thalweg.cli.translation_table import print_translations
from thalweg.errors import ChainError
from thalweg.formula import Stage

if TYPE_CHECKING:
    from rich.console import Console

    from thalweg.chain import Chain
    from thalweg.formula import Hyperparameter, Value
    from thalweg.optimizer.state_dtypes import StateDtypes

RATE = 0.1
"""Of a chain made only to look at a stage that is no rule."""


def print_rule(console: Console, stage: Stage | Whole, kept: StateDtypes | None = None) -> None:
    """Formula, source, dialect, when to use it, state, bytes, settings, and what it is called elsewhere."""
    rule = stage.rule
    typed = usual_chain(dataclasses.replace(stage, only=(), skip=()))
    console.print(f"\n[bold]{rule.title}[/bold]  [cyan]{rule.name}[/cyan]")
    console.print(Text(" ".join(rule.doc.split()) + "\n"))
    counted = print_formulas(console, typed, kept)
    facts = [("Type", str(typed)), ("Source", rule.source)]
    facts += [
        (word, rule.notes[note]) for word, note in (("Dialect", "dialect"), ("When", "when")) if note in rule.notes
    ]
    taken = [("Takes", taken_by(stage))] if isinstance(stage, Whole) else []
    print_facts(console, [*facts, *taken, *counted])
    if rule.hyperparameters:
        console.print("\n[bold]Hyper-parameters[/bold]")
        console.print(_settings(stage))
    print_translations(console, stage, typed)


def usual_chain(stage: Stage | Whole) -> Chain:
    """The chain to look at a stage in: with its usual rate, without one if it makes the move itself."""
    if stage.rule.learning_rate is not None:
        return chain(stage, step(stage.rule.learning_rate))
    if isinstance(stage, Stage) and stage.rule.follows_step:
        return chain(step(RATE), stage)
    try:
        alone = chain(stage)
        _ = alone.trace()
    except ChainError:  # a direction, as clipping gives
        return chain(stage, step(RATE))
    return alone


def _settings(stage: Stage | Whole) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim")
    typed = dict(stage.typed)
    for column in ("name", "default", *(["typed"] if typed else []), "range"):
        table.add_column(column, no_wrap=True)
    table.add_column("the default's source")
    for name, hyper in stage.rule.hyperparameters.items():
        here = [_show(typed[name]) if name in typed else ""] if typed else []
        table.add_row(name, _show(hyper.default), *here, _range(hyper), stage.rule.notes.get(name, ""))
    return table


def _show(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(hyper: Hyperparameter) -> str:
    return " | ".join(map(str, hyper.choices)) if hyper.is_option else str(hyper.range)
