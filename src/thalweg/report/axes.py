"""How axes are drawn: in the page's own manner, logarithmic where the values ask for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thalweg.report.numbers import SUPERSCRIPTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from thalweg.lab.records import Json
    from thalweg.report.figure import Layout


def base_layout(*, x: Mapping[str, Json], y: Mapping[str, Json], **more: Json) -> Layout:
    """A layout in the page's own manner."""
    return {
        "font": {"color": "$ink", "size": 12, "family": "system-ui, sans-serif"},
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 62, "r": 12, "t": 10, "b": 44},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "$paper", "bordercolor": "$muted", "font": {"color": "$ink"}},
        "xaxis": axis(**x),
        "yaxis": axis(**y),
        **more,
    }


def axis(**settings: Json) -> dict[str, Json]:
    """An axis in the page's own manner."""
    return {
        "gridcolor": "$grid",
        "linecolor": "$grid",
        "zeroline": False,
        "exponentformat": "power",
        "minexponent": 4,
        "automargin": True,
        "tickfont": {"size": 12},
        **settings,
    }


def log_axis(low: float, high: float, **settings: Json) -> dict[str, Json]:
    """A logarithmic axis over a range of exponents, with as many round numbers written out as there is room for."""
    span = high - low
    whole = range(math.floor(low), math.ceil(high) + 1)
    if span <= 2.5:
        steps = (1, 2, 5) if span > 0.8 else (1, 1.5, 2, 3, 4, 5, 6, 8) if span > 0.15 else ()
        values = [step * 10.0**k for k in whole for step in steps]
        words = [f"{value:.3g}" for value in values]
    else:
        every = max(1, round(span / 8))
        values = [10.0**k for k in whole if k % every == 0]
        words = [decade(k) for k in whole if k % every == 0]
    ticks: dict[str, Json] = {"tickvals": values, "ticktext": words} if values else {}
    return {"type": "log", "range": [low, high], **ticks, **settings}


def value_axis(
    values: ArrayLike, *, at_most: float = math.inf, logarithmic: bool = True
) -> tuple[float, float, Layout]:
    """The lowest and the highest value to show, and an axis for them.

    It is logarithmic, if it may be, where all values are positive and far apart.
    """
    array = np.asarray(values, np.float64)
    finite = array[np.isfinite(array)]
    if not finite.size:
        return 0.1, 1.0, log_axis(-1, 0)
    low, high = float(finite.min()), float(np.clip(finite.max(), finite.min(), at_most))
    if logarithmic and low > 0 and high / low > 3:
        room = (high / low) ** 0.04
        return low / room, high * room, log_axis(math.log10(low / room), math.log10(high * room))
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room, {"range": [low - room, high + room]}


def decade(exponent: int) -> str:
    """A power of ten.

    >>> [decade(k) for k in (-8, -2, 0, 3)]
    ['10⁻⁸', '0.01', '1', '1000']
    """
    if -3 <= exponent <= 4:
        return f"{10.0**exponent:g}"
    return f"10{str(exponent).translate(SUPERSCRIPTS)}"
