"""How many updates K-FAC and PRONG need where SGD with momentum gets, and in what time: a deep autoencoder on MNIST.

    python benchmarks/kfac.py [--updates 1000] [--batch 500] [--threads 2] [--record benchmarks/records/NAME.json]

After Hinton and Salakhutdinov 2006, as Martens and Grosse 2015 train it (section 13): tanh units, a linear code of 30,
cross-entropy summed over pixels, sparse starting weights (Martens 2010). The layers are half as wide or less, for two
cores and minutes. Each method has a short run for each of its settings, and the best goes on with the same batches.
SGD's lowest training loss, over all its updates, is what the others are to reach. Updates are exact; seconds count
steps alone, in this one run, and say something as ratios only. The whole MNIST is used where `$THALWEG_DATA` names it,
else the part that ships; nothing fails if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

import thalweg as tw
from thalweg.lab.data.mnist_arrays import PIXEL_DEVIATION, PIXEL_MEAN, mnist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    Make = Callable[[nn.Module], torch.optim.Optimizer]


def momentum(rate: float, beta: float = 0.9) -> tw.Chain:
    """SGD with momentum as torch writes it."""
    return tw.chain(tw.heavy_ball(form="torch", beta=beta), tw.step(rate))


def sgd(rate: float, beta: float) -> Make:
    """The one to beat."""
    return lambda model: tw.Optimizer(model, momentum(rate, beta))


def kfac(**options: Any) -> Make:  # KFAC's own
    """K-FAC by these settings."""
    return lambda model: tw.KFAC(model, **options)


def prong(rate: float, **options: Any) -> Make:  # PRONG's own
    """PRONG by these settings."""
    return lambda model: tw.PRONG(model, momentum(rate), **options)


METHODS: dict[str, dict[str, Make]] = {
    "SGD with momentum": {
        f"rate {rate}, momentum {beta}": sgd(rate, beta)
        for rate, beta in ((2e-3, 0.9), (4e-3, 0.9), (8e-3, 0.9), (2e-3, 0.97))
    },
    "K-FAC, clipped": {
        f"damping {damping}, kl_clip {clip}": kfac(
            chain=momentum(0.3), damping=damping, kl_clip=clip, every=5, inverse_every=20
        )
        for damping, clip in ((0.3, 0.1), (1.0, 0.1))
    },
    "K-FAC, fitted": {
        f"damping {damping}": kfac(rescale="momentum", adapt_every=5, damping=damping, every=2, inverse_every=20)
        for damping in (3.0, 10.0)
    },
    "PRONG": {
        f"rate {rate}, epsilon {epsilon}": prong(rate, every=20, window=5, epsilon=epsilon, momentum="transform")
        for rate, epsilon in ((2e-3, 0.3), (4e-3, 1.0), (8e-3, 1.0))
    },
}


@dataclass
class Run:
    """Where a run stands."""

    setting: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    batches: Iterator[Tensor]
    updates: int = 0
    seconds: float = 0.0
    losses: list[tuple[int, float, float]] = field(default_factory=list)
    """Updates, seconds and the loss over all training images then."""

    @property
    def lowest(self) -> float:
        """The lowest of the losses; infinite where they grew beyond all numbers."""
        return min((loss for _, _, loss in self.losses if loss == loss), default=float("inf"))  # noqa: PLR0124  # not NaN


@dataclass(frozen=True)
class Found:
    """A row of the table."""

    method: str
    setting: str
    updates: int
    seconds: float
    loss: float
    has_reached: bool


def autoencoder(widths: list[int]) -> nn.Sequential:
    """Down to the code and up again; 15 of each unit's weights are not zero to begin with."""
    torch.manual_seed(0)
    sides = [*widths, *reversed(widths[:-1])]
    layers: list[nn.Module] = []
    for at, (a, b) in enumerate(pairwise(sides)):
        layer = nn.Linear(a, b)
        nn.init.zeros_(layer.bias)
        columns = nn.init.sparse_(torch.empty(a, b), 1 - min(15 / a, 1.0), std=1.0)
        with torch.no_grad():
            layer.weight.copy_(columns.T)
        is_linear = at in (len(widths) - 2, len(sides) - 2)
        layers += [layer] if is_linear else [layer, nn.Tanh()]
    return nn.Sequential(*layers)


def loss_of(outputs: Tensor, images: Tensor) -> Tensor:
    """The cross-entropy of an image, summed over its pixels; the mean over images."""
    return functional.binary_cross_entropy_with_logits(outputs, images, reduction="sum") / len(images)


def batches(images: Tensor, size: int) -> Iterator[Tensor]:
    """The same for every run."""
    generator = torch.Generator().manual_seed(1)
    while True:
        order = torch.randperm(len(images), generator=generator)
        yield from (images[part] for part in order.split(size) if len(part) == size)


def go_on(run: Run, images: Tensor, updates: int, look: int, *, until: float = -float("inf")) -> None:
    """Train, and look at the loss over all images every so many updates, until it is low enough."""
    for _ in range(updates):
        own = next(run.batches)

        def closure(own: Tensor = own) -> tuple[Tensor, Tensor]:
            outputs = run.model(own)
            return loss_of(outputs, own), outputs

        start = time.perf_counter()
        try:
            if isinstance(run.optimizer, tw.KFAC | tw.PRONG):
                run.optimizer.step(closure)
            else:
                run.optimizer.zero_grad()
                closure()[0].backward()
                run.optimizer.step()
        except tw.errors.ThalwegError as error:
            print(f"  {run.setting}, update {run.updates}: {error}", flush=True)
            run.losses.append((run.updates, run.seconds, float("inf")))
            return
        run.seconds += time.perf_counter() - start
        run.updates += 1
        if run.updates % look == 0:
            with torch.no_grad():
                parts = [float(loss_of(run.model(part), part)) * len(part) for part in images.split(5000)]
            run.losses.append((run.updates, run.seconds, sum(parts) / len(images)))
            if run.lowest <= until or not run.losses[-1][2] < float("inf"):
                return


def _last(run: Run) -> float:
    loss = run.losses[-1][2]
    return loss if loss == loss else float("inf")  # noqa: PLR0124  # not NaN


def tuned(method: str, widths: list[int], images: Tensor, options: argparse.Namespace) -> Run:
    """The run of the setting that does best in a short time."""
    runs: list[Run] = []
    for setting, make in METHODS[method].items():
        model = autoencoder(widths)
        run = Run(setting, model, make(model), batches(images, options.batch))
        go_on(run, images, options.tuning, options.look)
        print(f"  {method}, {setting}: {run.lowest:.2f} after {run.updates} updates", flush=True)
        runs.append(run)
    return min(
        runs, key=lambda run: run.losses[-1][2] if run.losses[-1][2] == run.losses[-1][2] else float("inf")
    )  # not NaN


def measure(options: argparse.Namespace) -> list[Found]:
    """Tune and run all of them."""
    data = mnist("auto")
    images = (data.train[0].flatten(1) * PIXEL_DEVIATION + PIXEL_MEAN).clamp(0, 1)[: options.images]
    print(f"{data.provenance}; {len(images)} of them, {options.widths}, batches of {options.batch}", flush=True)
    first, *others = METHODS
    run = tuned(first, options.widths, images, options)
    go_on(run, images, options.updates - run.updates, options.look)
    target = run.lowest
    at = next(entry for entry in run.losses if entry[2] == target)
    found = [Found(first, run.setting, at[0], at[1], target, has_reached=True)]
    for method in others:
        run = tuned(method, options.widths, images, options)
        if run.lowest > target:
            go_on(run, images, options.updates - run.updates, options.look, until=target)
        at = next((entry for entry in run.losses if entry[2] <= target), run.losses[-1])
        found.append(Found(method, run.setting, *at, has_reached=at[2] <= target))
        print(table(found), flush=True)
    return found


def table(found: list[Found]) -> str:
    """For people."""
    base = found[0]
    lines = [f"{'method':<20} {'updates':>8} {'of SGD':>7} {'time of SGD':>12} {'loss':>8}  setting"]
    for one in found:
        told = (
            f"{one.updates / base.updates:7.2f} {one.seconds / base.seconds:12.2f}"
            if one.has_reached
            else "not reached".rjust(20)
        )
        lines.append(f"{one.method:<20} {one.updates:>8} {told} {one.loss:8.2f}  {one.setting}")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, measure, print, and record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--updates", type=int, default=1000, help="of SGD, and of the others at most")
    parser.add_argument("--tuning", type=int, default=100, help="updates of each setting's short run")
    parser.add_argument("--look", type=int, default=10, help="updates between two looks at the loss")
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--images", type=int, default=10_000, help="how many training images at most")
    parser.add_argument("--widths", type=int, nargs="+", default=[784, 400, 200, 100, 30])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--record", type=Path, help="write all figures there, as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = measure(options)
    print(table(found))
    if options.record is not None:
        settings = {key: value for key, value in vars(options).items() if key != "record"}
        machine = {"processor": platform.processor() or platform.machine(), "torch": torch.__version__}
        record = {"settings": settings, "machine": machine, "rows": [asdict(one) for one in found]}
        options.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
