"""Chains with sums whose steps the device counts: what comes between passes is computed there, and nobody waits."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.amp import GradScaler

import thalweg as tw
from descents import give_gradients, parameters
from graphs import Graph
from thalweg.errors import NonFiniteGradientError
from tolerances import BACKENDS, deviation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

SHAPES = ((3, 4), (), (600,), (2, 5))
PLAIN: dict[str, Any] = {"backend": "reference"}
COUNTED: dict[str, Any] = {"backend": "triton", "capturable": True}
CHAINS = {
    "clip": tw.chain(tw.clip(0.5), tw.adam(), tw.step(0.1)),
    "two clips": tw.chain(tw.clip(0.5, per="tensor"), tw.clip(0.3), tw.adam(), tw.decay(0.1), tw.step(0.1)),
    "lamb": tw.chain(tw.lamb(), tw.step(0.1)),
    "adafactor": tw.chain(tw.adafactor(), tw.step(0.1)),
    "dog": tw.chain(tw.dog(), tw.step(1.0)),
    "prodigy": tw.chain(tw.prodigy(), tw.step(1.0)),
    "schedule-free": tw.chain(tw.schedule_free_adamw(), tw.step(0.1)),
    "nadam": tw.chain(tw.nadam(), tw.step(0.1)),
}
every_chain = pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)


def in_groups(tensors: Sequence[Tensor], chain: tw.Chain, **settings: Any) -> tw.Optimizer:
    return tw.Optimizer([{"params": tensors[:2]}, {"params": tensors[2:], "lr": 0.05}], chain, **settings)


def arrived(optimizer: tw.Optimizer) -> list[Tensor]:
    """Parameters, states, step counts, and the numbers in the groups."""
    saved = optimizer.state_dict()
    tensors = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states = [saved["state"][place][name] for place in sorted(saved["state"]) for name in sorted(saved["state"][place])]
    numbers = [
        torch.tensor(float(value))
        for group in saved["param_groups"]
        for name, value in sorted(group.items())
        if isinstance(value, int | float) and math.isfinite(value)
    ]
    return [*tensors, *states, *numbers]


@every_chain
def test_the_numbers_are_those_of_the_host(chain: tw.Chain) -> None:
    reached = []
    for settings in (COUNTED, PLAIN):
        tensors = parameters(SHAPES, torch.float64)
        optimizer = in_groups(tensors, chain, **settings)
        for k, to in enumerate([range(4), [0, 2], range(4)]):
            give_gradients(tensors, k)
            for place in set(range(4)) - set(to):
                tensors[place].grad = None
            optimizer.step()
        reached.append(arrived(optimizer))
    assert deviation(*reached) <= 10 * BACKENDS[torch.float64]


@every_chain
def test_so_they_are_in_a_graph_that_is_replayed(chain: tw.Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = (parameters(SHAPES, torch.float64) for _ in range(2))
    optimizer, other = in_groups(ours, chain, **COUNTED), in_groups(theirs, chain, **PLAIN)
    graph = Graph(monkeypatch)
    for some in (ours, theirs):
        give_gradients(some, 0)
    optimizer.step()
    other.step()
    with graph:
        optimizer.step()
    for k in (1, 2):
        give_gradients(theirs, k)
        for tensor, twin in zip(ours, theirs, strict=True):
            tensor.grad.copy_(twin.grad)
        graph.replay()
        other.step()
    assert deviation(arrived(optimizer), arrived(other)) <= 10 * BACKENDS[torch.float64]


@pytest.mark.parametrize("chain", [CHAINS[name] for name in ("two clips", "prodigy", "adafactor")], ids=repr)
def test_steps_that_a_gradient_scaler_leaves_out_do_nothing(chain: tw.Chain) -> None:
    reached = []
    for settings in (COUNTED, PLAIN):
        tensors = parameters(SHAPES, torch.float32)
        optimizer = in_groups(tensors, chain, **settings)
        scaler = GradScaler("cpu", init_scale=2.0**6)
        for k in range(4):
            optimizer.zero_grad()
            loss = torch.stack([((t - 0.1 * k) ** 2).sum() for t in tensors]).sum()
            scaler.scale(loss * (float("inf") if k in (0, 2) else 1.0)).backward()
            scaler.step(optimizer)
            scaler.update()
            if k == 2 and settings is COUNTED:
                optimizer = copy.deepcopy(optimizer)
                tensors = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        reached.append([*arrived(optimizer), *(tensor.grad for tensor in tensors)])
    assert deviation(*reached) <= 10 * BACKENDS[torch.float32]


def test_a_gradient_that_is_not_finite_stops_the_whole_step_on_the_device() -> None:
    tensors = [*parameters(SHAPES, torch.float32), *parameters(((3,),), torch.float64)]
    groups = [
        {"params": tensors[:2], "chain": CHAINS["adafactor"]},
        {"params": tensors[2:], "chain": tw.chain(tw.adam(), tw.step(0.1))},
    ]
    optimizer = tw.Optimizer(groups, CHAINS["clip"], **COUNTED)
    give_gradients(tensors, 0)
    optimizer.step()
    before = [tensor.clone() for tensor in arrived(optimizer)]
    give_gradients(tensors, 1)
    tensors[0].grad[1, 2] = float("nan")
    for launch in optimizer._stepper._layout.launches:
        launch.binding._notes.first = lambda: None  # as where the device lags behind: the host goes on
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(arrived(optimizer), before, strict=True))
    for launch in optimizer._stepper._layout.launches:
        del launch.binding._notes.first
    with pytest.raises(NonFiniteGradientError, match=r"parameter 0 of group 0"):
        optimizer.wait()
    give_gradients(tensors, 1)
    optimizer.step()
    assert {float(state["step"]) for state in optimizer.state_dict()["state"].values()} == {2}


def test_such_a_step_can_be_skipped_and_counted_as_skipped() -> None:
    tensors = parameters(SHAPES, torch.float32)
    optimizer = tw.Optimizer(tensors, CHAINS["clip"], nonfinite="skip", **COUNTED)
    give_gradients(tensors, 0)
    tensors[2].grad[599] = float("inf")
    before = [tensor.detach().clone() for tensor in tensors]
    optimizer.step()
    assert optimizer.skipped == 1
    assert all(torch.equal(tensor, old) for tensor, old in zip(tensors, before, strict=True))
    give_gradients(tensors, 0)
    optimizer.step()
    assert {float(state["step"]) for state in optimizer.state_dict()["state"].values()} == {1}


def test_a_number_of_the_model_that_somebody_sets_is_taken() -> None:
    reached = []
    for settings in (COUNTED, PLAIN):
        tensors = parameters(SHAPES, torch.float64)
        optimizer = tw.Optimizer(tensors, CHAINS["prodigy"], **settings)
        for k in range(4):
            if k == 2:
                optimizer.param_groups[0]["d"] = 0.25
            give_gradients(tensors, k)
            optimizer.step()
        reached.append(arrived(optimizer))
    assert deviation(*reached) <= 10 * BACKENDS[torch.float64]
