"""How fast L-BFGS is, against torch's and SciPy's in the same run, on softmax regression over MNIST.

    python benchmarks/lbfgs.py [--threads 2] [--rounds 7] [--images 60000] [--processor] [--record FILE.json]

All see the same closure, in float32, and take turns. A figure is the median of the rounds' ratios, with their range: on
a machine that others use too, times alone say little; there, `--threads 1 --processor` counts processor time. "per
evaluation" divides a run's time by its evaluations, "to the loss of …" is the time until the closure has first given so
low a loss. With few images the closure costs little, and what is compared is what the methods cost themselves. The
whole of MNIST is found as everywhere, by `$THALWEG_DATA`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize
import torch

import thalweg as tw
from thalweg.descent import gradient_norm
from thalweg.lab.data import mnist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

MEMORY = 10
TARGET = 0.26


class ReachedError(Exception):
    """The loss is as low as was asked."""


@dataclass(frozen=True)
class Figure:
    """One row of the table: ours over theirs."""

    name: str
    value: float
    low: float
    high: float
    target: float
    note: str


class Regression:
    """Softmax regression from zero, with a closure that counts, and ends a run at the loss that is asked for."""

    def __init__(self, images: int, until: float = 0.0) -> None:
        inputs, labels = mnist("auto").train
        self.inputs, self.labels = inputs[:images].flatten(1), labels[:images]
        self.model = torch.nn.Linear(self.inputs.shape[1], 10)
        self.until = until
        self.calls = 0
        for parameter in self.model.parameters():
            torch.nn.init.zeros_(parameter)

    def __call__(self) -> torch.Tensor:
        """The loss, gone backward."""
        self.calls += 1
        self.model.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(self.inputs), self.labels)
        loss.backward()
        if loss <= self.until:
            raise ReachedError
        return loss

    def flat(self, x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The loss and its gradient at a vector, as SciPy wants them."""
        torch.nn.utils.vector_to_parameters(torch.from_numpy(x).float(), self.model.parameters())
        loss = self()
        return loss.item(), torch.cat([p.grad.reshape(-1) for p in self.model.parameters()]).double().numpy()


def with_torch(problem: Regression, kind: Any, memory: int) -> None:  # noqa: ANN401  # either class
    """L-BFGS with torch's arguments."""
    optimizer = kind(
        problem.model.parameters(),
        history_size=memory,
        max_iter=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=0,
        tolerance_change=0,
    )
    for _ in range(5 if problem.until == 0 else 100):
        optimizer.step(problem)


def with_descent(problem: Regression, memory: int) -> None:
    """L-BFGS as a descent."""
    optimizer = tw.DescentOptimizer(
        problem.model, "lbfgs", memory=memory, max_iter=20, max_eval=25, stop=gradient_norm(0)
    )
    for _ in range(5 if problem.until == 0 else 100):
        optimizer.step(problem)


def with_scipy(problem: Regression) -> None:
    """L-BFGS-B."""
    options = {"maxcor": MEMORY, "maxiter": 2000, "maxfun": 3000, "ftol": 0, "gtol": 0}
    start = np.zeros(sum(parameter.numel() for parameter in problem.model.parameters()))
    scipy.optimize.minimize(problem.flat, start, jac=True, method="L-BFGS-B", options=options)


def taken(
    run: Callable[[Regression], None], images: int, until: float, clock: Callable[[], float]
) -> tuple[float, int]:
    """Seconds and evaluations of one run."""
    problem = Regression(images, until)
    began = clock()
    with contextlib.suppress(ReachedError):
        run(problem)
    return clock() - began, problem.calls


def compare(
    name: str,
    ours: Callable[[Regression], None],
    theirs: Callable[[Regression], None],
    *,
    rounds: int,
    images: int,
    clock: Callable[[], float],
    until: float = 0.0,
) -> Figure:
    """The median over rounds of what a run of ours takes over what one of theirs does; per evaluation, or to a loss."""
    for run in (ours, theirs):
        taken(run, images, until, clock)
    ratios: list[float] = []
    times: tuple[list[float], list[float]] = ([], [])
    calls = [0, 0]
    for at in range(rounds):
        pair = [0.0, 0.0]
        for which in (0, 1) if at % 2 else (1, 0):
            seconds, calls[which] = taken((ours, theirs)[which], images, until, clock)
            pair[which] = seconds if until else seconds / calls[which]
            times[which].append(pair[which])
        ratios.append(pair[0] / pair[1])
    medians = [1e3 * statistics.median(own) for own in times]
    note = f"{medians[0]:.3g} ms against {medians[1]:.3g} ms; {calls[0]} and {calls[1]} evaluations"
    return Figure(name, statistics.median(ratios), min(ratios), max(ratios), 1.0, note)


def main() -> None:
    """Measure, print the table, and keep it if asked to."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--threads", type=int, default=2)
    reader.add_argument("--rounds", type=int, default=7)
    reader.add_argument("--images", type=int, default=60_000)
    reader.add_argument("--processor", action="store_true")
    reader.add_argument("--record", type=Path)
    chosen = reader.parse_args()
    torch.set_num_threads(chosen.threads)
    clock = time.process_time if chosen.processor else time.perf_counter
    rounds, images = chosen.rounds, min(chosen.images, len(mnist("auto").train[0]))
    until = TARGET if images == 60_000 else 0.3  # the whole set

    def torchs(memory: int) -> Callable[[Regression], None]:
        return lambda problem: with_torch(problem, torch.optim.LBFGS, memory)

    def drop_in(memory: int) -> Callable[[Regression], None]:
        return lambda problem: with_torch(problem, tw.LBFGS, memory)

    def descent(memory: int) -> Callable[[Regression], None]:
        return lambda problem: with_descent(problem, memory)

    def figures() -> Iterator[Figure]:
        for count, memory in ((500, 10), (500, 100), (images, 100)):
            case = f"per evaluation, {count} images, {memory} pairs"
            for name, own in (("LBFGS", drop_in), ("descent", descent)):
                yield compare(
                    f"{name} / torch, {case}", own(memory), torchs(memory), rounds=rounds, images=count, clock=clock
                )
        for name, theirs in (("torch", torchs(MEMORY)), ("SciPy", with_scipy)):
            case = f"descent / {name}, {images} images, to the loss of {until}"
            yield compare(case, descent(MEMORY), theirs, rounds=rounds, images=images, until=until, clock=clock)

    versions = f"Python {platform.python_version()}, torch {torch.__version__}, SciPy {scipy.__version__}"
    machine = f"{os.cpu_count()} cores, {chosen.threads} threads; {versions}" + (
        "; processor time" if chosen.processor else ""
    )
    print(machine)
    measured: list[Figure] = []
    for figure in figures():
        reach = "reached" if figure.value <= figure.target else "MISSED"
        spread = f"[{figure.low:.3g}, {figure.high:.3g}]"
        print(f"{figure.name:<52} {figure.value:6.3f} × {spread:<15} {reach}  {figure.note}", flush=True)
        measured.append(figure)
    if chosen.record:
        kept = {"machine": machine, "date": time.strftime("%Y-%m-%d"), "figures": [asdict(f) for f in measured]}
        chosen.record.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
