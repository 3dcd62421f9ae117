"""A matrix method in a chain steps as it does by hand, between whatever stages it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import thalweg as tw
from descents import descend, give_gradients, parameters
from oracles import MODEL_ORACLES
from thalweg.matrix import MatrixRule
from tolerances import deviation
from whole_stages import CHAINS, SHAPES, STAGES, directions, gradient_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thalweg.chain import Whole
    from thalweg.optimizer.layout import Backend

STEPS = 30
BY_HAND = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Thirty steps through eigenvalues of squares and products of matrices, in another library's order."""
ALONE = {torch.float64: 1e-11, torch.float32: 5e-3}
"""A matrix in a stack against the same by itself: a library may sum products in another order, and roots of small
eigenvalues of squares carry that on."""

ORACLES: dict[str, tuple[Callable[[], Whole], float, tuple[str, str], dict[str, Any], tuple[tuple[int, ...], ...]]] = {
    "muon": (
        lambda: tw.muon(polar="full", momentum=0.8),
        0.1,
        ("muon", "torch"),
        {"momentum": 0.8, "weight_decay": 0.1},
        ((6, 4), (4, 6), (6, 4), (5, 5)),
    ),
    "muon, as AdamW": (
        lambda: tw.muon(polar="full", nesterov=False, adjust="match_rms_adamw", steps=3),
        0.0,
        ("muon", "torch"),
        {"nesterov": False, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3, "weight_decay": 0.0},
        ((6, 4), (4, 6), (6, 4), (5, 5)),
    ),
    "shampoo": (lambda: tw.shampoo(eps=1e-2), 0.0, ("shampoo", "paper"), {"eps": 1e-2}, ((6, 4), (5, 5), (6, 4))),
    "soap": (
        lambda: tw.soap(beta1=0.8, beta2=0.9, every=4, eps=0),  # where it is added is our own
        0.0,
        ("soap", "of_code"),
        {"beta1": 0.8, "beta2": 0.9, "precondition_frequency": 4, "weight_decay": 0.0, "eps": 0.0},
        ((5, 5), (4, 5), (5, 5)),
    ),
    "full matrix, damped outside": (
        lambda: tw.full_matrix_adagrad(eps=1e-2),
        0.0,
        ("full_matrix_adagrad", "damped_outside"),
        {"delta": 1e-2},
        ((3, 4), (7,), (3, 4)),
    ),
    "full matrix, damped inside": (
        lambda: tw.full_matrix_adagrad(eps=0, s0=1e-2),
        0.0,
        ("full_matrix_adagrad", "damped_inside"),
        {"delta": 1e-2},
        ((3, 4), (7,), (3, 4)),
    ),
}


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", ORACLES)
def test_a_chain_takes_the_steps_of_the_method_by_hand(name: str, dtype: torch.dtype, backend: Backend) -> None:
    stage, weight, oracle_name, settings, shapes = ORACLES[name]
    path = parameters(shapes, dtype)

    def rate(k: int) -> float:
        return 0.05 / (1 + 0.1 * k)

    decays = [tw.decay(weight)] if weight else []
    optimizer = tw.Optimizer(path, tw.chain(stage(), *decays, tw.step(rate)), backend=backend)
    oracle = MODEL_ORACLES[oracle_name]([p.detach().double().numpy() for p in path], rate, **settings)
    for step in range(STEPS):
        give_gradients(path, step)
        expected = oracle.step([gradient_of(p).double().numpy() for p in path])
        optimizer.step()
    assert deviation(path, [torch.from_numpy(np.asarray(p)) for p in expected]) <= BY_HAND[dtype]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", STAGES)
def test_a_chain_steps_by_the_methods_own_directions(name: str, dtype: torch.dtype) -> None:
    chain = CHAINS[name]()
    path, gradients = parameters(SHAPES, dtype), []
    optimizer = tw.Optimizer(path, chain)
    expected = [p.detach().clone() for p in path]
    for step in range(8):
        give_gradients(path, step)
        gradients.append([gradient_of(p).clone() for p in path])
        optimizer.step()
    for made in directions(chain, gradients):
        expected = [p - 0.02 * direction for p, direction in zip(expected, made, strict=True)]
    tolerance = 2**-7 if name == "muon" else ALONE[dtype]  # it iterates in bfloat16
    assert deviation(path, expected) <= tolerance


def test_there_is_one_call_for_all_matrices_of_a_shape_and_group(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    direction = MatrixRule.direction

    def counted(self: MatrixRule, gradients: Tensor, *rest: Any) -> Tensor:
        seen.append(tuple(gradients.shape))
        return direction(self, gradients, *rest)

    monkeypatch.setattr(MatrixRule, "direction", counted)
    tensors = parameters(SHAPES)
    groups = [{"params": tensors[:5]}, {"params": tensors[5:], "lr": 0.5}]
    optimizer = tw.Optimizer(groups, CHAINS["muon"]())
    descend(optimizer, 1)
    assert sorted(seen) == [(1, 4, 6), (1, 4, 12), (1, 5, 5), (1, 6, 4), (2, 6, 4)]


def test_stages_stand_before_and_behind_a_matrix_method_as_they_are_typed() -> None:
    path = parameters([(6, 4), (5,), (6, 4)])
    chain = tw.chain(
        tw.clip(0.7, norm_eps=0),
        tw.heavy_ball(beta=0.8, form="torch"),
        tw.muon(polar="svd", momentum=0.0, nesterov=False, only="m*"),
        tw.adam(skip="m*"),
        tw.decay(0.3),
        tw.step(0.05),
        tw.ema(beta=0.9),
    )
    optimizer = tw.Optimizer(list(zip(("m1", "v", "m2"), path, strict=True)), chain)
    expected = [p.detach().clone() for p in path]
    v = torch.zeros(5, dtype=torch.float64).requires_grad_()
    adam = torch.optim.Adam([v], lr=1.0)
    velocity: list[Tensor] = []
    average: list[Tensor] = []
    for step in range(12):
        give_gradients(path, step)
        gradients = [gradient_of(p).clone() for p in path]
        length = torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients]))
        clipped = [g * min(1.0, 0.7 / float(length)) for g in gradients]
        velocity = [0.8 * u + g for u, g in zip(velocity, clipped, strict=True)] if velocity else clipped
        before = v.detach().clone()
        v.grad = velocity[1]
        adam.step()
        made = [polar(velocity[0]), before - v.detach(), polar(velocity[2])]
        expected = [p - 0.05 * (d + 0.3 * p) for p, d in zip(expected, made, strict=True)]
        average = [0.9 * a + 0.1 * p for a, p in zip(average, expected, strict=True)] if average else expected
        optimizer.step()
    assert deviation(path, expected) <= 1e-12
    with optimizer.evaluating():
        assert deviation(path, average) <= 1e-12
    assert deviation(path, expected) <= 1e-12


@pytest.mark.parametrize("before", [False, True])
def test_clipping_behind_a_matrix_method_is_by_the_norm_of_all_directions(before: bool) -> None:
    starts = parameters([(6, 4), (5,), (4, 4)], torch.float64)
    stages = [tw.muon(polar="svd", only="m*"), tw.adam(skip="m*")]
    clipping = [tw.clip(0.5, norm_eps=0)] if before else []
    reached: list[list[Tensor]] = []
    for behind in ([], [tw.clip(0.25, norm_eps=0)]):
        path = [p.detach().clone().requires_grad_() for p in starts]
        named = list(zip(("m1", "v", "m2"), path, strict=True))
        optimizer = tw.Optimizer(named, tw.chain(*clipping, *stages, *behind, tw.step(1.0)))
        give_gradients(path, 0)
        optimizer.step()
        reached.append([start.detach() - p.detach() for start, p in zip(starts, path, strict=True)])
    plain, clipped = reached
    length = float(torch.linalg.vector_norm(torch.cat([d.flatten() for d in plain])))
    assert deviation(clipped, [d * 0.25 / length for d in plain]) <= 1e-12


def test_stages_behind_one_that_gathers_over_all_directions_have_passes_of_their_own() -> None:
    reached = []
    for idle in ([], [tw.clip(1e9, norm_eps=0)]):  # which shortens nothing
        chain = tw.chain(tw.muon(polar="svd", only="m"), tw.adam(skip="m"), *idle, tw.cautious(), tw.step(0.1))
        optimizer = tw.Optimizer(list(zip(("m", "v"), parameters([(6, 4), (5,)]), strict=True)), chain)
        reached.append(descend(optimizer, 4))
    assert deviation(*reached) <= 1e-14


def test_chains_whose_stages_wait_for_each_other_are_refused() -> None:
    tensors = parameters([(4, 4), (4, 4)])
    ahead = tw.chain(tw.clip(1.0), tw.muon(), tw.step(0.1))
    groups = [{"params": tensors[:1]}, {"params": tensors[1:], "chain": tw.chain(tw.muon(), tw.clip(), tw.step(0.1))}]
    optimizer = tw.Optimizer(groups, ahead)
    give_gradients(tensors, 0)
    with pytest.raises(
        tw.errors.ChainError, match="`clip` gathers over the whole model, and stands in chains that wait"
    ):
        optimizer.step()


def test_a_number_of_a_matrix_method_stands_in_the_group_and_can_be_changed_there() -> None:
    optimizers = [
        tw.Optimizer(parameters(SHAPES), tw.chain(tw.muon(momentum=momentum, polar="full"), tw.step(0.1)))
        for momentum in (0.5, 0.9)
    ]
    group = optimizers[0].param_groups[0]
    assert (group["momentum"], group["muon.steps"], group["a"]) == (0.5, 5, 3.4445)
    group["momentum"] = 0.9
    assert deviation(descend(optimizers[0], 5), descend(optimizers[1], 5)) == 0


def test_a_schedule_drives_a_number_of_a_matrix_method() -> None:
    rising = tw.Optimizer(parameters(SHAPES), tw.chain(tw.muon(lambda k: 0.1 * min(k, 5)), tw.step(0.1)))
    by_hand = tw.Optimizer(parameters(SHAPES), tw.chain(tw.muon(0.0), tw.step(0.1)))
    for step in range(7):
        by_hand.param_groups[0]["momentum"] = 0.1 * min(step, 5)
        reached = [descend(optimizer, 1, start=step) for optimizer in (rising, by_hand)]
        assert rising.param_groups[0]["momentum"] == pytest.approx(0.1 * min(step, 5))
    assert deviation(*reached) <= 1e-12


def test_two_methods_may_share_a_model() -> None:
    shapes = [(6, 4), (4, 3, 2, 2), (5,)]
    names = ("fc", "conv", "b")
    chain = tw.chain(
        tw.muon(polar="full", only="fc"), tw.shampoo(eps=1e-3, only="conv"), tw.adam(only="b"), tw.step(0.1)
    )
    together = tw.Optimizer(list(zip(names, parameters(shapes), strict=True)), chain)
    descend(together, 5)
    state = [together.state[p] for p in together.param_groups[0]["params"]]
    assert [sorted(own) for own in state] == [
        ["muon.m", "step"],
        ["L", "L_root", "R", "R_root", "step"],
        ["adam.m", "step", "v"],
    ]
    for at, stage in enumerate((tw.muon(polar="full"), tw.shampoo(eps=1e-3), tw.adam())):
        alone = parameters(shapes)[at]
        optimizer = tw.Optimizer([alone], tw.chain(stage, tw.step(0.1)))
        for step in range(5):
            everything = parameters(shapes)
            give_gradients(everything, step)
            alone.grad = gradient_of(everything[at])
            optimizer.step()
        assert deviation([together.param_groups[0]["params"][at]], [alone]) <= 1e-12


def polar(x: Tensor) -> Tensor:
    """The nearest orthogonal matrix, in Muon's length."""
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    return max(1.0, x.shape[0] / x.shape[1]) ** 0.5 * (u @ v)
