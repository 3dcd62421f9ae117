"""What is known of a point of a surface: where it lies, how high, and how the surface curves there."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Literal

Point = tuple[float, ...]
Kind = Literal["minimum", "saddle", "maximum", "degenerate"]


@dataclass(frozen=True)
class CriticalPoint:
    """A point where the gradient vanishes.

    `is_global` says that the surface is nowhere lower (`mccormick`: nowhere in its customary domain).
    """

    x: Point
    value: float
    is_global: bool = False


@dataclass(frozen=True)
class Curvature:
    """The eigenvalues of the Hessian at one point, in ascending order, and what follows from them."""

    eigenvalues: tuple[float, ...]

    @property
    def condition_number(self) -> float:
        """How much longer than wide the level lines are, squared; infinite where a direction is flat."""
        magnitudes = [abs(eigenvalue) for eigenvalue in self.eigenvalues]
        return max(magnitudes) / min(magnitudes) if min(magnitudes) > 0 else math.inf

    @property
    def largest_stable_rate(self) -> float:
        """The learning rate 2/λmax from which on gradient descent is thrown out of a valley curved like this.

        Infinite where no direction curves upwards.
        """
        steepest = self.eigenvalues[-1]
        return 2 / steepest if steepest > 0 else math.inf

    @property
    def kind(self) -> Kind:
        """What a critical point with this curvature is; `"degenerate"` where the Hessian cannot tell."""
        rounding = len(self.eigenvalues) * sys.float_info.epsilon * max(map(abs, self.eigenvalues))
        if any(abs(eigenvalue) <= rounding for eigenvalue in self.eigenvalues):
            return "degenerate"
        if self.eigenvalues[0] > 0:
            return "minimum"
        return "maximum" if self.eigenvalues[-1] < 0 else "saddle"
