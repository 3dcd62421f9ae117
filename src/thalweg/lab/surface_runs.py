"""How a task on a surface is run, and becomes records."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.lab import contenders
from thalweg.lab.clock import now
from thalweg.lab.descend import BOUND, Descent, descend, draw_starts, kept_steps, lowest_value
from thalweg.lab.entries import SurfaceReference, surface_of
from thalweg.lab.records import RunRecord

if TYPE_CHECKING:
    from thalweg.lab.contest import Task
    from thalweg.lab.records import Curve, Json, Role
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


def run_on_surface(task: Task) -> tuple[RunRecord, ...]:
    """Run all trials and seeds of a task at once; with the finals goes the named start's own path."""
    assert isinstance(task.problem, SurfaceReference)  # noqa: S101 (the caller told the kinds apart)
    surface, contender = surface_of(task.problem), contenders.get(task.contender)
    named = torch.tensor([task.problem.start], dtype=torch.float64)
    starts = draw_starts(surface, task.problem.start, task.seeds, spread=SPREAD)
    drawn: list[tuple[int, Role]] = [(seed, task.role) for seed in task.seeds]
    keep = kept_steps(task.steps)
    if task.draws_path:
        drawn.append((PATH_SEED, "path"))
        starts, keep = torch.cat([starts, named]), np.arange(task.steps + 1)
    started, begin = now(), time.perf_counter()
    rates = [rate for _, rate in task.trials]
    descent = descend(surface, contender, rates, starts, steps=task.steps, keep=keep)
    seconds = (time.perf_counter() - begin) / (len(rates) * len(starts))
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
            outcome="finished" if descent.diverged_at[i, j] < 0 else "diverged",
            message=_explain(descent, i, j),
            started=started,
            seconds=seconds,
            final=_final(surface, descent, i, j),
            curve=_path(descent, i, j) if role == "path" else _curve(descent, i, j, task.steps),
        )
        for i, (trial, rate) in enumerate(task.trials)
        for j, (seed, role) in enumerate(drawn)
    )


def _final(surface: Surface, descent: Descent, trial: int, seed: int) -> dict[str, float]:
    loss = float(descent.final_loss[trial, seed])
    reached = int(descent.reached_at[trial, seed])
    return {
        "loss": loss,
        "gap": max(0.0, loss - lowest_value(surface)),
        "mean_log_gap": float(descent.mean_log_gap[trial, seed]),
        "steps_to_target": float("inf") if reached < 0 else float(reached),
    }


def _explain(descent: Descent, trial: int, seed: int) -> str:
    step = descent.diverged_at[trial, seed]
    if step < 0:
        return ""
    return f"at step {step} the loss or the gradient was not finite, or a coordinate beyond ±{BOUND:g}"


def _curve(descent: Descent, trial: int, seed: int, steps: int) -> Curve:
    loss = descent.losses[:, trial, seed]
    chosen = np.isin(descent.kept, kept_steps(steps)) & ~np.isnan(loss)
    return {"step": descent.kept[chosen].astype(np.float64), "loss": loss[chosen]}


def _path(descent: Descent, trial: int, seed: int) -> Curve:
    loss, places = descent.losses[:, trial, seed], descent.places[:, trial, seed]
    alive = ~np.isnan(loss)
    x, y = places[alive].T
    return {"step": descent.kept[alive].astype(np.float64), "loss": loss[alive], "x": x, "y": y}
