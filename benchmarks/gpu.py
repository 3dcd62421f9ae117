"""What a GPU makes of the Triton kernels: speed beside a copy and torch, the host's time, and whether they are right.

    python benchmarks/gpu.py [--parameters 1e9] [--tensors 300] [--rules adam lion] [--record FILE.json]

Every rule that needs no sums takes turns with a copy on the device and with torch's fused AdamW, on the GPU's own
clock. The record is written anew after every measurement, so that what was measured is kept if a run is broken off.
`--device cpu` runs the same in Triton's interpreter: to try the command, not to measure anything.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import traceback
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import thalweg as tw
from thalweg import rules
from thalweg.errors import NonFiniteGradientError, ThalwegError
from thalweg.kernels import plan
from thalweg.lab.bench import spread
from thalweg.lab.bench.measure import RATE, chain_of
from thalweg.lab.bench.turns import Contender, stopwatch_for, take_turns
from thalweg.lab.machine import describe_machine, describe_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

ARRAYS = 12
"""For how many arrays of all parameters there must be room: a rule's, and those of torch's AdamW beside it."""
COPIED = 2**30
"""The bytes of the array that is copied, if memory allows."""
TOLERANCE = 1e-6
"""How far we may be from torch in single precision, as a part of the largest parameter."""
SMALL = (300, 1000)
"""The tensors that the host's time is measured with: so small that a GPU has nothing to do."""


class Run:
    """One run of the command: its settings, and the record that grows."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen = chosen
        self.device: str = chosen.device
        self.ends = time.monotonic() + 60 * chosen.minutes
        self.record: dict[str, Any] = {
            "date": time.strftime("%Y-%m-%d"),
            "device": torch.cuda.get_device_name() if self.device == "cuda" else "cpu, Triton's interpreter",
            "machine": describe_machine(),
            "versions": {**describe_versions(), "triton": version("triton"), "cuda": torch.version.cuda},
            "failed": [],
        }

    def keep(self, name: str, measure: Callable[[], Any]) -> None:
        """Measure, print and write; what fails is written, too, and the run goes on."""
        if time.monotonic() > self.ends:
            self.record.setdefault("no_time_for", []).append(name)
        else:
            try:
                self.record[name] = measure()
            except Exception as error:  # noqa: BLE001  # whatever it is, the rest is worth having
                traceback.print_exc()
                self.record[name] = {"error": f"{type(error).__name__}: {error}"}
                self.record["failed"].append(name)
            print(f"{name}: {json.dumps(self.record[name])}", flush=True)
        if self.chosen.record:
            self.chosen.record.write_text(json.dumps(self.record, indent=2) + "\n", encoding="utf-8")

    def check(self, name: str, measure: Callable[[], dict[str, Any]]) -> None:
        """The same for a check, which says `right`."""
        self.keep(name, measure)
        if self.record.get(name, {}).get("right") is False:
            self.record["failed"].append(name)

    def optimizer(self, params: Any, chain: tw.Chain, **settings: Any) -> tw.Optimizer:  # noqa: ANN401  # as torch takes them
        """Our optimizer, on the kernels that are measured."""
        return tw.Optimizer(params, chain, backend="triton", **settings)

    def draw(self, sizes: Sequence[int], seed: int = 0) -> list[Tensor]:
        """Tensors of these sizes."""
        random = torch.Generator(self.device).manual_seed(seed)
        return [torch.randn(size, generator=random, device=self.device) for size in sizes]

    def parameters(self, sizes: Sequence[int], gradients: Sequence[Tensor]) -> list[torch.nn.Parameter]:
        """Parameters with these gradients, which all share."""
        made = [torch.nn.Parameter(value) for value in self.draw(sizes)]
        for parameter, gradient in zip(made, gradients, strict=True):
            parameter.grad = gradient
        return made


def sizes_of(run: Run) -> list[int]:
    """The sizes of the tensors: a third are as small as biases are, the others share what is left."""
    wanted, count = int(run.chosen.parameters), run.chosen.tensors
    if run.device == "cuda":
        wanted = min(wanted, torch.cuda.mem_get_info()[0] // (4 * ARRAYS))
    small = count // 3
    each = max(wanted // count // 1000, 1)
    return [each] * small + [(wanted - each * small) // (count - small)] * (count - small)


def measure_rules(run: Run) -> None:
    """Every rule that needs no sums, beside a copy and torch's fused AdamW."""
    sizes = sizes_of(run)
    total = sum(sizes)
    gradients = run.draw(sizes, seed=1)
    copied = min(COPIED // 4, total)
    source, target = (torch.randn(copied, device=run.device) for _ in range(2))
    clock = stopwatch_for(run.device)
    copy = Contender("copy", "b.copy_(a)", lambda: target.copy_(source), clock)
    fused = torch.optim.AdamW(run.parameters(sizes, gradients), lr=RATE, fused=True)
    theirs = Contender("torch fused AdamW", "torch.optim.AdamW(fused=True)", fused.step, clock)
    run.keep("parameters", lambda: {"all": total, "tensors": len(sizes), "bytes_copied": 8 * copied})

    def measure(rule: str) -> dict[str, Any]:
        chain = chain_of(rule, None if rules.get(rule).learning_rate is None else RATE)
        planned = plan(chain.trace())
        if planned.levels:
            return {"skipped": "needs sums"}
        parameters = run.parameters(sizes, gradients)
        start = time.perf_counter()
        try:
            optimizer = run.optimizer(parameters, chain)
            optimizer.step()
            optimizer.wait()
        except ThalwegError as error:  # a rule that needs more than a gradient
            return {"skipped": str(error)}
        first = time.perf_counter() - start
        times, copies, others = take_turns(
            [Contender(rule, repr(chain), optimizer.step, clock), copy, theirs], rounds=run.chosen.rounds
        )
        speed = [8 * copied / seconds for seconds in copies]
        moved = planned.bytes_per_parameter() * total
        return {
            "seconds": asdict(spread(times)),
            "bytes_per_parameter": planned.bytes_per_parameter(),
            "bytes_per_second_of_a_copy": asdict(spread(speed)),
            "share_of_a_copy": asdict(spread([moved / t / s for t, s in zip(times, speed, strict=True)])),
            "over_torch_fused_adamw": asdict(spread([t / o for t, o in zip(times, others, strict=True)])),
            "seconds_of_first_step": first,
        }

    for rule in run.chosen.rules or rules.catalogue():
        run.keep(rule, lambda rule=rule: measure(rule))


def host_time(run: Run) -> dict[str, Any]:
    """Microseconds of the host a step, from call to return, for tensors that give a GPU nothing to do."""
    count, size = SMALL if run.device == "cuda" else (3, 10)
    calls, rounds = (50, 20) if run.device == "cuda" else (2, 2)
    gradients = run.draw([size] * count, seed=1)
    chain = tw.chain(tw.adam(), tw.step(RATE))
    made: dict[str, Any] = {
        "adam": run.optimizer(run.parameters([size] * count, gradients), chain),
        "adam, capturable": run.optimizer(run.parameters([size] * count, gradients), chain, capturable=True),
        "torch fused Adam": torch.optim.Adam(run.parameters([size] * count, gradients), lr=RATE, fused=True),
    }
    taken: dict[str, list[float]] = {name: [] for name in made}
    for turn in range(rounds + 1):
        for name, optimizer in made.items():
            synchronize(run)
            start = time.perf_counter()
            for _ in range(calls):
                optimizer.step()
            if turn:  # the first is to warm up
                taken[name].append((time.perf_counter() - start) / calls * 1e6)
    synchronize(run)
    return {"tensors": count, "microseconds": {name: asdict(spread(times)) for name, times in taken.items()}}


def graph(run: Run, *, sums: bool = False) -> dict[str, Any]:
    """A captured step, replayed with other gradients and rates, beside torch's Adam; with `sums`, clipped by norm."""
    if run.device != "cuda":
        return {"skipped": "needs a GPU"}
    sizes = [5, 600, 70_000]
    gradients, rate = run.draw(sizes, seed=1), torch.tensor(0.1, device=run.device)
    ours, theirs = (run.parameters(sizes, gradients) for _ in range(2))
    chain = tw.chain(*([tw.clip(1.0)] if sums else []), tw.adam(), tw.step(0.1))
    optimizer = run.optimizer([{"params": ours, "lr": rate}], chain, capturable=True)
    other = run.optimizer(theirs, chain) if sums else torch.optim.Adam(theirs, lr=0.1)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        optimizer.step()
        other.step()
    torch.cuda.current_stream().wait_stream(side)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        optimizer.step()
    for k in range(10):
        for gradient, new in zip(gradients, run.draw(sizes, seed=2 + k), strict=True):
            gradient.copy_(new)
        rate.fill_(0.1 / (k + 1))
        other.param_groups[0]["lr"] = 0.1 / (k + 1)
        captured.replay()
        other.step()
    return agreement(ours, theirs, optimizer, steps=11)


def scaler(run: Run) -> dict[str, Any]:
    """`torch.amp.GradScaler` with two steps of ten that overflow, beside torch's AdamW."""
    sizes = [5, 600]
    ours, theirs = (run.parameters(sizes, run.draw(sizes, seed=1)) for _ in range(2))
    chain = tw.chain(tw.adam(), tw.decay(0.1), tw.step(0.01))
    optimizer = run.optimizer(ours, chain, capturable=True)
    for some, each in ((ours, optimizer), (theirs, torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1))):
        scaling = torch.amp.GradScaler(run.device, init_scale=2.0**8, growth_interval=3)
        for k in range(10):
            each.zero_grad()
            loss = torch.stack([((t - 0.1 * k) ** 2).sum() for t in some]).sum()
            scaling.scale(loss * (float("inf") if k in (2, 3) else 1.0)).backward()
            scaling.step(each)
            scaling.update()
    return agreement(ours, theirs, optimizer, steps=8)


def late_news(run: Run) -> dict[str, Any]:
    """A gradient that is not finite: its elements stay, and who asks is told."""
    (parameter,) = run.parameters([1000], [torch.ones(1000, device=run.device)])
    optimizer = run.optimizer([parameter], tw.chain(tw.adam(), tw.step(0.1)))
    before = parameter.detach().clone()
    parameter.grad[7] = float("nan")  # pyright: ignore[reportOptionalSubscript]
    told = False
    try:
        optimizer.step()
        optimizer.wait()
    except NonFiniteGradientError:
        told = True
    stayed = (parameter == before).nonzero().flatten().tolist()
    return {"right": told and stayed == [7], "told": told, "stayed": stayed}


def agreement(
    ours: Sequence[Tensor], theirs: Sequence[Tensor], optimizer: tw.Optimizer, *, steps: int
) -> dict[str, Any]:
    """How far two runs are apart, and how many steps ours has counted."""
    scale = max(float(tensor.detach().abs().max()) for tensor in theirs)
    apart = max(float((a - b).detach().abs().max()) for a, b in zip(ours, theirs, strict=True)) / scale
    counted = {float(state["step"]) for state in optimizer.state_dict()["state"].values()}
    return {"right": apart <= TOLERANCE and counted == {steps}, "apart": apart, "steps": sorted(counted)}


def synchronize(run: Run) -> None:
    """Wait for the GPU."""
    if run.device == "cuda":
        torch.cuda.synchronize()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and keep it if asked to; 1 if something was wrong."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--parameters", type=float, default=1e9, help="how many; fewer if there is no room")
    reader.add_argument("--tensors", type=int, default=300)
    reader.add_argument("--rules", nargs="*", choices=list(rules.catalogue()), default=[], metavar="RULE")
    reader.add_argument("--rounds", type=int, default=10)
    reader.add_argument("--minutes", type=float, default=7, help="after which nothing new is begun")
    reader.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    reader.add_argument("--record", type=Path)
    chosen = reader.parse_args(arguments)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        reader.error("there is no GPU; `--device cpu --parameters 3000 --tensors 6` tries the command without one")
    run = Run(chosen)
    run.check("graph", lambda: graph(run))
    run.check("graph_with_sums", lambda: graph(run, sums=True))
    run.check("scaler", lambda: scaler(run))
    run.check("late_news", lambda: late_news(run))
    run.keep("host", lambda: host_time(run))
    measure_rules(run)
    shares = [
        row["share_of_a_copy"]["median"]
        for row in run.record.values()
        if isinstance(row, dict) and "share_of_a_copy" in row
    ]
    if shares:
        print(f"{len(shares)} rules: median share of a copy {statistics.median(shares):.2f}, lowest {min(shares):.2f}")
    print(f"failed: {', '.join(run.record['failed']) or 'nothing'}")
    return bool(run.record["failed"])


if __name__ == "__main__":
    raise SystemExit(main())
