"""Under which conditions a race was run: settings, budgets, machine, versions, and how to run it again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.report.looks import title_of
from thalweg.report.numbers import duration, instant, moment
from thalweg.report.results import names_in, table_in
from thalweg.report.table import Cell, Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from thalweg.lab.records import Json, RaceRecord
    from thalweg.report.results import Results

ROLES = ("tuning", "final", "path")
OUTCOMES = ("finished", "diverged", "failed")


@dataclass(frozen=True)
class Fact:
    """A name and what it is."""

    name: str
    text: str


def facts_in(table: Mapping[str, Json] | None, *, leave_out: Iterable[str] = ()) -> tuple[Fact, ...]:
    """Every entry of a recorded table in words, tables within it as `outer: inner`."""
    facts: list[Fact] = []
    for name, value in (table or {}).items():
        if name in leave_out or value is None or value == "":
            continue
        if isinstance(value, dict):
            facts += [Fact(f"{in_words(name)}: {fact.name}", fact.text) for fact in facts_in(value)]
        else:
            facts.append(Fact(in_words(name), _text(value)))
    return tuple(facts)


def in_words(name: str) -> str:
    """A recorded name as words.

    >>> in_words("batch_size"), in_words("n_train"), in_words("memory_gib"), in_words("cpu")
    ('batch size', 'training examples', 'memory, GiB', 'processor')
    """
    words = {"n_train": "training examples", "n_test": "test examples", "memory_gib": "memory, GiB", "cpu": "processor"}
    return words.get(name, name.replace("_", " "))


def when_of(race: RaceRecord) -> str:
    """When the race began and how long it took; of one that is not finished, when it began."""
    if race.finished is None:
        return f"begun {moment(race.created)}, not finished"
    seconds = (instant(race.finished) - instant(race.created)).total_seconds()
    return f"{moment(race.created)}, finished in {duration(seconds)}"


def budget_table(race: RaceRecord, results: tuple[Results, ...]) -> Table:
    """What every optimizer got on each problem: the same rates to try, seeds and steps."""
    grids, seeds, steps = (table_in(race.settings.get(key)) for key in ("grids", "seeds", "steps"))
    rows: list[Row] = []
    for part in results:
        name = part.problem.name
        counts = {len(names_in(grid)) for grid in table_in(grids.get(name)).values()}
        drawn = table_in(seeds.get(name))
        cells = (
            Cell(part.problem.title, name, "left"),
            Cell(" or ".join(map(str, sorted(counts))) or "–"),
            Cell(_few(drawn.get("tuning"))),
            Cell(_few(drawn.get("final"))),
            Cell(_text(steps.get(name, "–"))),
            Cell(_text(part.problem.spec.get("data_order", "no data"))),
        )
        rows.append(Row(cells=cells))
    return Table(
        caption="Equal budgets",
        heads=("problem", "rates tried", "tuning seeds", "fresh seeds", "gradient evaluations a run", "data order"),
        rows=tuple(rows),
        note="Every optimizer gets the same. Rates lie evenly on a log scale around the rule's own default; where the "
        "best lies on the edge, more are tried beyond it, and the tuning tables count them.",
    )


def chain_table(race: RaceRecord) -> Table:
    """What raced: each optimizer's chain as it is typed, and which value in it was tuned."""
    chains, tuned = (table_in(race.settings.get(key)) for key in ("chains", "tuned"))
    rows = tuple(
        Row(
            cells=(
                Cell(title_of(name), classes="left"),
                Cell(_text(chain), classes="code left"),
                Cell(_text(tuned.get(name) or "nothing"), classes="left"),
            ),
        )
        for name, chain in chains.items()
    )
    return Table(
        caption="What raced", heads=("optimizer", "chain, at the default of what is tuned", "tuned"), rows=rows
    )


def count_table(results: tuple[Results, ...]) -> Table:
    """How many runs of each role ended how, problem by problem, with the time spent on training."""
    rows: list[Row] = []
    for part in results:
        counts = Counter((run.role, run.outcome) for run in part.runs)
        cells = [Cell(part.problem.title, part.problem.name, "left")]
        for role in ROLES:
            total = sum(counts[role, outcome] for outcome in OUTCOMES)
            cells.append(Cell(str(total)))
        cells += [_count(part, outcome) for outcome in ("diverged", "failed")]
        cells.append(Cell(f"{sum(run.cost for run in part.runs):,.0f}"))
        cells.append(Cell(duration(sum(run.seconds for run in part.runs))))
        rows.append(Row(cells=tuple(cells)))
    return Table(
        caption="Every run, counted",
        heads=(
            "problem",
            "tuning",
            "fresh seeds",
            "trajectories",
            "diverged",
            "failed",
            "gradient evaluations",
            "training time",
        ),
        rows=tuple(rows),
        note="Diverged and failed runs are among the numbers to their left.",
    )


def failures(results: tuple[Results, ...], *, at_most: int = 20) -> tuple[str, ...]:
    """What the failed runs said, each message once, with how often."""
    said = Counter(
        f"{part.problem.title}, {title_of(run.optimizer)}: {run.message or 'no message'}"
        for part in results
        for run in part.runs
        if run.outcome == "failed"
    )
    lines = [f"{line} ({count} {'run' if count == 1 else 'runs'})" for line, count in said.most_common()]
    hidden = len(lines) - at_most
    return (*lines[:at_most], f"and {hidden} more kinds of failure") if hidden > 0 else tuple(lines)


def _few(seeds: Json) -> str:
    """How many seeds, and which."""
    names = names_in(seeds)
    return (
        f"{len(names)} ({names[0]} to {names[-1]})"
        if len(names) > 1
        else f"{len(names)} ({', '.join(names)})"
        if names
        else "–"
    )


def _count(part: Results, outcome: str) -> Cell:
    count = sum(run.outcome == outcome for run in part.runs)
    return Cell(str(count), classes="bad" if count else "")


def _text(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(
            _text(item) if not isinstance(item, dict) else "; ".join(f"{k} {v}" for k, v in item.items())
            for item in value
        )
    return ", ".join(names_in(value)) if isinstance(value, dict) else str(value)
