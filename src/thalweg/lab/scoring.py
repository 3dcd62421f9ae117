"""What a run is judged by: one number, smaller is better, and a second one where the first ties.

On a training problem it is the test loss at the end (not the best on the way), in full batch the
training loss. On a surface it is how many powers of ten the end lies above the lowest minimum, where
everything within `TARGET_GAP` of it counts as there; between settings that get there, the one that
comes down sooner is better. A run that diverged or failed is infinitely bad.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thalweg.lab.records import Kind, RunRecord

TARGET_GAP = 1e-6
DIVERGED = 1e3
"""A training loss so many times the first one has diverged."""


class DivergedError(Exception):
    """A run that has left all bounds."""


class Score(NamedTuple):
    """A criterion, and what decides between equals."""

    value: float
    tie_break: float


WORST = Score(math.inf, math.inf)

CRITERIA: dict[Kind, str] = {
    "surface": f"the smallest mean over the tuning seeds of log10 of the final gap to the lowest minimum, gaps below "
    f"{TARGET_GAP:g} counting as {TARGET_GAP:g}; between equals, of the mean of log10 of the gap over all steps; "
    "between equals, the smaller rate; a run that diverged is infinitely bad",
    "training": "the smallest mean over the tuning seeds of the final test loss, in full batch of the training loss; "
    "between equals, the smaller rate; a run that diverged is infinitely bad",
}


def see_bounded(loss: float, *, first: float, step: int) -> None:
    """Raise `DivergedError` for a minibatch's loss that is not finite, or beyond all bounds."""
    if not abs(loss) <= DIVERGED * max(abs(first), 1.0):
        raise DivergedError(f"at step {step} a minibatch's loss was {loss:g}, at first {first:g}")


def score_run(run: RunRecord) -> Score:
    """The score of one run, of either kind of problem."""
    if run.outcome != "finished":
        return WORST
    if "gap" in run.final:
        return Score(math.log10(max(run.final["gap"], TARGET_GAP)), run.final["mean_log_gap"])
    return Score(run.final["train_loss" if "train_loss" in run.final else "test_loss"], 0.0)


def score_runs(runs: Iterable[RunRecord]) -> Score:
    """The mean score over the seeds of one setting, to the last bit whatever the order in which they ran."""
    scores = [score_run(run) for run in sorted(runs, key=lambda run: run.seed)]
    return Score(float(np.mean([s.value for s in scores])), float(np.mean([s.tie_break for s in scores])))
