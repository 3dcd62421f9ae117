"""How a measure falls, or rises, over what is spent: the middle of the fresh seeds and how far it can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thalweg.lab.statistics import band
from thalweg.report.axes import base_layout, log_axis, value_axis
from thalweg.report.figure import Figure
from thalweg.report.landscape import marks_of
from thalweg.report.looks import looks_for, title_of
from thalweg.report.numbers import plain_list, settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.lab.records import RunRecord
    from thalweg.lab.statistics import Band
    from thalweg.lab.statistics.intervals import Statistic
    from thalweg.report.figure import Layout, Trace
    from thalweg.report.looks import Look
    from thalweg.report.results import Results

POINTS = 60
TINY = 1e-16
LOSSES = frozenset({"loss", "train_loss", "test_loss"})


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One optimizer's curve: at each of `steps`, in what they spend, the band over `seeds`, some `diverged`."""

    optimizer: str
    tuned: str
    steps: NDArray[np.float64]
    band: Band
    seeds: tuple[int, ...]
    diverged: int


def curve_figure(
    results: Results, measure: str, *, caption: str, statistic: Statistic, log_steps: bool = False
) -> Figure | None:
    """The curves of one measure for every optimizer, or None if no fresh seed recorded it."""
    floor = floor_of(results) if results.problem.kind == "surface" else None
    drawn = [
        curve
        for name in results.optimizers
        if (curve := _drawn(results.of("final", name), measure, statistic, floor)) is not None
    ]
    if not drawn:
        return None
    looks = looks_for(results.optimizers)
    low, high, upright = _limits(drawn, is_loss=measure in LOSSES)
    traces: list[Trace] = []
    for curve in drawn:
        traces.append(_shade(curve, low, high))
        traces.append(_middle(curve, looks[curve.optimizer], results.unit))
    if measure == "accuracy":
        upright["tickformat"] = ".0%" if high - low > 0.08 else ".1%"
    return Figure(
        caption=caption,
        note=_note(drawn, statistic, floor),
        describes=f"{caption} over the {results.unit} for {len(drawn)} optimizers on {results.problem.title}",
        traces=traces,
        layout=base_layout(
            x={"title": {"text": "step" if results.unit == "steps" else results.unit, "standoff": 4}}, y=upright
        ),
        step_axes=_step_axes(drawn),
        narrow={"margin": {"l": 44, "r": 6, "t": 6, "b": 40}},
        log_steps=log_steps,
    )


def floor_of(results: Results) -> float:
    """The lowest known value of a surface, above which its loss is drawn; zero if no minimum was recorded."""
    return min((mark.value for mark in marks_of(results.problem) if mark.kind != "saddle"), default=0.0)


def _drawn(runs: tuple[RunRecord, ...], measure: str, statistic: Statistic, floor: float | None) -> Drawn | None:
    runs = tuple(run for run in runs if measure in run.curve)
    if not runs:
        return None
    known = np.unique(np.concatenate([run.spent for run in runs]))
    steps = _chosen(known[np.isfinite(_values(runs, measure, known)).any(axis=0)])
    if not steps.size:
        return None
    values = _values(runs, measure, steps)
    if floor is not None:
        values = np.maximum(values - floor, TINY)
    return Drawn(
        optimizer=runs[0].optimizer,
        tuned=settings(runs[0].tuned),
        steps=steps,
        band=band(values, statistic=statistic),
        seeds=tuple(run.seed for run in runs),
        diverged=sum(run.outcome != "finished" for run in runs),
    )


def _values(runs: tuple[RunRecord, ...], measure: str, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The measure of every run (a row) at every step: infinity from where a run diverged."""
    rows: list[NDArray[np.float64]] = []
    for run in runs:
        known = run.spent
        at = np.clip(np.searchsorted(known, steps, side="right") - 1, 0, None)
        row = run.curve[measure][at]
        over = (steps > known[-1]) & (run.outcome != "finished")
        rows.append(np.where(np.isnan(row) | over, np.inf, row))
    return np.stack(rows)


def _chosen(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most so many steps: half of them even, half of them early."""
    if len(steps) <= POINTS:
        return steps
    even = np.linspace(0, len(steps) - 1, POINTS // 2)
    early = np.geomspace(1, len(steps), POINTS // 2) - 1
    return steps[np.unique(np.round(np.concatenate([even, early])).astype(int))]


def _limits(drawn: list[Drawn], *, is_loss: bool) -> tuple[float, float, Layout]:
    """What of the values to show.

    A loss that shoots up is followed to 30 times the highest start, no further. Of another measure, what
    it was in the first tenth of the steps is left out of sight, so that the rest can be told apart.
    """
    start = max((float(c.band.value[0]) for c in drawn if np.isfinite(c.band.value[0])), default=0.0)
    late = [c.steps >= (0 if is_loss else c.steps[-1] / 10) for c in drawn]
    bands = [
        edge[seen] for c, seen in zip(drawn, late, strict=True) for edge in (c.band.value, c.band.low, c.band.high)
    ]
    at_most = 30 * start if is_loss and start > 0 else math.inf
    return value_axis(np.concatenate(bands), at_most=at_most, logarithmic=is_loss)


def _shade(curve: Drawn, low: float, high: float) -> Trace:
    sound = np.isfinite(curve.band.value)
    below, above = (np.clip(edge[sound], low, high) for edge in (curve.band.low, curve.band.high))
    steps = curve.steps[sound]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": plain_list(np.concatenate([steps, steps[::-1]])),
        "y": plain_list(np.concatenate([below, above[::-1]])),
        "fill": "toself",
        "fillcolor": f"${curve.optimizer}@16",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "meta": {"optimizer": curve.optimizer},
    }


def _middle(curve: Drawn, look: Look, unit: str) -> Trace:
    lost = f"<br>{curve.diverged} of {len(curve.seeds)} seeds diverged" if curve.diverged else ""
    says = f"{title_of(curve.optimizer)}, {curve.tuned}<br>{_at(unit)}: %{{y:.4g}}{lost}<extra></extra>"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": title_of(curve.optimizer),
        "x": plain_list(curve.steps),
        "y": plain_list(curve.band.value),
        "line": {"color": f"${curve.optimizer}", "width": 2, "dash": look.dash},
        "hovertemplate": says,
        "meta": {"optimizer": curve.optimizer},
    }


def _at(unit: str) -> str:
    """What the hover says of a place on the axis."""
    return "step %{x:,.0f}" if unit == "steps" else f"%{{x:,.4g}} {unit}"


def _step_axes(drawn: list[Drawn]) -> dict[str, Layout]:
    last = max(float(curve.steps[-1]) for curve in drawn)
    return {"linear": {"type": "linear", "range": [0, last]}, "log": log_axis(0, math.log10(max(last, 2)))}


def _note(drawn: list[Drawn], statistic: Statistic, floor: float | None) -> str:
    seeds = sorted({seed for curve in drawn for seed in curve.seeds})
    which = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    lost = [f"{title_of(c.optimizer)} {c.diverged} of {len(c.seeds)}" for c in drawn if c.diverged]
    says = [f"The {statistic} over the fresh {which}, with its 95 % bootstrap interval."]
    if floor is not None:
        says.append("Each seed starts at a point drawn around the named start.")
        if any((curve.band.low <= TINY).any() for curve in drawn):
            says.append("What is below 10⁻¹⁶ is drawn there.")
    if lost:
        says.append(f"Diverged seeds: {', '.join(lost)}; a curve ends where its {statistic} is no longer finite.")
    return " ".join(says)
