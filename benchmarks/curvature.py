"""What products with the curvature cost, in gradients, and against curvlinops where it is installed.

    python benchmarks/curvature.py [--threads 1] [--rounds 15] [--device cpu]

A gradient is the loss forward and backward. With one thread, processor time is taken, which others on the machine do
not lengthen much; else the wall clock's. Each figure is a ratio of medians of rounds in which all take turns, with
the range of the rounds' own ratios. "Kept" is one product more where the graph stands, "fresh" one from nothing.
`pip install curvlinops-for-pytorch` adds the second table; nothing else needs it.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import statistics
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from thalweg import curvature

if TYPE_CHECKING:
    from collections.abc import Callable

    Problem = tuple[nn.Module, Tensor, Tensor]

TARGETS = {"Hessian, kept": 2.0, "Hessian, fresh": 3.0}


def mlp(rows: int = 512) -> Problem:
    """784-512-512-512-10."""
    layers = [nn.Linear(784, 512), nn.Tanh(), nn.Linear(512, 512), nn.Tanh(), nn.Linear(512, 512), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(512, 10)), torch.randn(rows, 784), torch.randint(0, 10, (rows,))


def convolutional(rows: int = 256) -> Problem:
    """Three convolutions and two linear layers, on images of 28 × 28."""
    first = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
    then = [
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(32 * 49, 64),
        nn.ReLU(),
    ]
    return nn.Sequential(*first, *then, nn.Linear(64, 10)), torch.randn(rows, 1, 28, 28), torch.randint(0, 10, (rows,))


def small(rows: int = 1000) -> Problem:
    """10-20-4: what Python costs."""
    model = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 4))
    return model, torch.randn(rows, 10), torch.randint(0, 4, (rows,))


def in_turn(functions: dict[str, Callable[[], object]], rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds a call, round by round."""
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 3):
        for name, function in functions.items():
            _wait(device)
            start = clock()
            function()
            _wait(device)
            if turn >= 3:
                taken[name].append(clock() - start)
    return taken


def cost_in_gradients(problem: Problem, device: str) -> dict[str, Callable[[], object]]:
    """A gradient, and products of both kinds on a kept and on a fresh graph."""
    model, x, y = (part.to(device) for part in problem)
    parameters = list(model.parameters())
    v = torch.randn(sum(p.numel() for p in parameters), device=device)

    def products() -> curvature.Products:
        outputs = model(x)
        return curvature.Products(functional.cross_entropy(outputs, y), parameters, outputs)

    kept = products()
    return {
        "gradient": lambda: torch.autograd.grad(functional.cross_entropy(model(x), y), parameters),
        "Hessian, kept": lambda: kept.hessian(v),
        "Hessian, fresh": lambda: products().hessian(v),
        "Gauss–Newton, kept": lambda: kept.gauss_newton(v),
        "Gauss–Newton, fresh": lambda: products().gauss_newton(v),
    }


def against_curvlinops(problem: Problem, device: str, columns: int) -> dict[str, dict[str, Callable[[], object]]]:
    """The same product by both, over a data set in four batches; their numbers are compared first."""
    import curvlinops  # noqa: PLC0415 (it need not be there)

    model, x, y = (part.to(device) for part in problem)
    parameters = list(model.parameters())
    data = list(zip(x.chunk(4), y.chunk(4), strict=True))
    loss = nn.CrossEntropyLoss()
    theirs: dict[str, Any] = {
        "Hessian": curvlinops.HessianLinearOperator,
        "Gauss–Newton": curvlinops.GGNLinearOperator,
        "empirical Fisher": curvlinops.EFLinearOperator,
    }
    ours = {
        "Hessian": curvature.hessian,
        "Gauss–Newton": curvature.gauss_newton,
        "empirical Fisher": curvature.empirical_fisher,
    }
    found: dict[str, dict[str, Callable[[], object]]] = {}
    for name, make in theirs.items():
        A, B = ours[name](model, loss, data), make(model, loss, parameters, data, check_deterministic=False)
        V = torch.randn(A.size, columns, device=device).squeeze(1)
        gap = float((A @ V - B @ V).abs().max() / (A @ V).abs().max())
        found[f"{name} (they differ by {gap:.0e})"] = {"ours": lambda A=A, V=V: A @ V, "theirs": lambda B=B, V=V: B @ V}
    return found


def main() -> None:
    """Measure and print."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--threads", type=int, default=1)
    reader.add_argument("--rounds", type=int, default=15)
    reader.add_argument("--device", default="cpu")
    chosen = reader.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    print(f"{platform.machine()}, {chosen.threads} threads, {chosen.device}; torch {torch.__version__}")
    for make in (mlp, convolutional):
        taken = in_turn(cost_in_gradients(make(), chosen.device), chosen.rounds, chosen.device)
        gradient = taken.pop("gradient")
        print(f"\n{make.__name__}: a gradient takes {statistics.median(gradient) * 1e3:.1f} ms")
        for name, times in taken.items():
            _row(name, times, gradient, "gradients", TARGETS.get(name))
    if importlib.util.find_spec("curvlinops") is None:
        print("\ncurvlinops is not installed, and is not compared with")
        return
    for make, columns in ((mlp, 1), (convolutional, 1), (convolutional, 8), (small, 1), (small, 64)):
        print(f"\n{make.__name__}, data in 4 batches, {columns} column{'s' if columns > 1 else ''} at once")
        for name, pair in against_curvlinops(make(), chosen.device, columns).items():
            taken = in_turn(pair, chosen.rounds, chosen.device)
            _row(name, taken["ours"], taken["theirs"], "× curvlinops", None)


def _row(name: str, times: list[float], others: list[float], unit: str, target: float | None) -> None:
    ratios = [a / b for a, b in zip(times, others, strict=True)]
    value = statistics.median(times) / statistics.median(others)
    reach = "" if target is None else f" target {target:g} {'reached' if value <= target else 'MISSED'}"
    print(f"  {name:<45} {value:6.2f} {unit} [{min(ratios):.2f}, {max(ratios):.2f}]{reach}")


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
