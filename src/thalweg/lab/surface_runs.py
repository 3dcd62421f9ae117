"""How a task on a surface is run, and becomes records."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from thalweg.lab import contenders
from thalweg.lab.clock import now
from thalweg.lab.descend import BOUND, descend, draw_starts, kept_steps, lowest_value
from thalweg.lab.entries import SurfaceReference, surface_of
from thalweg.lab.records import RunRecord
from thalweg.lab.spending import Pace
from thalweg.lab.surface_descents import Trail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from thalweg.chain import Chain
    from thalweg.descent import Descent, Routine
    from thalweg.lab.contenders import Contender
    from thalweg.lab.contest import Task
    from thalweg.lab.descend import Runs
    from thalweg.lab.records import Curve, Json, Outcome, Role
    from thalweg.surfaces import Surface

# Of the window's sides: wide enough to tell luck from skill, narrow enough that the start keeps its character.
SPREAD = 0.02
PATH_SEED = 0


def describe_surface(reference: SurfaceReference, *, steps: int) -> dict[str, Json]:
    """What the records keep of a surface and a start on it."""
    surface = surface_of(reference)
    return {
        "surface": surface.name,
        "start": list(reference.start),
        "start_spread": [SPREAD * (high - low) for low, high in surface.window],
        "steps": steps,
        "window": [list(side) for side in surface.window],
        "minima": [{"x": list(p.x), "value": p.value, "is_global": p.is_global} for p in surface.minima],
        "saddles": [{"x": list(p.x), "value": p.value} for p in surface.saddles],
        "formula": surface.formula,
        "source": surface.source,
        "remark": surface.remark,
    }


@dataclass(frozen=True, kw_only=True)
class _Ran:
    """One run of a task, before it is a record."""

    outcome: Outcome
    message: str
    seconds: float
    final: Mapping[str, float]
    curve: Curve


def run_on_surface(task: Task) -> tuple[RunRecord, ...]:
    """Run all trials and seeds of a task; with the finals goes the named start's own path."""
    assert isinstance(task.problem, SurfaceReference)  # noqa: S101 (the caller told the kinds apart)
    surface, contender = surface_of(task.problem), contenders.get(task.contender)
    starts = draw_starts(surface, task.problem.start, task.seeds, spread=SPREAD)
    drawn: list[tuple[int, Role]] = [(seed, task.role) for seed in task.seeds]
    if task.draws_path:
        drawn.append((PATH_SEED, "path"))
        starts = torch.cat([starts, torch.tensor([task.problem.start], dtype=torch.float64)])
    started = now()
    run = _descend_one_by_one if contender.is_descent else _step_together
    ran = run(surface, contender, task, starts)
    return tuple(
        RunRecord(
            problem=task.problem.name,
            optimizer=contender.name,
            chain=repr(contender.build(rate)),
            tuned=contender.settings(rate),
            role=role,
            trial=trial,
            seed=seed,
            data_order=None,
            budget=task.steps,
            outcome=one.outcome,
            message=one.message,
            started=started,
            seconds=one.seconds,
            final=one.final,
            curve=one.curve,
        )
        for (trial, rate), row in zip(task.trials, ran, strict=True)
        for (seed, role), one in zip(drawn, row, strict=True)
    )


def _descend_one_by_one(surface: Surface, contender: Contender, task: Task, starts: Tensor) -> list[list[_Ran]]:
    """The runs of a descent, by trial and start."""
    rows: list[list[_Ran]] = []
    for _, rate in task.trials:
        method = cast("Descent | Routine", contender.build(rate))
        seeds = [*task.seeds, PATH_SEED][: len(starts)]
        trails = [
            Trail(surface, method, start, budget=task.steps, seed=seed)
            for start, seed in zip(starts, seeds, strict=True)
        ]
        rows.append(
            [
                _Ran(
                    outcome=trail.end.outcome,
                    message=trail.end.message,
                    seconds=trail.seconds,
                    final=trail.final(),
                    curve=trail.path() if task.draws_path and j == len(starts) - 1 else trail.curve(),
                )
                for j, trail in enumerate(trails)
            ]
        )
    return rows


def _step_together(surface: Surface, contender: Contender, task: Task, starts: Tensor) -> list[list[_Ran]]:
    """The runs of a chain, by trial and start, all stepped at once."""
    pace = Pace.of(cast("Chain", contender.build(contender.default)).traces())  # a race refuses routes on surfaces
    steps = pace.steps(task.steps)
    keep = np.arange(steps + 1) if task.draws_path else kept_steps(steps)
    begin = time.perf_counter()
    rates = [rate for _, rate in task.trials]
    runs = descend(surface, contender, rates, starts, steps=steps, keep=keep)
    seconds = (time.perf_counter() - begin) / (len(rates) * len(starts))
    is_path = [task.draws_path and j == len(starts) - 1 for j in range(len(starts))]
    return [
        [
            _Ran(
                outcome="finished" if runs.diverged_at[i, j] < 0 else "diverged",
                message=_explain(runs, i, j),
                seconds=seconds,
                final=_final(surface, runs, pace, i, j),
                curve=_paid(_path(runs, i, j) if is_path[j] else _curve(runs, i, j, steps), pace),
            )
            for j in range(len(starts))
        ]
        for i in range(len(rates))
    ]


def _final(surface: Surface, runs: Runs, pace: Pace, trial: int, seed: int) -> dict[str, float]:
    loss = float(runs.final_loss[trial, seed])
    reached, died = int(runs.reached_at[trial, seed]), int(runs.diverged_at[trial, seed])
    steps = died if died >= 0 else int(runs.kept[-1])
    return {
        "loss": loss,
        "gap": max(0.0, loss - lowest_value(surface)),
        "mean_log_gap": float(runs.mean_log_gap[trial, seed]),
        "steps_to_target": float("inf") if reached < 0 else pace.spent(reached).gradients,
        **({} if pace.every is None else pace.spent(steps).record(steps=steps)),
    }


def _paid(curve: Curve, pace: Pace) -> Curve:
    """The curve with what was spent up to each point, where that is another number than of steps."""
    if pace.every is None:
        return curve
    return {**curve, "spent": np.array([pace.spent(int(step)).gradients for step in curve["step"]])}


def _explain(runs: Runs, trial: int, seed: int) -> str:
    step = runs.diverged_at[trial, seed]
    if step < 0:
        return ""
    return f"at step {step} the loss or the gradient was not finite, or a coordinate beyond ±{BOUND:g}"


def _curve(runs: Runs, trial: int, seed: int, steps: int) -> Curve:
    loss = runs.losses[:, trial, seed]
    chosen = np.isin(runs.kept, kept_steps(steps)) & ~np.isnan(loss)
    return {"step": runs.kept[chosen].astype(np.float64), "loss": loss[chosen]}


def _path(runs: Runs, trial: int, seed: int) -> Curve:
    loss, places = runs.losses[:, trial, seed], runs.places[:, trial, seed]
    alive = ~np.isnan(loss)
    x, y = places[alive].T
    return {"step": runs.kept[alive].astype(np.float64), "loss": loss[alive], "x": x, "y": y}
