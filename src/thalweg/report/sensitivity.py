"""How much the learning rate matters: the final measure at every rate tried, and the rates at which runs diverged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thalweg.lab.statistics import sensitivity
from thalweg.report.axes import axis, base_layout, log_axis, value_axis
from thalweg.report.curves import TINY
from thalweg.report.figure import Figure
from thalweg.report.looks import looks_for, title_of
from thalweg.report.numbers import number, plain_list, setting
from thalweg.report.results import table_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.lab.statistics import RateOutcome
    from thalweg.report.figure import Layout, Trace
    from thalweg.report.looks import Look
    from thalweg.report.results import Results

ROW = 0.045  # the height of one row of crosses, as a share of the picture


def sensitivity_figure(results: Results, *, caption: str) -> Figure | None:
    """The picture over the whole grid, or None before the first trial has ended."""
    measure = results.judged if results.problem.kind == "training" else "gap"
    tuned = {name: [run for run in results.of("tuning", name) if run.tuned] for name in results.optimizers}
    outcomes = {name: sensitivity(runs, measure=measure) for name, runs in tuned.items()}
    outcomes = {name: rates for name, rates in outcomes.items() if rates}
    if not outcomes:
        return None
    looks = looks_for(results.optimizers)
    least = TINY if results.problem.kind == "surface" else -math.inf
    lost = [name for name, rates in outcomes.items() if any(rate.diverged for rate in rates)]
    traces: list[Trace] = [_line(name, rates, looks[name], least) for name, rates in outcomes.items()]
    traces += [chosen for name in outcomes if (chosen := _chosen(results, name, outcomes[name], least)) is not None]
    traces += [_crosses(name, outcomes[name]) for name in lost]
    layout = _layout(outcomes, lost, least)
    return Figure(
        caption=caption,
        note="The median over the tuning seeds at each rate of the grid (Rprop has no rate: its first step size). "
        "A ring marks what "
        + ("was chosen, × in the rows below where a run diverged." if lost else "was chosen. No run diverged."),
        describes=f"Final measure against learning rate for {len(outcomes)} optimizers on {results.problem.title}",
        traces=traces,
        layout=layout,
        narrow={
            "margin": {"l": 44, "r": 6, "t": 6, "b": 40},
            **({"yaxis2": {**table_in(layout["yaxis2"]), "showticklabels": False}} if lost else {}),
        },
        tall=True,
    )


def _line(name: str, rates: tuple[RateOutcome, ...], look: Look, least: float) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": title_of(name),
        "x": plain_list([rate.rate for rate in rates]),
        "y": plain_list([max(rate.final.value, least) for rate in rates]),
        "customdata": [[number(rate.final.value), rate.seeds, rate.diverged] for rate in rates],
        "line": {"color": f"${name}", "width": 2, "dash": look.dash},
        "marker": {"symbol": look.symbol, "size": 6, "color": f"${name}"},
        "hovertemplate": f"{title_of(name)}, rate %{{x:.3g}}<br>%{{customdata[0]}} over %{{customdata[1]}} seeds, "
        "%{customdata[2]} diverged<extra></extra>",
        "meta": {"optimizer": name},
    }


def _chosen(results: Results, name: str, rates: tuple[RateOutcome, ...], least: float) -> Trace | None:
    choice = results.choices.get(name)
    if choice is None or not choice.tuned:
        return None
    (value,) = choice.tuned.values()
    found = [rate for rate in rates if math.isclose(rate.rate, value)]
    if not found:
        return None
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [value],
        "y": plain_list([max(found[0].final.value, least)]),
        "marker": {"symbol": "circle-open", "size": 15, "color": f"${name}", "line": {"width": 2.5}},
        "hovertemplate": f"{title_of(name)}: {setting(value)} was chosen<extra></extra>",
        "meta": {"optimizer": name},
    }


def _crosses(name: str, rates: tuple[RateOutcome, ...]) -> Trace:
    lost = [rate for rate in rates if rate.diverged]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": plain_list([rate.rate for rate in lost]),
        "y": [title_of(name)] * len(lost),
        "yaxis": "y2",
        "customdata": [[rate.diverged, rate.seeds] for rate in lost],
        "marker": {"symbol": "x", "size": 8, "color": f"${name}"},
        "hovertemplate": f"{title_of(name)}, rate %{{x:.3g}}<br>%{{customdata[0]}} of %{{customdata[1]}} seeds diverged"
        "<extra></extra>",
        "meta": {"optimizer": name},
    }


def _layout(outcomes: Mapping[str, tuple[RateOutcome, ...]], lost: list[str], least: float) -> Layout:
    _, _, upright = value_axis([max(rate.final.value, least) for rates in outcomes.values() for rate in rates])
    tried = [math.log10(rate.rate) for rates in outcomes.values() for rate in rates]
    across = log_axis(min(tried) - 0.15, max(tried) + 0.15, title={"text": "learning rate", "standoff": 4})
    if not lost:
        return base_layout(x=across, y=upright)
    rows = [title_of(name) for name in reversed(lost)]
    strip = ROW * len(rows)
    return base_layout(
        x={**across, "anchor": "y2"},
        y={**upright, "domain": [strip + 0.06, 1]},
        yaxis2=axis(
            type="category",
            categoryarray=rows,
            range=[-0.6, len(rows) - 0.4],
            domain=[0, strip],
            tickfont={"size": 10},
        ),
    )
