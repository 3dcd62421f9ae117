"""A bench as tables, one for each size, as wide as the terminal allows."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thalweg.lab.bench import BenchRecord, Row, Spread

NONE = "–"
FILE_WIDTH = 140
"""Where the output is no terminal, nothing need be left out."""
HEADERS = {"torch fused": "× torch\nfused", "torch default": "× torch\ndefault", "optax": "× optax\n(jit)"}
BUSY = 0.2
"""How many processors others may use before it is worth a warning."""


def print_bench(record: BenchRecord) -> None:
    """Print the machine, a table for each size, and how to read them."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = FILE_WIDTH
    console.print(_conditions(record))
    for size in dict.fromkeys(row.size for row in record.rows):
        tensors = "tensor" if size.count == 1 else "tensors"
        shape = " × ".join(f"{length:,}" for length in size.shape)
        console.print(f"\n[bold]{size.count:,} {tensors} of {shape} {record.dtype}[/bold]")
        console.print(_fitting_table([row for row in record.rows if row.size == size], console))
    console.print()
    for line in _notes(record):
        console.print(f"[dim]{escape(line)}[/dim]")
    for skipped in record.skipped:
        console.print(f"[yellow]{skipped.rule} was left out:[/yellow] {escape(skipped.why)}")
    if record.busy_cores > BUSY:
        warning = f"Other programs kept {record.busy_cores:.1f} processors busy: measure again when they have ended."
        console.print(f"[yellow]{warning}[/yellow]")


def _conditions(record: BenchRecord) -> Table:
    machine, versions, memory = record.machine, record.versions, record.bandwidth
    device = "" if record.device == "cpu" else f"{record.device}, "
    libraries = [f"{name} {versions[name]}" for name in ("thalweg", "torch", "jax", "optax") if name in versions]
    patterns = ", ".join(f"{way.name} {way.formula} {_giga(way.bytes_per_second)}" for way in memory.patterns)
    beside = ", in turns with the rules" if any(row.share_of_bandwidth for row in record.rows) else ""
    facts = {
        "Machine": f"{device}{machine['cpu']}, {record.threads} of {machine['threads']} threads",
        "Versions": ", ".join([f"Python {versions['python']}", *libraries]),
        "Memory": f"{_giga(memory.bytes_per_second)} GB/s: torch's {memory.formula}{beside}",
        "Patterns": (
            f"{patterns} GB/s; arrays of {memory.array_bytes >> 20} MiB, the last cache {memory.cache_bytes >> 20} MiB"
        ),
    }
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in facts.items():
        table.add_row(name, escape(text))
    return table


def _giga(speed: Spread) -> str:
    return f"{speed.median / 1e9:.1f}"


def _notes(record: BenchRecord) -> list[str]:
    rounds = len(record.rows[0].rounds)
    notes = [f"Medians of {rounds} rounds in which all take turns, with quartiles where there is room."]
    if any(row.against for row in record.rows):
        notes.append(
            f"×: our time over theirs; below 1, ours is faster. {NONE}: they have no such rule, or no fused one."
        )
    if any(row.share_of_bandwidth is None for row in record.rows):
        notes.append("A model that lies in the cache is not held against the memory.")
    return notes


def _fitting_table(rows: Sequence[Row], console: Console) -> Table:
    """The table that says most of those that fit the console: with spreads, without, closer together, without GB/s."""
    tables = [
        _table(rows, spreads=True, speeds=True, gap=2),
        _table(rows, spreads=False, speeds=True, gap=2),
        _table(rows, spreads=False, speeds=True, gap=1),
        _table(rows, spreads=False, speeds=False, gap=1),
    ]
    unbounded = console.options.update(max_width=1_000)
    fitting = [table for table in tables if console.measure(table, options=unbounded).maximum <= console.width]
    return (fitting or tables[-1:])[0]


def _table(rows: Sequence[Row], *, spreads: bool, speeds: bool, gap: int) -> Table:
    opponents = [name for name in HEADERS if any(name == other.name for row in rows for other in row.against)]
    in_memory = any(row.share_of_bandwidth is not None for row in rows)
    columns: dict[str, Callable[[Row], str]] = {
        "a step": lambda row: _time(row.seconds.median),
        "ns/\nparam.": lambda row: _digits(row.nanoseconds_per_parameter),
        "bytes/\nparam.": lambda row: str(row.bytes_per_parameter),
    }
    if in_memory and speeds:
        columns["GB/s"] = lambda row: _digits(row.bytes_per_second / 1e9)
    if in_memory:
        columns["of the\nmemory"] = lambda row: _share(row.share_of_bandwidth, spreads=spreads)
    for name in opponents:
        columns[HEADERS[name]] = partial(_ratio, name=name, spreads=spreads)
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("rule", style="cyan", no_wrap=True)
    for header in columns:
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.rule, *(show(row) for show in columns.values()))
    return table


def _time(seconds: float) -> str:
    """The time in the unit that fits it.

    >>> _time(4.71e-5), _time(0.0111), _time(2.5)
    ('47.1 µs', '11.1 ms', '2.50 s')
    """
    for unit, size in (("µs", 1e-6), ("ms", 1e-3)):
        if seconds < 999.5 * size:
            return f"{_digits(seconds / size)} {unit}"
    return f"{_digits(seconds)} s"


def _digits(value: float) -> str:
    """Three digits, without an exponent.

    >>> _digits(0.06417), _digits(1.357), _digits(0.9996), _digits(123.4)
    ('0.0642', '1.36', '1.00', '123')
    """
    for bound, form in ((0.09995, ".4f"), (0.9995, ".3f"), (9.995, ".2f"), (99.95, ".1f")):
        if value < bound:
            return format(value, form)
    return f"{value:,.0f}"


def _share(share: Spread | None, *, spreads: bool) -> str:
    if share is None:
        return NONE
    middle = f"{share.median:.0%}"
    return f"{middle} ({share.low * 100:.0f}–{share.high:.0%})" if spreads else middle


def _ratio(row: Row, *, name: str, spreads: bool) -> str:
    for other in row.against:
        if other.name == name:
            middle, low, high = map(_digits, (other.ratio.median, other.ratio.low, other.ratio.high))
            return f"{middle} ({low}–{high})" if spreads else middle
    return NONE
