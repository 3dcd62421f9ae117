"""The schedules against `torch.optim.lr_scheduler`.

Torch's convention is ours: the rate in force when k steps are done is the scheduler's after k calls of its
`step()`. Where the two differ in what an argument counts, the test's arguments say how to translate.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from thalweg.schedules import (
    constant,
    cosine,
    exponential,
    inverse,
    linear,
    multi_step,
    one_cycle,
    polynomial,
    sgdr,
    step_decay,
    warmup,
    warmup_stable_decay,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.schedules import Schedule

    MakeScheduler = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def torchs_rates(make: MakeScheduler, lr: float, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make(optimizer)
    rates: list[float] = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


CASES: dict[str, tuple[Schedule, MakeScheduler, int]] = {
    "constant": (constant(0.1), lambda o: lr_scheduler.ConstantLR(o, factor=1.0), 20),
    "linear down": (
        linear(0.1, 0.02, steps=30),
        lambda o: lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=0.2, total_iters=30),
        50,
    ),
    "linear up": (
        linear(0.01, 0.1, steps=30),
        lambda o: lr_scheduler.LinearLR(o, start_factor=0.1, end_factor=1.0, total_iters=30),
        50,
    ),
    # Torch starts at start_factor and ends after total_iters; ours has 1/n at the first step and 1 at the
    # n-th.
    "warm-up": (
        warmup(30) >> constant(0.1),
        lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 30, end_factor=1.0, total_iters=29),
        50,
    ),
    "cosine": (cosine(0.1, steps=40), lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=40), 41),
    "cosine with a floor": (
        cosine(0.1, steps=40, floor=0.01),
        lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=40, eta_min=0.01),
        41,
    ),
    "polynomial": (
        polynomial(0.1, steps=25, power=2.5),
        lambda o: lr_scheduler.PolynomialLR(o, total_iters=25, power=2.5),
        40,
    ),
    "exponential": (exponential(0.1, factor=0.9), lambda o: lr_scheduler.ExponentialLR(o, gamma=0.9), 60),
    "step decay": (
        step_decay(0.1, every=7, factor=0.3),
        lambda o: lr_scheduler.StepLR(o, step_size=7, gamma=0.3),
        60,
    ),
    "multi-step": (
        multi_step(0.1, at=(5, 6, 30), factor=0.3),
        lambda o: lr_scheduler.MultiStepLR(o, milestones=[5, 6, 30], gamma=0.3),
        60,
    ),
    "inverse": (
        inverse(0.1, power=0.5, timescale=10),
        lambda o: lr_scheduler.LambdaLR(o, lambda k: (1 + k / 10) ** -0.5),
        60,
    ),
    "warm restarts of equal length": (
        sgdr(0.1, first=7, growth=1, floor=0.001),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=7, T_mult=1, eta_min=0.001),
        60,
    ),
    "warm restarts that lengthen": (
        sgdr(0.1, first=5, growth=3),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=5, T_mult=3),
        200,
    ),
    # Torch counts both ends in total_steps and puts its peak at pct_start · total_steps − 1: 101 steps hold
    # our k from 0 to 100, and our peak at 30 is pct_start = 31/101.
    "one cycle": (
        one_cycle(0.1, steps=100, rise=0.3),
        lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=101, pct_start=31 / 101),
        101,
    ),
    "one cycle with other heights": (
        one_cycle(0.1, steps=50, rise=0.5, div=10, final_div=100),
        lambda o: lr_scheduler.OneCycleLR(
            o, max_lr=0.1, total_steps=51, pct_start=26 / 51, div_factor=10, final_div_factor=100
        ),
        51,
    ),
    "warm-up, then cosine": (
        warmup(10) >> cosine(0.1, steps=30),
        lambda o: lr_scheduler.SequentialLR(
            o,
            [
                lr_scheduler.LinearLR(o, start_factor=0.1, end_factor=1.0, total_iters=9),
                lr_scheduler.CosineAnnealingLR(o, T_max=30),
            ],
            milestones=[10],
        ),
        41,
    ),
    "warm-up, stable, decay": (
        warmup_stable_decay(0.1, steps=50, warmup=10, decay=20),
        lambda o: lr_scheduler.SequentialLR(
            o,
            [
                lr_scheduler.LinearLR(o, start_factor=0.1, end_factor=1.0, total_iters=9),
                lr_scheduler.ConstantLR(o, factor=1.0),
                lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=20),
            ],
            milestones=[10, 30],
        ),
        60,
    ),
    "a product": (
        0.5 * exponential(0.2, factor=0.9) * cosine(1.0, steps=40),
        lambda o: lr_scheduler.ChainedScheduler(
            [lr_scheduler.ExponentialLR(o, gamma=0.9), lr_scheduler.CosineAnnealingLR(o, T_max=40)]
        ),
        40,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_schedule_gives_torchs_rates(name: str):
    schedule, make, steps = CASES[name]
    with warnings.catch_warnings():
        # SequentialLR itself calls `step(epoch)`, which torch deprecates.
        warnings.filterwarnings("ignore", message="The epoch parameter", category=UserWarning)
        theirs = torchs_rates(make, 0.1, steps)
    ours = [schedule(k) for k in range(steps)]
    assert len(set(ours)) > 1 or name == "constant"
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_a_finished_cosine_stays_down_where_torchs_rises_again():
    rates = torchs_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=10), 0.1, 20)
    schedule = cosine(0.1, steps=10)
    assert rates[15] > 0.04
    assert schedule(15) == schedule(10) == 0
