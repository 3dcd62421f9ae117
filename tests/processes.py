"""What two processes do together, each with a part of a model or of a batch; run as a program, one of the two.

    python processes.py RANK FOLDER

They meet in a file of the folder, write checkpoints there, and the first writes what both have found.
"""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn

import thalweg as tw
from thalweg.formula import Direction, Update, largest, maximum, rms, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECONDS = 300
"""A time that no run takes: two that wait for each other end then."""
STEPS = 4
Make: TypeAlias = "Callable[[nn.Module], torch.optim.Optimizer]"
Tensors: TypeAlias = list[torch.Tensor]


class Model(nn.Module):
    """Weights that two processes share evenly, unevenly, and so that one has nothing; one of three dimensions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.norm, self.last = (
            *(nn.Linear(6, 7), nn.Linear(7, 4)),
            *(nn.LayerNorm(4), nn.Linear(4, 1)),
        )
        self.stack = nn.Parameter(torch.randn(3, 4, 4) / 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.second(torch.tanh(self.first(x))))
        return self.last(self.norm(torch.einsum("nij,bj->bi", self.stack, x)))


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(16, 6, generator=generator), torch.randn(16, 1, generator=generator)


@rule(title="Own size", source="made up for these tests", learning_rate=0.01)
def own_size(g: Direction) -> Update:
    """As large as others are: by a mean over the model and by a maximum over each tensor."""
    return g / (rms(g, per="model") + largest(maximum(g, -g), per="tensor"))


CHAINS = {
    "adamw": tw.chain(tw.adam(), tw.decay(0.1), tw.step(tw.cosine(0.01, steps=20))),
    "heavy_ball": tw.chain(tw.heavy_ball(), tw.step(0.1), tw.ema()),
    "schedule_free": tw.chain(tw.schedule_free_adamw(), tw.step(0.01)),
    "clip_model": tw.chain(tw.clip(0.1), tw.adam(), tw.step(0.01)),
    "clip_tensor": tw.chain(tw.clip(0.02, per="tensor"), tw.adam(), tw.step(0.01)),
    "own_size": tw.chain(own_size(), tw.step(0.01)),
    "lamb": tw.chain(tw.lamb(), tw.step(0.01)),
    "dog": tw.chain(tw.dog(), tw.step(1.0)),
    "prodigy": tw.chain(tw.prodigy(), tw.step(1.0)),
    "adafactor": tw.chain(tw.adafactor(), tw.step(0.01)),
}
MATRICES = {
    "muon": tw.chain(tw.muon(only="matrix"), tw.adam(skip="matrix"), tw.decay(0.1), tw.step(0.01), tw.ema()),
    "shampoo": tw.chain(tw.clip(0.1), tw.shampoo(only="matrix"), tw.adam(skip="matrix"), tw.step(0.01)),
    "soap": tw.chain(tw.soap(only="matrix"), tw.adam(skip="matrix"), tw.step(0.01)),
}
ROLES = {"first.weight": "matrix", "second.weight": "matrix", "last.weight": "matrix", "stack": "matrix"}
ELEMENTWISE = ("adamw", "heavy_ball", "schedule_free")

KEPT: dict[str, Make] = {
    "AdamW": lambda model: tw.AdamW(model.parameters(), lr=0.01),
    "SGD": lambda model: tw.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "Adafactor": lambda model: tw.Adafactor(model.parameters(), lr=0.01),
    "schedule": lambda model: tw.Optimizer(model, CHAINS["adamw"]),
    "decoupled": lambda model: tw.Optimizer(
        model, tw.chain(tw.adam(), tw.step(tw.cosine(0.01, steps=20)), tw.decoupled_decay(0.1))
    ),
    "prodigy": lambda model: tw.Optimizer(model, CHAINS["prodigy"]),
    "adafactor": lambda model: tw.Optimizer(model, CHAINS["adafactor"]),
    "muon": lambda model: tw.Optimizer(model, MATRICES["muon"], roles=ROLES),
    "narrow states": lambda model: tw.Optimizer(model, CHAINS["adamw"], state_dtype=torch.bfloat16),
}
"""What is saved by two processes, and loaded by one."""
THEIRS: dict[str, Make] = {
    "AdamW": lambda model: torch.optim.AdamW(model.parameters(), lr=0.01),
    "SGD": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "Adafactor": lambda model: torch.optim.Adafactor(model.parameters(), lr=0.01),
}


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = STEPS, part: slice = slice(None)) -> None:
    x, y = batch()
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x[part]) - y[part]).square().mean().backward()
        optimizer.step()


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor with the parts of all processes."""
    full = getattr(tensor, "full_tensor", None)
    return (tensor if full is None else full()).detach().clone()


def parameters(model: nn.Module) -> list[torch.Tensor]:
    return [whole(parameter) for parameter in model.parameters()]


def states(optimizer: torch.optim.Optimizer) -> list[dict[str, torch.Tensor]]:
    return [
        {name: whole(value) for name, value in optimizer.state[parameter].items()}
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]


def spread(mesh: dist.DeviceMesh, *, by_columns: bool = False) -> nn.Module:
    """The model, each process with a part of every parameter."""
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Shard

    def place(parameter: nn.Parameter) -> Shard | None:
        return Shard(parameter.dim() - 1) if by_columns and parameter.shape[-1] % 2 == 0 else None

    model = Model()
    fully_shard(model.first, mesh=mesh, shard_placement_fn=place)
    fully_shard(model, mesh=mesh, shard_placement_fn=place)
    return model


def stepped_in_parts(
    mesh: dist.DeviceMesh,
    chain: tw.Chain,
    *,
    backend: str = "auto",
    by_columns: bool = False,
    roles: dict[str, Any] | None = None,
) -> tuple[Tensors, list[dict[str, torch.Tensor]], dict[str, float]]:
    model = spread(mesh, by_columns=by_columns)
    optimizer = tw.Optimizer(model, chain, backend=backend, roles=roles)
    train(model, optimizer)
    numbers = {name: v for name, v in optimizer.param_groups[0].items() if isinstance(v, float | int)}
    return parameters(model), states(optimizer), numbers


def kinds_of_states(mesh: dist.DeviceMesh) -> list[dict[str, tuple[str, str]]]:
    """How our states lie, and torch's."""
    found = []
    for make in (KEPT["AdamW"], THEIRS["AdamW"]):
        model = spread(mesh)
        optimizer = make(model)
        train(model, optimizer, 1)
        kept = optimizer.state[model.first.weight]
        found.append({name: (type(v).__name__, str(getattr(v, "placements", ""))) for name, v in kept.items()})
    return found


def not_finite(mesh: dist.DeviceMesh, rank: int, chain: tw.Chain, nonfinite: str) -> list[Any]:
    """The second process alone finds a NaN in its part, at the second step."""
    model = spread(mesh)
    optimizer = tw.Optimizer(model, chain, nonfinite=nonfinite)
    train(model, optimizer, 1)
    before = parameters(model)
    x, y = batch()
    (model(x) - y).square().mean().backward()
    if rank == 1:
        model.second.weight.grad.to_local()[0, 0] = float("nan")
    error = ""
    try:
        optimizer.step()
    except tw.errors.NonFiniteGradientError as raised:
        error = str(raised)
    stayed = [torch.equal(a, b) for a, b in zip(before, parameters(model), strict=True)]
    every: list[Any] = [None, None]
    dist.all_gather_object(every, (error, optimizer.skipped, stayed))
    return every


def refused(mesh: dist.DeviceMesh) -> dict[str, str]:
    model = spread(mesh)
    stepped = tw.Optimizer(model, CHAINS["adamw"])
    train(model, stepped, 1)
    tries: dict[str, Callable[[], object]] = {
        "sam": lambda: tw.SAM(model, CHAINS["adamw"]),
        "save": lambda: tw.save(stepped, "never.safetensors"),
        "8 bits": lambda: train(model, tw.Optimizer(model, CHAINS["adamw"], state_dtype="8bit"), 1),
    }
    found = {}
    for name, attempt in tries.items():
        try:
            attempt()
        except tw.errors.ThalwegError as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def matrix_not_finite(mesh: dist.DeviceMesh, rank: int) -> list[Any]:
    """The second process alone finds a number in its part that is too large to be squared."""
    model = spread(mesh)
    optimizer = tw.Optimizer(model, MATRICES["muon"], roles=ROLES, nonfinite="skip")
    train(model, optimizer, 1)
    before = parameters(model)
    if rank == 1:
        model.second.weight.grad.to_local()[0, 0] = float("inf")
    optimizer.step()
    skipped, stayed = optimizer.skipped, [torch.equal(a, b) for a, b in zip(before, parameters(model), strict=True)]
    train(model, optimizer, 1)
    every: list[Any] = [None, None]
    dist.all_gather_object(
        every, (skipped, stayed, [torch.equal(a, b) for a, b in zip(before, parameters(model), strict=True)])
    )
    return every


def copies(mesh: dist.DeviceMesh) -> list[tuple[Tensors, Tensors]]:
    """What a copied optimizer makes of its copied parameters, and what the first makes of its own."""
    found = []
    for chain in (CHAINS["lamb"], MATRICES["muon"]):
        for copied in (copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))):  # noqa: S301  # our own bytes
            model = spread(mesh)
            optimizer = tw.Optimizer(model, chain, roles=ROLES if chain.wholes else None)
            train(model, optimizer, 2)
            other = copied(optimizer)
            own, theirs = (one.param_groups[0]["params"] for one in (optimizer, other))
            for a, b in zip(own, theirs, strict=True):
                b.grad = a.grad.clone()
            optimizer.step()
            other.step()
            found.append(([whole(p) for p in own], [whole(p) for p in theirs]))
    return found


def seen_in_evaluation(mesh: dist.DeviceMesh) -> Tensors:
    model = spread(mesh)
    optimizer = tw.Optimizer(model, CHAINS["heavy_ball"])
    train(model, optimizer)
    with optimizer.evaluating():
        return parameters(model)


def saved(mesh: dist.DeviceMesh, make: Make, folder: Path) -> tuple[Tensors, Tensors]:
    """Saves after two steps, goes on; and resumes, in parts again."""
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

    model = spread(mesh)
    optimizer = make(model)
    train(model, optimizer, 2)
    entries = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
    dcp.save(entries, checkpoint_id=folder)
    train(model, optimizer, 2)
    again = spread(mesh)
    resumed = make(again)
    entries = dict(zip(("model", "optimizer"), get_state_dict(again, resumed), strict=True))
    dcp.load(entries, checkpoint_id=folder)
    set_state_dict(again, resumed, model_state_dict=entries["model"], optim_state_dict=entries["optimizer"])
    train(again, resumed, 2)
    return parameters(model), parameters(again)


def loaded_whole(mesh: dist.DeviceMesh, folder: Path) -> Tensors:
    """What one process has saved in a file, two go on from."""
    model = spread(mesh)
    optimizer = tw.Optimizer(model, CHAINS["adafactor"])
    entries = torch.load(folder / "model.pt")
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    set_model_state_dict(model, entries, options=StateDictOptions(full_state_dict=True))
    tw.load(optimizer, folder / "optimizer.safetensors")
    train(model, optimizer, 2)
    return parameters(model)


def replicated(mesh: dist.DeviceMesh) -> torch.Tensor:
    """A parameter that is whole on each process, and whose gradient is a sum over them."""
    from torch.distributed.tensor import DTensor, Partial, Replicate, distribute_tensor

    parameter = nn.Parameter(distribute_tensor(torch.arange(6.0).reshape(2, 3), mesh, [Replicate()]))
    optimizer = tw.Optimizer([parameter], tw.chain(tw.muon(), tw.step(0.1)))
    for _ in range(3):
        parameter.grad = DTensor.from_local(torch.tensor([[1.0, 2, 3], [4, 5, 7]]), mesh, [Partial()])
        optimizer.step()
    return whole(parameter)


def drawn(mesh: dist.DeviceMesh) -> torch.Tensor:
    """Halfway between two numbers of bfloat16, rounded at random, each process its part."""
    from torch.distributed.tensor import Shard, distribute_tensor

    ones = torch.ones(2, 4096, dtype=torch.bfloat16)
    parameter = nn.Parameter(distribute_tensor(ones, mesh, [Shard(0)]))
    parameter.grad = distribute_tensor(ones * -(2.0**-8), mesh, [Shard(0)])
    tw.Optimizer([parameter], tw.chain(tw.gradient_descent(), tw.step(1.0), tw.stochastic_rounding())).step()
    return whole(parameter)


def with_ddp(make: Make, rank: int, **options: bool) -> Tensors:
    model = nn.parallel.DistributedDataParallel(Model(), **options)
    train(model, make(model), part=slice(8 * rank, 8 * rank + 8))
    return parameters(model)


IRPROP_PLUS = tw.chain(tw.rprop(delta0=0.01, form="irprop+"))


def with_losses(rank: int) -> Tensors:
    """Each process knows the loss of its half of the batch."""
    model = nn.parallel.DistributedDataParallel(Model())
    train_by_loss(model, tw.Optimizer(model, IRPROP_PLUS), slice(8 * rank, 8 * rank + 8))
    return parameters(model)


def train_by_loss(model: nn.Module, optimizer: torch.optim.Optimizer, part: slice = slice(None)) -> None:
    x, y = batch()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (model(x[part]) - y[part]).square().mean()
        loss.backward()
        return loss

    for _ in range(12):
        optimizer.step(closure)


CURVED = {
    "sophia": tw.chain(tw.sophia(), tw.step(0.01)),
    "esgd": tw.chain(tw.esgd(damping=0.1), tw.step(0.01)),
}


def with_curvature(rank: int, chain: tw.Chain) -> Tensors:
    """Each process estimates by its half of the batch."""
    model = nn.parallel.DistributedDataParallel(Model())
    train_by_curvature(model, tw.Optimizer(model, chain), slice(8 * rank, 8 * rank + 8))
    return parameters(model)


def train_by_curvature(model: nn.Module, optimizer: tw.Optimizer, part: slice = slice(None)) -> None:
    x, y = batch()
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = (model(x[part]) - y[part]).square().mean()
        optimizer.estimate_curvature(loss, now=step % 2 == 0)
        loss.backward()
        optimizer.step()


def curved_in_parts(mesh: dist.DeviceMesh) -> tuple[Tensors, str, int]:
    """Parts of estimates for parts of parameters; one that has a NaN on the second process is left out by both."""
    model = spread(mesh)
    optimizer = tw.Optimizer(model, CURVED["sophia"], nonfinite="skip")
    x, y = batch()
    for _ in range(STEPS):
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.take_curvature([parameter.grad for parameter in model.parameters()])
        optimizer.step()
    moved, error = parameters(model), ""
    try:
        optimizer.estimate_curvature(torch.ones((), requires_grad=True), now=True)
    except tw.errors.CurvatureError as raised:
        error = str(raised)
    broken = [parameter.grad.clone() for parameter in model.parameters()]
    if dist.get_rank() == 1:
        broken[0].to_local().fill_(float("nan"))
    optimizer.take_curvature(broken)
    return moved, error, 0 if optimizer._estimates is None else 1


def with_zero_redundancy(rank: int) -> tuple[Tensors, int]:
    from torch.distributed.optim import ZeroRedundancyOptimizer

    model = nn.parallel.DistributedDataParallel(Model())
    optimizer = ZeroRedundancyOptimizer(model.parameters(), optimizer_class=tw.AdamW, lr=0.01)
    train(model, optimizer, part=slice(8 * rank, 8 * rank + 8))
    return parameters(model), len(optimizer.optim.state)


def everything(rank: int, folder: Path) -> dict[str, Any]:
    mesh = dist.device_mesh.init_device_mesh("cpu", (2,))
    both = dist.device_mesh.init_device_mesh("cpu", (1, 2), mesh_dim_names=("replicate", "shard"))
    clip, ema = CHAINS["clip_model"], CHAINS["adamw"]
    return {
        "parts": {name: stepped_in_parts(mesh, chain) for name, chain in CHAINS.items()},
        "columns": {name: stepped_in_parts(mesh, CHAINS[name], by_columns=True) for name in ("lamb", "adafactor")},
        "hybrid": {"lamb": stepped_in_parts(both, CHAINS["lamb"])},
        "reference": {"adafactor": stepped_in_parts(mesh, CHAINS["adafactor"], backend="reference")},
        "matrices": {
            (how, name): stepped_in_parts(where, chain, by_columns=how == "columns", roles=ROLES)
            for how, where in (("parts", mesh), ("columns", mesh), ("hybrid", both))
            for name, chain in MATRICES.items()
            if how == "parts" or name == "muon"
        },
        "matrix not finite": matrix_not_finite(mesh, rank),
        "copies": copies(mesh),
        "kinds": kinds_of_states(mesh),
        "not finite": {
            (name, how): not_finite(mesh, rank, chain, how)
            for name, chain in (("one pass", ema), ("two passes", clip))
            for how in ("raise", "skip")
        },
        "refused": refused(mesh),
        "evaluation": seen_in_evaluation(mesh),
        "saved": {name: saved(mesh, make, folder / name) for name, make in KEPT.items()},
        "saved by torch": {
            name: saved(mesh, make, folder / f"torch {name}") for name, make in THEIRS.items() if name != "Adafactor"
        },
        "loaded": loaded_whole(mesh, folder),
        "replicated": replicated(mesh),
        "drawn": drawn(mesh),
        "ddp": [
            with_ddp(lambda model: tw.Optimizer(model, clip), rank, **options)
            for options in ({}, {"gradient_as_bucket_view": True, "static_graph": True})
        ],
        "losses": with_losses(rank),
        "curvature": {name: with_curvature(rank, chain) for name, chain in CURVED.items()},
        "curved parts": curved_in_parts(mesh),
        "zero": with_zero_redundancy(rank),
    }


def run_on_two(folder: Path) -> None:
    """Start both; what they have found stands in `found.pt`."""
    command: Sequence[str] = (sys.executable, __file__)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen([*command, str(rank), str(folder)], env=environment, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        said = [one.communicate(timeout=SECONDS)[1] for one in both]
    finally:
        for one in both:
            one.kill()
    assert [one.returncode for one in both] == [0, 0], "\n".join(said)


if __name__ == "__main__":
    own, place = int(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{place}/meeting", rank=own, world_size=2)
    results = everything(own, place)
    if own == 0:
        torch.save(results, place / "found.pt")
    dist.destroy_process_group()
    os._exit(0)  # as Python ends, torch now and then aborts: "terminate called"; a mesh still holds threads of gloo
