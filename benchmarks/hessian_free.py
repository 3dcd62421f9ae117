"""What Hessian-free makes of an autoencoder of MNIST's digits for what it spends, against SGD with momentum.

    python benchmarks/hessian_free.py [--threads 2] [--passes 3000] [--examples 5000] [--record FILE.json]

784-128-64-16-64-128-784, sigmoid units, cross-entropy of the pixels; the training loss over all examples. What is spent
is counted in passes over the data: 1 for a loss, 2 more for its gradient, and 4 for a product with the Gauss–Newton
matrix, by the share of the examples that it is on. SGD's rate is the best of a grid.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

import thalweg as tw
from thalweg.lab.data import mnist
from thalweg.lab.data.mnist_arrays import PIXEL_DEVIATION, PIXEL_MEAN

if TYPE_CHECKING:
    from torch import Tensor

LAYERS = (784, 128, 64, 16, 64, 128, 784)
RATES = (1.0, 3.0, 10.0, 30.0)
MOMENTUM = 0.9
BATCH = 100
KINDS = ("none", "empirical_fisher")
LOSS, GRADIENT, PRODUCT = 1, 2, 4


@dataclass(frozen=True)
class Run:
    """How far one optimizer has come, at some numbers of passes."""

    name: str
    updates: list[int]
    passes: list[float]
    losses: list[float]
    seconds: float


def pixels(examples: int) -> Tensor:
    """Digits with pixels in [0, 1], of shape (examples, 784)."""
    images, _ = mnist().train
    return (images[:examples].flatten(1) * PIXEL_DEVIATION + PIXEL_MEAN).clamp(0, 1)


def autoencoder() -> nn.Sequential:
    """The same at each call."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(LAYERS):
        linear = nn.Linear(inputs, outputs)
        nn.init.xavier_normal_(linear.weight, gain=4.0 if layers else 1.0)  # of sigmoid units
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Sigmoid()]
    return nn.Sequential(*layers[:-1])


def cross_entropy(outputs: Tensor, x: Tensor) -> Tensor:
    """A digit's, summed over its pixels; the mean over the digits."""
    return nn.functional.binary_cross_entropy_with_logits(outputs, x, reduction="sum") / len(x)


def hessian_free(x: Tensor, passes: float, *, share: float, damping: float, preconditioner: str) -> Run:
    """The gradient on all examples, the curvature on a share of them, drawn anew for each step."""
    model = autoencoder()
    settings = {"preconditioner": preconditioner, "probes": 8} if preconditioner != "none" else {}
    optimizer = tw.HessianFree(model, damping=damping, **settings)
    drawn = torch.Generator().manual_seed(1)
    count = round(share * len(x))
    run = Run(f"Hessian-free, curvature on {count} digits, preconditioner {preconditioner}", [], [], [], 0.0)

    def on(some: Tensor) -> tuple[Tensor, Tensor]:
        outputs = model(some)
        return cross_entropy(outputs, some), outputs

    began = time.perf_counter()
    spent = 0.0
    while spent < passes:
        some = x[torch.randperm(len(x), generator=drawn)[:count]]
        loss = optimizer.step(lambda: on(x), lambda some=some: on(some))
        run.updates.append(len(run.updates))
        run.passes.append(round(spent, 1))
        run.losses.append(round(float(loss), 3))
        evaluations = optimizer.nfev - (1 - share) * optimizer.nit  # one of each step is on the share
        spent = LOSS * evaluations + GRADIENT * optimizer.njev + PRODUCT * share * optimizer.nhvp
    return Run(run.name, run.updates, run.passes, run.losses, time.perf_counter() - began)


def sgd(x: Tensor, passes: float, rate: float) -> Run:
    """Minibatches of 100, momentum 0.9."""
    model = autoencoder()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate / LAYERS[0], momentum=MOMENTUM)
    drawn = torch.Generator().manual_seed(1)
    name = f"SGD, momentum {MOMENTUM}, rate {rate:g}/784"
    seen: tuple[list[float], list[float]] = ([], [])
    seconds = 0.0
    for epoch in range(round(passes / (LOSS + GRADIENT)) + 1):
        with torch.no_grad():
            loss = float(cross_entropy(model(x), x))
        seen[0].append(epoch * (LOSS + GRADIENT))
        seen[1].append(round(loss, 3))
        if not loss < 10 * seen[1][0]:
            break
        began = time.perf_counter()
        for some in torch.randperm(len(x), generator=drawn).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(model(x[some]), x[some]).backward()
            optimizer.step()
        seconds += time.perf_counter() - began
    updates = [epoch * len(x.split(BATCH)) for epoch in range(len(seen[0]))]
    return Run(name, updates, *seen, seconds)


def at(run: Run, passes: float) -> str:
    """The loss that a run had after so many passes, and its updates."""
    within = sum(spent <= passes for spent in run.passes) - 1
    return f"{run.losses[within]:9.2f} {f'({run.updates[within]})':>8}"


def main() -> None:
    """Measure, print the table, and keep it if asked to."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--threads", type=int, default=2)
    reader.add_argument("--passes", type=float, default=3000)
    reader.add_argument("--examples", type=int, default=5000)
    reader.add_argument("--share", type=float, default=0.2)
    reader.add_argument("--record", type=Path)
    chosen = reader.parse_args()
    torch.set_num_threads(chosen.threads)
    x = pixels(chosen.examples)
    tried = [sgd(x, chosen.passes / 4, rate) for rate in RATES]
    best = min((run.losses[-1], i) for i, run in enumerate(tried) if run.losses[-1] < run.losses[0])[1]
    for run in tried:
        print(f"{run.name:<60} {run.losses[-1]:9.3f} after {run.passes[-1]:.0f} passes")
    runs = [sgd(x, chosen.passes, RATES[best])]
    runs += [hessian_free(x, chosen.passes, share=chosen.share, damping=1.0, preconditioner=p) for p in KINDS]
    marks = [chosen.passes * share for share in (0.1, 0.25, 0.5, 1.0)]
    print("loss (updates) after".ljust(72) + "".join(f"{mark:>18.0f}" for mark in marks) + " passes  seconds")
    for run in runs:
        print(f"{run.name:<72}" + "".join(at(run, mark) for mark in marks) + f"{run.seconds:16.0f}")
    if chosen.record:
        machine = f"{platform.processor() or platform.machine()}, {chosen.threads} threads; torch {torch.__version__}"
        found = {"machine": machine, "date": time.strftime("%Y-%m-%d"), "digits": len(x)}
        found["runs"] = [asdict(run) for run in runs]
        chosen.record.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
