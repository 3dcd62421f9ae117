"""The picture of a surface with every trajectory of the named start, frame by frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thalweg.report.axes import base_layout, decade
from thalweg.report.figure import Figure
from thalweg.report.frames import frame_steps, kept_points
from thalweg.report.landscape import Landscape, landscape_of, marks_of, start_of, window_of
from thalweg.report.looks import looks_for, title_of
from thalweg.report.numbers import number, plain_list, settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.lab.records import Json, RunRecord
    from thalweg.report.figure import Trace
    from thalweg.report.landscape import Mark, Window
    from thalweg.report.looks import Look
    from thalweg.report.results import Results

MARKERS = {
    "minimum": ("star", 15),
    "local minimum": ("star-open", 14),
    "saddle": ("diamond-tall-open", 12),
}


def path_figure(results: Results) -> Figure | None:
    """The picture, or None while no trajectory has been recorded."""
    paths = [path for name in results.optimizers if (path := results.path(name)) is not None and "x" in path.curve]
    if not paths:
        return None
    window = window_of(results.problem) or window_around(paths)
    landscape = landscape_of(results.problem, window)
    looks = looks_for(results.optimizers)
    lines = [_line(path, looks[path.optimizer], window, results.unit) for path in paths]
    first_line = len(_scenery(results, landscape))
    traces = [*_scenery(results, landscape), *lines]
    traces += [
        _head(line, looks[path.optimizer], first_line + i)
        for i, (path, line) in enumerate(zip(paths, lines, strict=True))
    ]
    last = max(math.ceil(path.spent[-1]) for path in paths)
    return Figure(
        caption="Every trajectory",
        note=_note(paths, window, known=landscape is not None),
        describes=f"Contours of {results.problem.title} with the trajectories of {len(paths)} optimizers",
        traces=traces,
        layout=base_layout(
            x={"range": list(window[0]), "title": {"text": "x", "standoff": 4}, "showgrid": False},
            y={"range": list(window[1]), "title": {"text": "y", "standoff": 4}, "showgrid": False},
        ),
        narrow={"margin": {"l": 36, "r": 4, "t": 6, "b": 36}},
        frames=frame_steps(last),
        unit=results.unit,
        tall=True,
    )


def to_draw(path: RunRecord, window: Window) -> NDArray[np.float64]:
    """What was spent, x, y and values of a path; of one that diverged, as far as the picture's edge."""
    points = np.stack([path.spent, *(path.curve[name] for name in ("x", "y", "loss"))])
    return points if path.outcome == "finished" else _up_to_the_exit(points, window)


def window_around(paths: list[RunRecord]) -> Window:
    """A window around what is known, for a surface that was recorded without one."""
    sides: list[tuple[float, float]] = []
    for name in ("x", "y"):
        values = np.concatenate([path.curve[name] for path in paths if path.outcome == "finished"] or [np.zeros(1)])
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        room = 0.1 * (high - low) or 1.0
        sides.append((low - room, high + room))
    return sides[0], sides[1]


def _note(paths: list[RunRecord], window: Window, *, known: bool) -> str:
    says = [
        "From the named start; no random numbers. ★ global minimum, ☆ local minimum, ◇ saddle, ○ start, × diverged."
    ]
    away = [
        title_of(path.optimizer)
        for path in paths
        if path.outcome == "finished"
        and not all(low <= path.curve[k][-1] <= high for k, (low, high) in zip("xy", window, strict=True))
    ]
    if away:
        says.append(f"At the end outside the picture: {', '.join(away)}.")
    if not known:
        says.append("This version of Thalweg does not know the surface, so its contours are not drawn.")
    return " ".join(says)


def _scenery(results: Results, landscape: Landscape | None) -> list[Trace]:
    traces: list[Trace] = [] if landscape is None else [_contours(landscape)]
    traces += [_mark(mark) for mark in marks_of(results.problem)]
    start = start_of(results.problem)
    if start is not None:
        traces.append(_point(start, f"start ({start[0]:g}, {start[1]:g})", "circle-open", 11))
    return traces


def _contours(landscape: Landscape) -> Trace:
    low, high, step = landscape.levels
    return {
        "type": "contour",
        "x": plain_list(landscape.x),
        "y": plain_list(landscape.y),
        "z": [plain_list(row, digits=4) for row in landscape.height],
        "autocontour": False,
        "contours": {"start": low, "end": high, "size": step, "coloring": "fill"},
        "line": {"width": 0.6, "color": "$contour"},
        "colorscale": [[0, "$low"], [0.5, "$middle"], [1, "$high"]],
        "colorbar": {
            "title": {"text": "height above the lowest point", "side": "right", "font": {"size": 11}},
            "thickness": 9,
            "outlinewidth": 0,
            "tickfont": {"size": 11},
            "tickvals": [squeezed for _, squeezed in landscape.ticks],
            "ticktext": [decade(round(np.log10(height))) for height, _ in landscape.ticks],
        },
        "hoverinfo": "skip",
    }


def _mark(mark: Mark) -> Trace:
    symbol, size = MARKERS[mark.kind]
    where = f"({number(mark.x)}, {number(mark.y)})"
    return _point((mark.x, mark.y), f"{mark.kind} {where}<br>f = {number(mark.value)}", symbol, size)


def _point(where: tuple[float, float], says: str, symbol: str, size: int) -> Trace:
    marker: dict[str, Json] = {"symbol": symbol, "size": size, "color": "$ink", "line": {"width": 1.5, "color": "$ink"}}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [where[0]],
        "y": [where[1]],
        "marker": marker,
        "hovertemplate": says + "<extra></extra>",
    }


def _line(path: RunRecord, look: Look, window: Window, unit: str) -> Trace:
    steps, x, y, loss = to_draw(path, window)
    diverged = path.outcome != "finished"
    keep = kept_points(len(steps))
    counts = [int(count) if count.is_integer() else count for count in steps[keep].tolist()]
    facts = [[count, number(value)] for count, value in zip(counts, loss[keep].tolist(), strict=True)]
    at = "step %{customdata[0]}" if unit == "steps" else f"%{{customdata[0]}} {unit}"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": title_of(path.optimizer),
        "x": plain_list(x[keep]),
        "y": plain_list(y[keep]),
        "customdata": facts,
        "line": {"color": f"${path.optimizer}", "width": 2.2, "dash": look.dash},
        "hovertemplate": f"{title_of(path.optimizer)}, {settings(path.tuned)}<br>{at}"
        "<br>f = %{customdata[1]}<extra></extra>",
        "meta": {"optimizer": path.optimizer, "steps": counts, "diverged": diverged, "symbol": look.symbol},
    }


def _head(line: Trace, look: Look, of: int) -> Trace:
    meta = line["meta"]
    if not isinstance(meta, dict):
        raise TypeError("a line's meta is a table")
    x, y, facts = line["x"], line["y"], line["customdata"]
    ends = [values[-1:] for values in (x, y, facts) if isinstance(values, list)]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": line["name"],
        "x": ends[0],
        "y": ends[1],
        "customdata": ends[2],
        "marker": {
            "symbol": "x" if meta["diverged"] else look.symbol,
            "size": 11,
            "color": line["line"]["color"] if isinstance(line["line"], dict) else None,
            "line": {"width": 1, "color": "$paper"},
        },
        "cliponaxis": not meta["diverged"],
        "hovertemplate": line["hovertemplate"],
        "meta": {**meta, "path": of},
    }


def _up_to_the_exit(points: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """A path that diverged, up to where it leaves the window for good; its last point lies on the window's edge."""
    place = points[1:3]
    edges = np.array(window)
    inside = ((place >= edges[:, :1]) & (place <= edges[:, 1:])).all(axis=0)
    if not inside.any():
        return points[:, :1]
    last = int(np.flatnonzero(inside)[-1])
    if last + 1 == points.shape[1] or not np.isfinite(place[:, last + 1]).all():
        return points[:, : last + 1]
    stride = place[:, last + 1] - place[:, last]
    wall = np.where(stride > 0, edges[:, 1], edges[:, 0])
    shares = np.divide(wall - place[:, last], stride, out=np.ones(2), where=stride != 0)
    exit_point = points[:, last + 1].copy()
    exit_point[1:3] = place[:, last] + shares.min() * stride
    return np.column_stack([points[:, : last + 1], exit_point])
