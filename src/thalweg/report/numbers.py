"""How a number is written on the page."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from thalweg.lab.statistics import Interval

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, *, digits: int = 4) -> str:
    """A number with so many significant digits.

    >>> [number(x) for x in (0.0316227766, 1e-9, 12345.678, 353.446764, 0.0, float("inf"), None)]
    ['0.03162', '1.000×10⁻⁹', '12,346', '353.4', '0', '∞', '–']
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}×10{str(int(exponent)).translate(SUPERSCRIPTS)}".replace("-", "−")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}".replace("-", "−")


def setting(value: float) -> str:
    """A setting as one would type it.

    >>> setting(0.1), setting(0.00031622776601683794), setting(1e-5)
    ('0.1', '0.000316', '1e-05')
    """
    return f"{value:.3g}"


def settings(tuned: Mapping[str, float]) -> str:
    """The tuned settings of a run.

    >>> settings({"lr": 0.01}), settings({})
    ('lr 0.01', 'as typed')
    """
    return ", ".join(f"{name} {setting(value)}" for name, value in tuned.items()) or "as typed"


def interval_of(interval: Interval, *, digits: int = 4) -> tuple[str, str]:
    """The value, and its range in brackets; no range where it has no width."""
    low, high = number(interval.low, digits=digits), number(interval.high, digits=digits)
    return number(interval.value, digits=digits), "" if low == high else f"[{low}, {high}]"


def percent(share: float) -> str:
    """A share as a percentage.

    >>> percent(0.98765)
    '98.77 %'
    """
    return f"{100 * share:.2f} %"


def duration(seconds: float) -> str:
    """A time as a person says it.

    >>> [duration(s) for s in (0.0123, 5.25, 75, 7322)]
    ['12.3 ms', '5.25 s', '1 min 15 s', '2 h 02 min']
    """
    if not math.isfinite(seconds):
        return number(seconds)
    if seconds < 0.9995:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def data_size(count: float) -> str:
    """A number of bytes.

    >>> data_size(512), data_size(407_080)
    ('512 B', '398 KiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"


def moment(iso: str) -> str:
    """A recorded time, in UTC, to the minute.

    >>> moment("2026-03-14T15:09:26+00:00")
    '14 March 2026, 15:09 UTC'
    """
    when = instant(iso)
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def instant(iso: str) -> datetime:
    """A recorded time; without a zone it is in UTC."""
    when = datetime.fromisoformat(iso)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def plain_list(values: ArrayLike, *, digits: int = 6) -> list[float | None]:
    """The values for a picture: rounded, which keeps the page small, and None where a point has no place in it."""
    array = np.asarray(values, np.float64)
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in array.tolist()]
