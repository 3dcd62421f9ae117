"""Where a cubic or a parabola through two places of a line has its minimum."""

from __future__ import annotations

import math

Point = tuple[float, float, float]
"""α, the value there, and the slope there."""


def cubic(a: Point, b: Point) -> float:
    """The minimum of the cubic with these values and slopes; infinite where it has none. Nocedal and Wright, (3.59)."""
    (x, f, s), (y, h, t) = a, b
    if x == y:
        return math.inf
    mean = s + t - 3 * (f - h) / (x - y)
    size = max(abs(mean), abs(s), abs(t))
    inside = (mean / size) ** 2 - (s / size) * (t / size) if size else -1.0
    if inside < 0:
        return math.inf
    root = math.copysign(size * math.sqrt(inside), y - x)
    below = t - s + 2 * root
    return y - (y - x) * (t + root - mean) / below if below else math.inf


def parabola(a: Point, b: Point) -> float:
    """The minimum of the parabola with a's value and slope and b's value; b's slope is not looked at."""
    (x, f, s), (y, h, _) = a, b
    below = 2 * ((f - h) / (y - x) + s) if x != y else 0.0
    return x + (y - x) * s / below if below else math.inf


def secant(a: Point, b: Point) -> float:
    """Where the line through the two slopes is zero; infinite where they are equal."""
    (x, _, s), (y, _, t) = a, b
    return y + t * (x - y) / (t - s) if t != s else math.inf
