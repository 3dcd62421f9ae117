"""What a function and a Hessian product cost in gradient evaluations: `python benchmarks/currency.py`.

Each is timed in turns with the others, on one thread, and its median divided by that of a gradient with its value. The
race's currency is rounded from these: src/thalweg/lab/spending.py, docs/decisions/0012.
"""

from __future__ import annotations

import statistics
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

PIXELS = 784
AUTOENCODER = (PIXELS, 64, 32, 16, 32, 64, PIXELS)
CASES = {
    "softmax regression, 5,000 images": ((PIXELS, 10), 5_000),
    "two-layer network, 64 images": ((PIXELS, 128, 10), 64),
    "two-layer network, 5,000 images": ((PIXELS, 128, 10), 5_000),
    "autoencoder, 1,000 images": (AUTOENCODER, 1_000),
    "autoencoder, 5,000 images": (AUTOENCODER, 5_000),
}
TURNS = 15


def measure(widths: tuple[int, ...], count: int) -> dict[str, float]:
    """The medians of the ratios' parts in seconds, by what was computed."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.Sigmoid()]
    model = nn.Sequential(*layers[:-1])
    parameters, vectors = list(model.parameters()), [torch.randn_like(p) for p in model.parameters()]
    inputs, labels = torch.rand(count, PIXELS), torch.randint(10, (count,))

    def loss() -> Tensor:
        outputs = model(inputs)
        if widths[-1] == PIXELS:
            return F.binary_cross_entropy_with_logits(outputs, inputs)
        return F.cross_entropy(outputs, labels)

    gradient = torch.autograd.grad(loss(), parameters, create_graph=True)
    work: dict[str, Callable[[], object]] = {
        "gradient": lambda: torch.autograd.grad(loss(), parameters),
        "function": loss,
        "product": lambda: torch.autograd.grad(gradient, parameters, vectors, retain_graph=True),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(TURNS):
        for name, compute in work.items():
            begin = time.perf_counter()
            compute()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def main() -> None:
    """Print a line for each case."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"{'':36}{'gradient':>12}{'function':>10}{'product':>10}")
    for name, (widths, count) in CASES.items():
        taken = measure(widths, count)
        ratios = [f"{taken[what] / taken['gradient']:10.2f}" for what in ("function", "product")]
        print(f"{name:36}{1e3 * taken['gradient']:9.2f} ms{''.join(ratios)}")


if __name__ == "__main__":
    main()
