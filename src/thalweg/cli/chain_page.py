"""What `thalweg explain` prints of a typed chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from thalweg.cli.formula_lines import print_facts, print_formulas
from thalweg.cli.translation_table import calls
from thalweg.cli.treatments import OTHERS, treatments

if TYPE_CHECKING:
    from rich.console import Console

    from thalweg.chain import Chain, Route
    from thalweg.optimizer.state_dtypes import StateDtypes


def print_route(console: Console, typed: Route, kept: StateDtypes | None = None) -> None:
    """Every chain of a route, and for which parameters it is. Raises `ChainError` if stages do not compose."""
    console.print(Text(f"\n{typed}", style="bold"))
    for key, chain in typed.entries:
        console.print(Text(f"\nTo {OTHERS if key == '*' else key}", style="bold cyan"))
        print_chain(console, chain, kept)


def print_chain(console: Console, typed: Chain, kept: StateDtypes | None = None) -> None:
    """The joined formula, its stages, its settings, state and bytes. Raises `ChainError` if stages do not compose."""
    console.print(Text(f"\n{typed}\n", style="bold"))
    counted = print_formulas(console, typed, kept)
    stages = [f"{stage.rule.name}: {stage.rule.title}" for stage in typed.rules]
    numbers = typed.numbers(*typed.traces(one.kind for one in treatments(typed)))
    settings = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in numbers.items()
    ]
    head = [("Stages", "; ".join(stages)), ("Settings", ", ".join(settings) or "none")]
    if typed.selects and not any(OTHERS in one.chosen for one in treatments(typed)):
        head.append(("Refused", "a parameter of any other role or name: no stage is for it"))
    print_facts(console, [*head, *counted, *calls(typed)])
