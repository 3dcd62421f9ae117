"""How long a step takes, against torch's fused Adam in the same run.

    python benchmarks/step.py [--threads 2] [--rounds 40] [--record benchmarks/records/NAME.json]

Every figure is a ratio of medians of rounds in which the two take turns, with the range of the rounds' own ratios: on
a machine that others use too, times alone say little. The targets are the project's; nothing fails if one is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import thalweg as tw
from thalweg.kernels import plan

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_STEP = """
import time, torch
parameter = torch.nn.Parameter(torch.ones(1000))
parameter.grad = torch.ones(1000)
start = time.perf_counter()
import thalweg as tw
tw.Adam([parameter]).step()
print(time.perf_counter() - start)
"""


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    name: str
    value: float
    low: float
    high: float
    target: float
    unit: str
    note: str = ""


def parameters(count: int, size: int) -> list[torch.nn.Parameter]:
    """Parameters with gradients that stay."""
    made = [torch.nn.Parameter(torch.randn(size)) for _ in range(count)]
    for parameter in made:
        parameter.grad = torch.randn(size)
    return made


def in_turn(
    ours: Callable[[], object], theirs: Callable[[], object], *, rounds: int, calls: int
) -> tuple[list[float], ...]:
    """Seconds a call, round by round, of two functions that take turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for function, taken in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            for _ in range(calls):
                function()
            taken.append((time.perf_counter() - start) / calls)
    return times


def ratio(
    name: str, ours: Callable[[], object], theirs: Callable[[], object], *, rounds: int, calls: int, target: float
) -> Figure:
    """What a call of ours takes over what one of theirs does."""
    for _ in range(4):
        ours()
        theirs()
    mine, others = in_turn(ours, theirs, rounds=rounds, calls=calls)
    ratios = [a / b for a, b in zip(mine, others, strict=True)]
    medians = statistics.median(mine), statistics.median(others)
    note = f"{medians[0] * 1e6:,.0f} µs against {medians[1] * 1e6:,.0f} µs"
    return Figure(name, medians[0] / medians[1], min(ratios), max(ratios), target, "× torch", note)


def step_ratio(count: int, size: int, *, rounds: int, calls: int, target: float) -> Figure:
    """Our Adam's whole `step()` over torch's fused one."""
    ours, theirs = tw.Adam(parameters(count, size)), torch.optim.Adam(parameters(count, size), fused=True)
    name = f"Adam, {count} tensors of {size:,} floats"
    return ratio(name, ours.step, theirs.step, rounds=rounds, calls=calls, target=target)


def chain_ratio(count: int, size: int, *, rounds: int, calls: int, target: float) -> Figure:
    """Clipping by norm, AdamW, a schedule and a moving average: our one chain over torch's four parts."""
    schedule = tw.warmup(10) >> tw.cosine(1e-4, steps=10_000)
    chain = tw.chain(tw.clip(1.0), tw.adam(), tw.decay(0.01), tw.step(schedule), tw.ema(beta=0.999))
    ours = tw.Optimizer(parameters(count, size), chain)
    module = torch.nn.ParameterList(parameters(count, size))
    for parameter in module:
        parameter.grad = torch.randn(size)
    fused = torch.optim.AdamW(module.parameters(), lr=1e-4, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(fused, schedule)
    average = torch.optim.swa_utils.AveragedModel(
        module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999)
    )

    def theirs() -> None:
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        fused.step()
        scheduler.step()
        average.update_parameters(module)

    name = f"clip + AdamW + schedule + EMA, {count} × {size:,}"
    return ratio(name, ours.step, theirs, rounds=rounds, calls=calls, target=target)


def reducing_ratio(rule: str, theirs: type[torch.optim.Optimizer], *, rounds: int, target: float) -> Figure:
    """A rule that sums over tensors, over torch's own or, where torch has none, its fused AdamW: 20 million floats."""

    def matrices() -> list[torch.nn.Parameter]:
        made = [torch.nn.Parameter(torch.randn(2236, 2236)) for _ in range(4)]
        for parameter in made:
            parameter.grad = torch.randn(2236, 2236)
        return made

    ours = tw.Optimizer(matrices(), tw.chain(tw.rules.get(rule)(), tw.step(1e-4)))
    settings = {"fused": True} if theirs is torch.optim.AdamW else {}
    other = theirs(matrices(), lr=1e-4, **settings)
    passes = len(plan(ours.param_groups[0]["chain"].trace()).passes)
    name = f"{rule}, 20 M floats in {passes} passes, over {theirs.__name__}"
    return ratio(name, ours.step, other.step, rounds=rounds, calls=1, target=target)


def first_step(*, warm: bool, runs: int, target: float) -> Figure:
    """Importing thalweg and the first step of a new process, torch being imported."""
    taken: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for run in range(runs + warm):
            cache = folder if warm else str(Path(folder, str(run)))
            answer = subprocess.run(
                [sys.executable, "-c", FIRST_STEP],
                env={**os.environ, "THALWEG_CACHE": cache},
                capture_output=True,
                text=True,
                check=True,
            )
            taken.append(float(answer.stdout))
    taken = taken[warm:]
    name = f"first step of a process, {'warm' if warm else 'empty'} cache"
    return Figure(name, statistics.median(taken), min(taken), max(taken), target, "s")


def import_time(*, runs: int) -> Figure:
    """How much longer it takes to import Thalweg where torch is imported already."""
    program = "import time, torch; start = time.perf_counter(); import thalweg; print(time.perf_counter() - start)"
    taken: list[float] = []
    for _ in range(runs + 1):
        answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        taken.append(float(answer.stdout))
    taken = taken[1:]
    return Figure("import thalweg, torch imported", statistics.median(taken), min(taken), max(taken), 0.1, "s")


def extra_memory() -> Figure:
    """What torch's allocator hands out during a step of 20 million floats."""
    optimizer = tw.Adam(parameters(4, 5_000_000))
    for _ in range(3):
        optimizer.step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        optimizer.step()
    taken = sum(max(event.self_cpu_memory_usage, 0) for event in profile.events()) / 1e6
    return Figure("memory allocated in a step, 20 M floats", taken, taken, taken, 1.0, "MB")


def main() -> None:
    """Measure, print the table, and keep it if asked to."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--threads", type=int, default=2)
    reader.add_argument("--rounds", type=int, default=40)
    reader.add_argument("--record", type=Path)
    chosen = reader.parse_args()
    torch.set_num_threads(chosen.threads)
    figures = [
        step_ratio(150, 1_000, rounds=chosen.rounds, calls=50, target=0.12),
        step_ratio(4, 5_000_000, rounds=chosen.rounds, calls=3, target=1.0),
        chain_ratio(150, 1_000, rounds=chosen.rounds, calls=20, target=0.2),
        chain_ratio(4, 5_000_000, rounds=chosen.rounds // 2, calls=2, target=0.7),
        reducing_ratio("lamb", torch.optim.AdamW, rounds=chosen.rounds // 2, target=44 / 28 * 1.1),
        reducing_ratio("adafactor", torch.optim.Adafactor, rounds=chosen.rounds // 4, target=0.35),
        first_step(warm=False, runs=5, target=1.5),
        first_step(warm=True, runs=5, target=0.7),
        import_time(runs=7),
        extra_memory(),
    ]
    machine = f"{_processor()}, {chosen.threads} threads; Python {platform.python_version()}, torch {torch.__version__}"
    print(machine)
    for figure in figures:
        reach = "reached" if figure.value <= figure.target else "MISSED"
        value = f"{figure.value:8.3f} {figure.unit:<14} {f'[{figure.low:.3g}, {figure.high:.3g}]':<18}"
        print(f"{figure.name:<45} {value} target {figure.target:<5g} {reach}  {figure.note}")
    if chosen.record:
        chosen.record.write_text(
            json.dumps(
                {"machine": machine, "date": time.strftime("%Y-%m-%d"), "figures": [asdict(f) for f in figures]},
                indent=2,
            )
            + "\n"
        )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
