"""What `thalweg explain` prints of a schedule: its parts, its values, its plot, and whether it settles."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from thalweg.cli.flowing import flowing
from thalweg.cli.formula_lines import print_facts
from thalweg.schedules import exponential, inverse, multi_step, robbins_monro, sgdr, step_decay
from thalweg.schedules.schedule import Schedule, cut, parts_in_time, product, scaled, succession

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

HEIGHT = 12
AXIS = 13
"""The columns that plotille's axis takes."""
WIDEST = 100
EXACT = 100_000
"""The steps among which the greatest value is searched one by one."""
SETTLES = {
    "yes": "yes: Σα = ∞ and Σα² < ∞, so stochastic gradient descent with these rates is sure to settle",
    "no": "no: as it goes on for ever, Σα = ∞ and Σα² < ∞ do not both hold",
    "cannot say": "cannot say: it is no function of the step that this library knows",
}


def print_kind(console: Console, name: str, kind: Callable[..., object]) -> None:
    """What has no formula, as a kind of schedule, or an optimizer's class: how it is called, and its docstring."""
    called = inspect.signature(kind)
    bare = [argument.replace(annotation=inspect.Parameter.empty) for argument in called.parameters.values()]
    typed = called.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    console.print(Text.assemble("\n", (name, "bold cyan"), (str(typed), "cyan"), "\n"))
    console.print(Text(flowing(inspect.getdoc(kind))))
    if isinstance(kind, type) and issubclass(kind, Schedule):
        console.print(Text(f"\nTyped with its settings it is plotted: thalweg explain '{name}(…)'", style="dim"))


def print_schedule(console: Console, schedule: Schedule, steps: int | None = None) -> None:
    """Its parts in time, values at marked steps, and a plot over so many steps.

    Raises `ScheduleError` if it has no value, as a warm-up that nothing follows.
    """
    _ = schedule(0)
    last = steps or schedule.length or natural_length(schedule)
    console.print(Text(f"\n{schedule!r}\n", style="bold"))
    console.print(_parts(schedule))
    console.print()
    console.print(Text(plot(schedule, last, width=min(console.width, WIDEST))), soft_wrap=True)
    console.print("\n[dim]k the number of steps done: 0 on the first[/dim]\n")
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim")
    table.add_column("k", justify="right")
    table.add_column("value", no_wrap=True)
    for k, remark in marked_steps(schedule, last).items():
        table.add_row(str(k), f"{schedule(k):.6g}", remark)
    console.print(table)
    console.print()
    print_facts(console, [("Robbins-Monro", SETTLES[robbins_monro(schedule)])])


def natural_length(schedule: Schedule) -> int:
    """How many steps show what an endless schedule does."""
    match schedule:
        case Schedule(length=int(length)):
            steps = length
        case succession(parts=(*before, last)):
            steps = sum(part.length or 0 for part in before) + natural_length(last)
        case product(factors=several):
            steps = max(map(natural_length, several))
        case scaled(schedule=inner) | cut(schedule=inner):
            steps = natural_length(inner)
        case exponential(factor=factor) if factor != 1:
            steps = math.ceil(math.log(100) / abs(math.log(factor)))  # until it has changed a hundredfold
        case step_decay(every=every):
            steps = 4 * every
        case multi_step(at=(*_, last)):
            steps = last + last // 3 + 1
        case sgdr(first=first, growth=growth):
            steps = first * (1 + growth + growth**2)
        case inverse(timescale=timescale):
            steps = math.ceil(50 * timescale)
        case _:
            steps = 100
    return max(steps, 2)


def marked_steps(schedule: Schedule, last: int) -> dict[int, str]:
    """The steps whose values are worth knowing, and why: where parts begin, the quarters, the peak, the end."""
    marks = dict.fromkeys((0, last // 4, last // 2, 3 * last // 4), "")
    begin = 0
    for part in parts_in_time(schedule)[:-1]:
        begin += part.length or 0
        if begin < last:
            marks |= {begin - 1: "", begin: "the next part begins"}
    looked_at = range(last) if last <= EXACT else _samples(last - 1, EXACT)
    values = [schedule(k) for k in looked_at]
    if max(values) > min(values):
        marks[looked_at[values.index(max(values))]] = "the greatest value"
    marks[last - 1] = "the last of these steps"
    if schedule.length is not None and last >= schedule.length:
        marks[schedule.length] = "from here on"
    return dict(sorted(marks.items()))


def plot(schedule: Schedule, last: int, *, width: int) -> str:
    """The schedule from 0 to `last` steps done, drawn in so many columns."""
    import plotille

    columns = 10 * _tens(last, max((width - AXIS - len("-> (k)")) // 10, 2))
    ks = _samples(last, 4 * columns)
    values = [schedule(k) for k in ks]
    figure = plotille.Figure()
    figure.width, figure.height = columns, HEIGHT
    figure.with_colors = figure.origin = False
    figure.x_label, figure.y_label = "k", "value"
    figure.set_x_limits(0, last)
    figure.set_y_limits(0, HEIGHT * _round_up(1.001 * max(values) / HEIGHT))
    figure.y_ticks_fkt = lambda low, _: f"{low:.4g}"
    figure.x_ticks_fkt = lambda low, _: f"{low:.0f}"
    figure.plot(ks, values)
    return "\n".join(row.rstrip(" ⠀") for row in figure.show().splitlines())


def _samples(last: int, count: int) -> list[int]:
    return sorted({round(i * last / count) for i in range(count + 1)})


def _tens(last: int, most: int) -> int:
    """How many labels the axis of steps has: as many as fit, rather fewer if they are whole then."""
    whole = (tens for tens in range(most, most // 2, -1) if last % (5 * tens) == 0)
    return next(whole, most)


def _round_up(value: float) -> float:
    """The next number of one digit, or with a 5 behind it: 0.00833 becomes 0.009."""
    if value <= 0:
        return 1 / HEIGHT
    unit = 10.0 ** math.floor(math.log10(value))
    return next(unit * nice for nice in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if unit * nice >= value)


def _parts(schedule: Schedule) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="dim", show_header=False)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, style="cyan")
    table.add_column()
    begin = 0
    for part in parts_in_time(schedule):
        span = f"{begin} –" if part.length is None else f"{begin} – {begin + part.length - 1}"
        table.add_row(span, _kind(part), _summary(part))
        begin += part.length or 0
    return table


def _kind(schedule: Schedule) -> str:
    return type(schedule).__name__


def _summary(schedule: Schedule) -> str:
    return (type(schedule).__doc__ or "").strip().split("\n", maxsplit=1)[0]
