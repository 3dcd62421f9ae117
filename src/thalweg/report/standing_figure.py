"""The ranking as a picture: each optimizer's mean with its interval, and every seed as a dot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thalweg.report.axes import base_layout, value_axis
from thalweg.report.figure import Figure
from thalweg.report.looks import looks_for, title_of
from thalweg.report.numbers import number, plain_list
from thalweg.report.results import measure_name

if TYPE_CHECKING:
    from thalweg.report.figure import Trace
    from thalweg.report.looks import Look
    from thalweg.report.results import Results
    from thalweg.report.standings import Place, Standings


def standing_figure(results: Results, standings: Standings) -> Figure | None:
    """The picture, the best on top; None while nobody has a place."""
    if not standings.places:
        return None
    looks = looks_for(results.optimizers)
    training = results.problem.kind == "training"
    rows = [_row_name(place) for place in standings.places]
    traces: list[Trace] = []
    values: list[float] = []
    for place in standings.places:
        score = place.standing.score
        seeds = place.finals(results.judged)
        values += [*seeds, score.low, score.value, score.high]
        traces += _traces(place, looks[place.optimizer], seeds)
    _, _, across = value_axis(values)
    by = f"{measure_name(results.judged)} at the end" if training else f"mean log₁₀ gap over all {results.unit}"
    return Figure(
        caption=f"The ranking: {by}",
        note="Mean and 95 % bootstrap interval over the fresh seeds, each seed a dot; a place with = is shared."
        + (
            " A row without a mean has seeds that diverged."
            if any(math.isinf(p.standing.score.value) for p in standings.places)
            else ""
        ),
        describes=f"Places of {len(rows)} optimizers on {results.problem.title}, best first: {', '.join(rows)}",
        traces=traces,
        layout=base_layout(
            x=across,
            y={
                "type": "category",
                "categoryarray": rows[::-1],
                "range": [-0.6, len(rows) - 0.4],
                "tickfont": {"size": 12},
            },
        ),
        narrow={"margin": {"l": 30, "r": 6, "t": 6, "b": 40}},
        tall=True,
    )


def _row_name(place: Place) -> str:
    return f"{place.label} {title_of(place.optimizer)}"


def _traces(place: Place, look: Look, seeds: list[float]) -> list[Trace]:
    row = _row_name(place)
    score = place.standing.score
    ends = [score.low, score.value, score.high]
    says = f"{number(ends[1])} [{number(ends[0])}, {number(ends[2])}], {len(seeds)} seeds"
    dots: Trace = {
        "type": "scatter",
        "mode": "markers",
        "x": plain_list(seeds),
        "y": [row] * len(seeds),
        "marker": {"size": 6, "color": f"${place.optimizer}@45"},
        "hoverinfo": "skip",
        "meta": {"optimizer": place.optimizer},
    }
    if not math.isfinite(ends[1]):
        return [dots]
    whisker: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": plain_list([ends[0], ends[2] if math.isfinite(ends[2]) else ends[1]]),
        "y": [row, row],
        "line": {"width": 3, "color": f"${place.optimizer}"},
        "hoverinfo": "skip",
        "meta": {"optimizer": place.optimizer},
    }
    mean: Trace = {
        "type": "scatter",
        "mode": "markers",
        "x": plain_list([ends[1]]),
        "y": [row],
        "marker": {
            "symbol": look.symbol,
            "size": 11,
            "color": f"${place.optimizer}",
            "line": {"width": 1, "color": "$paper"},
        },
        "hovertemplate": f"{row}<br>{says}<extra></extra>",
        "meta": {"optimizer": place.optimizer},
    }
    return [dots, whisker, mean]
