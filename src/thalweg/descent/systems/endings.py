"""When conjugate gradients have done enough."""

from __future__ import annotations

from math import ceil


class Progress:
    """q has fallen, over the last k iterations, by less than kε of what it has fallen in all: k = max(10, ⌈i/10⌉).

    It looks at the quadratic, which is what is minimised, not at the residual. Martens 2010, section 4.4.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._values: list[float] = []

    def __call__(self, i: int, q: float, residual: float) -> bool:  # noqa: ARG002  # other tests look at the residual
        """Whether to end at iteration i, counted from 1."""
        self._values.append(q)
        k = max(10, ceil(i / 10))
        return i > k and q < 0 and (q - self._values[i - 1 - k]) / q < k * self._tolerance


class Residual:
    """The residual's norm is at most a number."""

    def __init__(self, least: float) -> None:
        self._least = least

    def __call__(self, i: int, q: float, residual: float) -> bool:  # noqa: ARG002  # other tests look at these
        """Whether to end here."""
        return residual <= self._least
