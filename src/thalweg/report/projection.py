"""What is on the frames of a film, and how they are put into the file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import imageio_ffmpeg
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from thalweg.errors import ReportError
from thalweg.report.frames import frame_steps
from thalweg.report.glyphs import dash_of, glyph_of
from thalweg.report.landscape import landscape_of, marks_of, start_of, window_of
from thalweg.report.looks import PAPER, looks_for, title_of
from thalweg.report.numbers import settings
from thalweg.report.paths import to_draw, window_around

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    from thalweg.lab.records import RunRecord
    from thalweg.report.landscape import Window
    from thalweg.report.looks import Look
    from thalweg.report.results import Results

WIDTH, HEIGHT, DPI = 1280, 720, 100
FRAMES_A_SECOND = 25
MOVING_FRAMES = 225
STILL_FRAMES = 25
QUALITY = 8  # of 10: fine lines stay fine
COLOURS = PAPER["light"]
MARKS = {"minimum": "*", "local minimum": "*", "saddle": "d"}


class Trail:
    """One optimizer's line and its head, as far as they have come."""

    def __init__(self, run: RunRecord, look: Look, window: Window, axes: Axes) -> None:
        self._steps, self._x, self._y, _ = to_draw(run, window)
        self._ends_badly = run.outcome != "finished"
        self._marker = glyph_of(look).marker
        self._dashes: Any = (0, tuple(length / 2.2 for length in dash_of(look))) if dash_of(look) else "solid"
        fill = "white" if look.symbol.endswith("-open") else look.light
        (self._line,) = axes.plot([], [], color=look.light, linestyle=self._dashes, linewidth=2, zorder=3)
        (self._head,) = axes.plot([], [], color=look.light, marker=self._marker, markersize=9, linestyle="", zorder=4)
        self._head.set_markerfacecolor(fill)
        self._head.set_markeredgecolor("white" if fill != "white" else look.light)
        ended = f", {run.outcome} at step {int(run.curve['step'][-1]):,}" if self._ends_badly else ""
        self.label = f"{title_of(run.optimizer)}\n{settings(run.tuned)}{ended}"

    @property
    def artists(self) -> tuple[Line2D, Line2D]:
        """What must be drawn anew on every frame."""
        return self._line, self._head

    @property
    def sample(self) -> Line2D:
        """The line that the legend shows."""
        line = self._line
        return type(line)(
            [],
            [],
            color=line.get_color(),
            linestyle=self._dashes,
            linewidth=2,
            marker=self._marker,
            markersize=8,
            markerfacecolor=self._head.get_markerfacecolor(),
            markeredgecolor=line.get_color(),
        )

    def advance(self, step: int) -> None:
        """Show the path up to a step."""
        count = int(np.searchsorted(self._steps, step, side="right"))
        self._line.set_data(self._x[:count], self._y[:count])
        self._head.set_data(self._x[count - 1 : count], self._y[count - 1 : count])
        self._head.set_marker("X" if self._ends_badly and count == len(self._steps) else self._marker)


def project(results: Results, target: Path) -> None:
    """Draw the frames and write them as H.264, which browsers play."""
    paths = [path for name in results.optimizers if (path := results.path(name)) is not None]
    window = window_of(results.problem) or window_around(paths)
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=COLOURS["paper"])
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.055, 0.085, 0.62, 0.83))
    _draw_scenery(axes, results, window)
    looks = looks_for(results.optimizers)
    trails = [Trail(path, looks[path.optimizer], window, axes) for path in paths]
    _draw_legend(figure, trails, [title_of(name) for name in results.optimizers if results.path(name) is None])
    counter = figure.text(0.675, 0.945, "", ha="right", fontsize=15, color=COLOURS["ink"])
    for artist in (counter, *(artist for trail in trails for artist in trail.artists)):
        artist.set_animated(True)
    last = max(math.ceil(path.spent[-1]) for path in paths)
    _write(_frames(canvas, axes, trails, (counter, results.unit), last), target)


def _frames(
    canvas: FigureCanvasAgg, axes: Axes, trails: Sequence[Trail], told: tuple[Text, str], last: int
) -> Iterator[bytes]:
    counter, unit = told
    canvas.draw()
    still = canvas.copy_from_bbox(canvas.figure.bbox)
    steps = frame_steps(last, frames=MOVING_FRAMES)
    held = max(1, MOVING_FRAMES // len(steps))  # a short race is shown slowly
    moving: list[Artist] = [counter, *(artist for trail in trails for artist in trail.artists)]
    for step in [*(step for step in steps for _ in range(held)), *[last] * STILL_FRAMES]:
        counter.set_text(f"step {step:,}" if unit == "steps" else f"{step:,} {unit}")
        for trail in trails:
            trail.advance(step)
        canvas.restore_region(still)
        for artist in moving:
            axes.draw_artist(artist)
        yield canvas.buffer_rgba().tobytes()


def _write(frames: Iterator[bytes], target: Path) -> None:
    part = target.with_name(f"{target.stem}.part.mp4")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        writer = imageio_ffmpeg.write_frames(
            str(part),
            (WIDTH, HEIGHT),
            fps=FRAMES_A_SECOND,
            codec="libx264",
            pix_fmt_in="rgba",
            pix_fmt_out="yuv420p",
            quality=QUALITY,
            macro_block_size=2,
            output_params=["-movflags", "+faststart"],
        )
        writer.send(None)
        for frame in frames:
            writer.send(frame)
        writer.close()
        part.replace(target)
    except OSError as error:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)
        reason = error.strerror or "the encoder stopped"
        raise ReportError(f"cannot write the film to {target}: {reason}; choose another path") from error


def _draw_scenery(axes: Axes, results: Results, window: Window) -> None:
    landscape = landscape_of(results.problem, window)
    if landscape is not None:
        low, high, step = landscape.levels
        levels = np.arange(low - step, high + 2 * step, step)
        shades = LinearSegmentedColormap.from_list("heights", [COLOURS["low"], COLOURS["middle"], COLOURS["high"]])
        axes.contourf(landscape.x, landscape.y, landscape.height, levels, cmap=shades)
        axes.contour(
            landscape.x,
            landscape.y,
            landscape.height,
            levels,
            colors=COLOURS["contour"],
            linewidths=0.5,
            linestyles="solid",
        )
    for mark in marks_of(results.problem):
        fill = COLOURS["ink"] if mark.kind == "minimum" else "none"
        axes.plot(mark.x, mark.y, MARKS[mark.kind], ms=14, mfc=fill, mec=COLOURS["ink"], zorder=2)
    start = start_of(results.problem)
    if start is not None:
        axes.plot(*start, "o", ms=10, mfc="none", mec=COLOURS["ink"], mew=1.5, zorder=2)
    axes.set(xlim=window[0], ylim=window[1], xlabel="x", ylabel="y")
    title = results.problem.title + (f" from ({start[0]:g}, {start[1]:g})".replace("-", "−") if start else "")
    axes.set_title(title, loc="left", fontsize=15, color=COLOURS["ink"], pad=12)
    for spine in axes.spines.values():
        spine.set_color(COLOURS["grid"])


def _draw_legend(figure: Figure, trails: Sequence[Trail], absent: list[str]) -> None:
    legend = figure.legend(
        [trail.sample for trail in trails],
        [trail.label for trail in trails],
        loc="center left",
        bbox_to_anchor=(0.695, 0.5),
        fontsize=10.5,
        frameon=False,
        handlelength=3.4,
        labelspacing=0.75,
    )
    for text in legend.get_texts():
        text.set_color(COLOURS["ink"])
    if absent:
        figure.text(
            0.705,
            0.03,
            "Without a trajectory:\n" + "\n".join(absent),
            fontsize=9.5,
            color=COLOURS["muted"],
            va="bottom",
        )
