"""What a surface looks like from above: its height on a grid, in levels that are evenly spaced as logarithms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from thalweg.errors import ThalwegError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.lab.records import ProblemRecord

Window: TypeAlias = "tuple[tuple[float, float], tuple[float, float]]"

CELLS = 141
LEVELS = 26


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """A surface's height over a window, measured from its lowest point and squeezed by a logarithm.

    `levels` are the drawn contours in squeezed height; `ticks` are round heights, with the squeezed height of each.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    height: NDArray[np.float64]
    levels: tuple[float, float, float]
    ticks: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Mark:
    """A minimum or a saddle, as recorded."""

    x: float
    y: float
    value: float
    kind: str


def landscape_of(problem: ProblemRecord, window: Window) -> Landscape | None:
    """The surface that a problem was raced on, seen through a window; None if this version does not know it."""
    heights = _heights(surface_name(problem), window)
    if heights is None:
        return None
    x, y, value = heights
    lowest_known = (mark.value for mark in marks_of(problem) if mark.kind != "saddle")
    floor = min((*lowest_known, float(value.min())))
    above = value - floor
    soft = _softening(above)
    squeezed = np.log10(above + soft)
    low, high = float(squeezed.min()), float(squeezed.max())
    decades = 10.0 ** np.arange(np.floor(np.log10(soft)), np.ceil(np.log10(above.max())) + 1)
    ticks = tuple((float(d), float(np.log10(d + soft))) for d in decades if soft <= d <= above.max())
    return Landscape(x=x, y=y, height=squeezed, levels=_levels(low, high), ticks=ticks)


def surface_name(problem: ProblemRecord) -> str:
    """The catalogue's name of the surface behind a problem, which is called after it and its start."""
    return str(problem.spec.get("surface", problem.name.partition(" (")[0]))


def window_of(problem: ProblemRecord) -> Window | None:
    """The window that a surface is drawn in: as recorded, but for a start outside it, which it is widened to hold."""
    match problem.spec.get("window"):
        case [[x_low, x_high], [y_low, y_high]]:
            recorded = ((_real(x_low), _real(x_high)), (_real(y_low), _real(y_high)))
        case _:
            return None
    x, y = start_of(problem) or (recorded[0][0], recorded[1][0])
    return _widened(recorded[0], x), _widened(recorded[1], y)


def start_of(problem: ProblemRecord) -> tuple[float, float] | None:
    """The named start, as recorded."""
    match problem.spec.get("start"):
        case [x, y]:
            return _real(x), _real(y)
        case _:
            return None


def marks_of(problem: ProblemRecord) -> tuple[Mark, ...]:
    """The recorded minima (global ones apart from local ones) and saddles."""
    marks: list[Mark] = []
    for key, kind in (("minima", "minimum"), ("saddles", "saddle")):
        points = problem.spec.get(key)
        for point in points if isinstance(points, list | tuple) else ():
            match point:
                case {"x": [x, y], "value": value, **rest}:
                    local = kind == "minimum" and not rest.get("is_global", True)
                    marks.append(Mark(_real(x), _real(y), _real(value), "local minimum" if local else kind))
                case _:
                    continue
    return tuple(marks)


def _widened(side: tuple[float, float], to: float) -> tuple[float, float]:
    low, high = side
    room = 0.05 * (high - low)
    return (low, high) if low <= to <= high else (min(low, to - room), max(high, to + room))


def _real(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _heights(name: str, window: Window) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
    import torch  # noqa: PLC0415 (a page without surfaces is drawn without PyTorch)

    from thalweg import surfaces  # noqa: PLC0415 (likewise)

    try:
        surface = surfaces.get(name)
    except ThalwegError:
        return None
    x, y = (np.linspace(low, high, CELLS) for low, high in window)
    points = np.stack(np.meshgrid(x, y), axis=-1)
    return x, y, surface.function(torch.from_numpy(points)).numpy()


def _softening(above: NDArray[np.float64]) -> float:
    """The height below which the logarithm flattens: a tenth of what one cell in 200 stays under."""
    return max(float(np.quantile(above, 0.005)) / 10, 1e-9 * float(above.max()), 1e-12)


def _levels(low: float, high: float) -> tuple[float, float, float]:
    step = (high - low) / LEVELS or 1.0
    return low + step / 2, high - step / 2, step
