"""How soon a target was reached, and which target tells methods apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

BASELINES = ("heavy_ball", "adam")


def first_reached(measured: ArrayLike, target: float, *, at: ArrayLike) -> float:
    """Where on the axis `at` (steps, or seconds) a measure first is at or below the target, or infinity.

    There is no interpolation: the answer is a point at which the run was evaluated.

    >>> first_reached([3.0, 1.0, 2.0], 1.5, at=[0, 100, 200])
    100.0
    """
    below = np.flatnonzero(np.asarray(measured, np.float64) <= target)
    return float(np.asarray(at, np.float64)[below[0]]) if below.size else float("inf")


def derive_target(finals: Mapping[str, Sequence[float]], *, baselines: Sequence[str] = BASELINES) -> float | None:
    """The final loss that every seed of the tuned baselines came down to; None if one of them diverged.

    Where no baseline was raced, all contenders that never diverged stand in for them.
    """
    chosen = [finals[name] for name in baselines if name in finals]
    if not chosen:
        chosen = [values for values in finals.values() if np.isfinite(values).all()]
    worst = max((max(values) for values in chosen), default=float("inf"))
    return worst if np.isfinite(worst) else None
