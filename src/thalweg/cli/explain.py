"""`thalweg explain RULE`: one rule, with its formula drawn in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from thalweg.formula import Hyperparameter, Rule, Value
    from thalweg.kernels import Plan


def explain(rule: Annotated[str, typer.Argument(help="The rule's name, as `thalweg list` prints it.")]) -> None:
    """One update rule: formula, source, dialect, defaults, state, bytes per parameter, when to use it."""
    from thalweg import rules
    from thalweg.chain import chain, step
    from thalweg.kernels import plan
    from thalweg.kernels.notation import draw

    found = rules.get(rule)
    typed = chain(found()) if found.learning_rate is None else chain(found(), step(found.learning_rate))
    traced = typed.trace(with_names=True)
    console = Console()
    console.print(f"\n[bold]{found.title}[/bold]  [cyan]{found.name}[/cyan]")
    console.print(_paragraph(found.doc))
    for line in draw(traced):
        console.print(Padding(Text(line.text, no_wrap=True), (0, 0, 0, 4)), soft_wrap=True)
    console.print("\n[dim]g the gradient, p the parameter, α the learning rate, t the step, from 1[/dim]\n")
    facts = Table(box=None, show_header=False, padding=(0, 2), pad_edge=False)
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    for name, text in _facts(found, plan(traced), str(typed)):
        facts.add_row(name, text)
    console.print(facts)
    if found.hyperparameters:
        console.print("\n[bold]Hyper-parameters[/bold]")
        console.print(_settings(found))


def _paragraph(text: str) -> str:
    return " ".join(text.split()) + "\n"


def _facts(rule: Rule, plan: Plan, typed: str) -> list[tuple[str, str]]:
    states = ", ".join(kept.name for kept in plan.states) or "none"
    moved = plan.bytes_per_parameter()
    reads, writes = len(plan.loads), len(plan.stores)
    facts = [("Type", typed), ("Source", rule.source)]
    if "dialect" in rule.notes:
        facts.append(("Dialect", rule.notes["dialect"]))
    if "when" in rule.notes:
        facts.append(("When", rule.notes["when"]))
    facts.append(("State", f"{states} ({4 * len(plan.states)} bytes a parameter in float32)"))
    facts.append(("Moves", f"{moved} bytes a parameter and step in float32: {reads} reads, {writes} writes"))
    return facts


def _settings(rule: Rule) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim")
    for column in ("name", "default", "range", "the default's source"):
        table.add_column(column, no_wrap=column != "the default's source")
    for name, hyper in rule.hyperparameters.items():
        table.add_row(name, _show(hyper.default), _range(hyper), rule.notes.get(name, ""))
    return table


def _show(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(hyper: Hyperparameter) -> str:
    return " | ".join(map(str, hyper.choices)) if hyper.is_option else str(hyper.range)
