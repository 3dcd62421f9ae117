"""Measures rule after rule at every size, and tells how far it is."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeAlias

import torch

from thalweg import rules
from thalweg.chain import chain, step
from thalweg.errors import RaceError, ThalwegError
from thalweg.kernels import plan
from thalweg.lab.bench.bandwidth import Probe
from thalweg.lab.bench.company import Company
from thalweg.lab.bench.model import Model, check_memory
from thalweg.lab.bench.optax_side import optaxs
from thalweg.lab.bench.records import BenchRecord, Opposed, Row, Skipped, spread
from thalweg.lab.bench.torch_side import ours, torchs
from thalweg.lab.bench.turns import take_turns
from thalweg.lab.bench.twins import twin_of
from thalweg.lab.clock import now
from thalweg.lab.machine import describe_machine, describe_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from thalweg.chain import Chain
    from thalweg.lab.bench.settings import Bench, Size
    from thalweg.lab.bench.turns import Contender
    from thalweg.lab.bench.twins import Twin
    from thalweg.lab.records import Json

RATE = 1e-12
"""The learning rate: so small that ten thousand steps along one gradient lead nowhere, where numbers might overflow."""
IN_MEMORY = 2
"""A model whose arrays are together this many times the last cache is read from memory at every step."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is measured next: a rule at a size, or, where those are None, the memory. `remaining` is seconds."""

    rule: str | None
    size: Size | None
    done: int
    total: int
    remaining: float | None


Listener: TypeAlias = "Callable[[Progress], None]"


def run_bench(bench: Bench, *, command: str = "", progress: Listener = lambda _: None) -> BenchRecord:
    """Measure what the bench asks for. `command` is what the record says it was called with.

    Raises `RaceError` if the models do not fit the memory, or if no rule at all can be stepped here.
    """
    created = now()
    tasks = [(rule, size) for rule in bench.measured_rules for size in bench.sizes]
    rows: list[Row] = []
    skipped: dict[str, Skipped] = {}
    with _threads(bench.threads):
        check_memory(bench.sizes, itemsize=_itemsize(bench), device=bench.device)
        progress(Progress(rule=None, size=None, done=0, total=len(tasks), remaining=None))
        probe = Probe(bench.device, rounds=bench.rounds)
        models = {size: Model(size, dtype=bench.dtype, device=bench.device) for size in bench.sizes}
        begun, company = time.monotonic(), Company()
        for done, (rule, size) in enumerate(tasks):
            remaining = (time.monotonic() - begun) / done * (len(tasks) - done) if done else None
            progress(Progress(rule=rule, size=size, done=done, total=len(tasks), remaining=remaining))
            if rule in skipped:
                continue
            try:
                rows.append(_measure(rule, models[size], bench, probe))
            except ThalwegError as error:  # a rule that needs more than a gradient, or that no kernel here can step
                skipped[rule] = Skipped(rule=rule, why=str(error))
        if not rows:
            raise RaceError("nothing could be measured: " + "; ".join(f"`{s.rule}`: {s.why}" for s in skipped.values()))
        return BenchRecord(
            created=created,
            command=command,
            machine=describe_machine(),
            versions=_versions(bench),
            device=torch.cuda.get_device_name() if bench.device == "cuda" else "cpu",
            threads=torch.get_num_threads(),
            dtype=bench.dtype,
            busy_cores=company.cores(),
            bandwidth=probe.record(),
            rows=tuple(rows),
            skipped=tuple(skipped.values()),
        )


def chain_of(rule: str, rate: float | None) -> Chain:
    """What is measured of a rule: with its twin's settings, and with a learning rate where it descends by one."""
    stage = rules.get(rule)().replace(twin_of(rule, rate).settings)
    return chain(stage) if rate is None else chain(stage, step(rate))


def _measure(rule: str, model: Model, bench: Bench, probe: Probe) -> Row:
    """One row: our step, and in the same rounds its twins' and, where the model is read from memory, the memory."""
    rate = None if rules.get(rule).learning_rate is None else RATE
    chain = chain_of(rule, rate)
    planned = plan(chain.trace(is_matrix=len(model.size.shape) > 1, estimated=False))
    moved = planned.bytes_per_parameter(_itemsize(bench))
    total = moved * model.size.elements
    held = len(planned.slots) * _itemsize(bench) * model.size.elements
    mine = ours(chain, model)
    twins = _twins(twin_of(rule, rate), model, bench)
    memory = [probe.contender] if held > IN_MEMORY * probe.cache_bytes else []
    times, *others = take_turns([mine, *twins, *memory], rounds=bench.rounds)
    taken = spread(times)
    share = None
    if memory:
        speeds = probe.speeds(others.pop())
        share = spread([total / seconds / speed for seconds, speed in zip(times, speeds, strict=True)])
    return Row(
        rule=rule,
        title=rules.get(rule).title,
        chain=mine.call,
        size=model.size,
        seconds=taken,
        nanoseconds_per_parameter=taken.median * 1e9 / model.size.elements,
        bytes_per_parameter=moved,
        bytes_per_second=total / taken.median,
        share_of_bandwidth=share,
        against=tuple(_oppose(times, theirs, contender) for contender, theirs in zip(twins, others, strict=True)),
        rounds=tuple(times),
    )


def _oppose(ours: Sequence[float], theirs: Sequence[float], contender: Contender) -> Opposed:
    ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
    return Opposed(
        name=contender.name,
        call=contender.call,
        seconds=spread(theirs),
        ratio=spread(ratios),
        rounds=tuple(theirs),
    )


def _twins(twin: Twin, model: Model, bench: Bench) -> list[Contender]:
    found: list[Contender] = []
    if twin.torch is not None and "torch" in bench.opponents:
        found += torchs(twin.torch, model)
    if twin.optax is not None and "optax" in bench.opponents:
        found += optaxs(twin.optax, model)
    return found


def _itemsize(bench: Bench) -> int:
    dtype: torch.dtype = getattr(torch, bench.dtype)
    return dtype.itemsize


def _versions(bench: Bench) -> Mapping[str, Json]:
    others = ("jax", "optax") if "optax" in bench.opponents else ()
    return describe_versions() | {name: version(name) for name in others}


@contextlib.contextmanager
def _threads(count: int | None) -> Generator[None]:
    """That many threads of torch's, on which our kernels run too, until the block ends."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
