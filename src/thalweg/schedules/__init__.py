"""Functions of the step: learning rates, or any hyper-parameter, that change as training goes on.

A schedule is called with k, the number of steps already done (0 on the first step), and gives back a float
computed in float64. It is an inert value: nothing to save, nothing to advance, so a run resumes from its step
count alone. It prints as it is typed. (`plateau` alone is no such function: it goes by a metric, and has a state.)

- One after the other: `warmup(500) >> cosine(3e-4, steps=10_000)`.
- Scaled, or one times another: `0.1 * cosine(3e-4, steps=10_000)`.
- Cut short: `exponential(0.1, factor=0.999).until(1000)`.

A schedule with a length stays, once it is over, at the value it ends with. One without goes on for ever.

>>> schedule = warmup(2) >> cosine(0.1, steps=4)
>>> schedule
warmup(2) >> cosine(0.1, steps=4)
>>> [round(schedule(k), 4) for k in range(8)]
[0.05, 0.1, 0.1, 0.0854, 0.05, 0.0146, 0.0, 0.0]
"""

from __future__ import annotations

from thalweg.schedules.convergence import robbins_monro
from thalweg.schedules.cycles import cosine, one_cycle, sgdr, warmup_stable_decay
from thalweg.schedules.decays import (
    constant,
    exponential,
    geometric,
    inverse,
    linear,
    multi_step,
    polynomial,
    step_decay,
)
from thalweg.schedules.plateau import plateau
from thalweg.schedules.schedule import Schedule, custom
from thalweg.schedules.warmup import warmup

__all__ = [
    "Schedule",
    "constant",
    "cosine",
    "custom",
    "exponential",
    "geometric",
    "inverse",
    "linear",
    "multi_step",
    "one_cycle",
    "plateau",
    "polynomial",
    "robbins_monro",
    "sgdr",
    "step_decay",
    "warmup",
    "warmup_stable_decay",
]
