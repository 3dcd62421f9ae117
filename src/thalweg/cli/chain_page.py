"""What `thalweg explain` prints of a typed chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from thalweg.cli.formula_lines import print_facts, print_formulas
from thalweg.cli.translation_table import calls

if TYPE_CHECKING:
    from rich.console import Console

    from thalweg.chain import Chain
    from thalweg.optimizer.state_dtypes import StateDtypes


def print_chain(console: Console, typed: Chain, kept: StateDtypes | None = None) -> None:
    """The joined formula, its stages, its settings, state and bytes. Raises `ChainError` if stages do not compose."""
    console.print(Text(f"\n{typed}\n", style="bold"))
    counted = print_formulas(console, typed, kept)
    stages = [f"{stage.rule.name}: {stage.rule.title}" for stage in typed.rules]
    numbers = typed.numbers(*typed.traces())
    settings = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in numbers.items()
    ]
    head = [("Stages", "; ".join(stages)), ("Settings", ", ".join(settings) or "none")]
    if typed.selects:
        head.append(("Drawn for", "a parameter that all stages are for; others go without those that leave them out"))
    print_facts(console, [*head, *counted, *calls(typed)])
