"""How a descent's task on a surface is run: start by start, each until it ends or its budget is spent."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from thalweg.lab.descend import BOUND, DENSE_STEPS, POINTS, lowest_value
from thalweg.lab.following import follow
from thalweg.lab.scoring import TARGET_GAP

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from thalweg.descent import Descent, Routine
    from thalweg.lab.following import End, Stay
    from thalweg.lab.records import Curve
    from thalweg.surfaces import Surface


class Trail:
    """One descent from one start: where it came, what it had spent there, how it ended, and how long it took."""

    def __init__(self, surface: Surface, method: Descent | Routine, start: Tensor, *, budget: int, seed: int) -> None:
        self._lowest, self._budget = lowest_value(surface), budget
        self._stays: list[Stay] = []
        begin = time.perf_counter()
        self.end: End = follow(
            method,
            surface.function,
            start,
            budget=budget,
            seen=self._stays.append,
            leaves=_leaves,
            window=surface.window,
            seed=seed,
        )
        self.seconds = time.perf_counter() - begin

    @property
    def is_sound(self) -> bool:
        """Whether it has neither diverged nor failed."""
        return self.end.outcome == "finished"

    def final(self) -> dict[str, float]:
        """What it came to; of one that diverged or failed, that its loss is infinite."""
        spent, values = self._columns()
        gaps = np.maximum(values - self._lowest, 0.0)
        there = np.flatnonzero(gaps <= TARGET_GAP)
        value = self.end.stay.value if self.is_sound else math.inf
        return {
            "loss": value,
            "gap": max(0.0, value - self._lowest),
            "mean_log_gap": self._mean_log_gap(spent, gaps) if self.is_sound else math.inf,
            "steps_to_target": float(spent[there[0]]) if there.size else math.inf,
            **self.end.stay.spent.record(steps=self.end.stay.steps),
        }

    def curve(self) -> Curve:
        """Some hundred of its points; one that has ended early stays where it is until the budget is spent."""
        spent, values = self._columns()
        steps = np.array([stay.steps for stay in self._stays], np.float64)
        kept = _spread(len(spent))
        curve = {"step": steps[kept], "spent": spent[kept], "loss": values[kept]}
        if self.is_sound and spent[-1] < self._budget:
            last = {"step": steps[-1], "spent": float(self._budget), "loss": values[-1]}
            curve = {name: np.append(column, last[name]) for name, column in curve.items()}
        return curve

    def path(self) -> Curve:
        """Every point with its coordinates."""
        spent, values = self._columns()
        x, y = np.array([stay.x.tolist() for stay in self._stays]).T
        steps = np.array([stay.steps for stay in self._stays], np.float64)
        return {"step": steps, "spent": spent, "loss": values, "x": x, "y": y}

    def _columns(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        spent = np.array([stay.spent.gradients for stay in self._stays])
        return spent, np.array([stay.value for stay in self._stays])

    def _mean_log_gap(self, spent: NDArray[np.float64], gaps: NDArray[np.float64]) -> float:
        """Over the budget, gradient evaluation by gradient evaluation, as a first-order method's over its steps."""
        at = np.searchsorted(spent, np.arange(1, self._budget + 1), side="right") - 1
        return float(np.log10(np.maximum(gaps[at], TARGET_GAP)).mean())


def _leaves(stay: Stay) -> str:
    return "" if bool((stay.x.abs() <= BOUND).all()) else f"after {stay.steps} steps a coordinate was beyond ±{BOUND:g}"


def _spread(count: int) -> NDArray[np.int64]:
    """Which of so many points a curve keeps: all of a few, else some hundred, denser at the beginning."""
    if count <= DENSE_STEPS:
        return np.arange(count)
    points = np.concatenate([[0], np.geomspace(1, count - 1, POINTS), np.linspace(0, count - 1, POINTS)])
    return np.unique(np.rint(points).astype(np.int64))
