"""SAM, Entropy-SGD and look-ahead Nesterov take the steps of their papers' algorithms, by hand in float64."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import thalweg as tw
from oracles import MODEL_NEEDS_GRADIENT_FUNCTION, MODEL_ORACLES, ORACLES
from tolerances import FORMULAS, ORACLE, deviation
from wells import SHAPES, STARTS, closure_of, gradient, starts

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.optimizer.layout import Backend

dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
backends = pytest.mark.parametrize("backend", ["numba", "reference"])
STEPS, WALK = 40, 7


def rate(k: int) -> float:
    """A rate that falls."""
    return 0.05 / (1 + 0.1 * k)


DESCENT = tw.chain(tw.gradient_descent(), tw.step(rate))
SETTINGS: dict[tuple[str, str], tuple[Any, dict[str, Any], dict[str, Any]]] = {
    ("sam", "paper"): (tw.SAM, {"rho": 0.1}, {"rho": 0.1}),
    ("sam", "adaptive"): (tw.SAM, {"rho": 0.4, "eta": 0.02, "adaptive": True}, {"rho": 0.4, "eta": 0.02}),
    ("entropy_sgd", "paper"): (
        tw.EntropySGD,
        {"gamma": 0.3, "eps": 1e-2, "eta_inner": 0.05, "alpha": 0.6, "form": "paper"},
        {"gamma": 0.3, "eps": 1e-2, "eta_inner": 0.05, "alpha": 0.6},
    ),
    ("entropy_sgd", "of_code"): (
        tw.EntropySGD,
        {"gamma": 0.3, "eps": 1e-2, "eta_inner": 0.05, "alpha": 0.2},
        {"gamma": 0.3, "eps": 1e-2, "eta_inner": 0.05, "beta": 0.8},
    ),
}


def compared(key: tuple[str, str], dtype: torch.dtype, ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """How far apart the paths of an optimizer and its oracle are."""
    tensors, kind = starts(dtype), SETTINGS[key][0]
    walks = kind is tw.EntropySGD
    if walks:
        ours = {**ours, "evaluations": WALK, "generator": torch.Generator().manual_seed(3)}
    optimizer = kind(tensors, DESCENT, **ours)
    oracle = MODEL_ORACLES[key](STARTS, rate, **theirs)
    again = torch.Generator().manual_seed(3)
    sign = -1 if key == ("entropy_sgd", "of_code") else 1  # its noise is subtracted
    path, expected = [], []
    for _ in range(STEPS):
        optimizer.step(closure_of(optimizer, tensors))
        noise = [[sign * normal(shape, dtype, again) for shape in SHAPES] for _ in range(WALK)] if walks else None
        path += [tensor.detach().clone() for tensor in tensors]
        expected += map(as_tensor, oracle.step(gradient, noise) if walks else oracle.step(gradient))
    return deviation(path, expected)


def normal(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Any:
    return torch.empty(shape, dtype=dtype).normal_(generator=generator).double().numpy()


def as_tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.asarray(values))


@backends
@dtypes
@pytest.mark.parametrize("key", SETTINGS, ids="-".join)
def test_the_optimizer_takes_the_steps_of_its_oracle(
    key: tuple[str, str], dtype: torch.dtype, backend: Backend
) -> None:
    _, ours, theirs = SETTINGS[key]
    assert compared(key, dtype, ours | {"backend": backend}, theirs) <= ORACLE[dtype]


def test_every_oracle_that_asks_for_gradients_is_one_of_these() -> None:
    assert set(SETTINGS) == MODEL_NEEDS_GRADIENT_FUNCTION


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        (("sam", "paper"), {}),
        (("sam", "adaptive"), {"adaptive": True}),
        (("entropy_sgd", "paper"), {"form": "paper"}),
    ],
    ids=str,
)
def test_the_defaults_are_those_of_the_papers(key: tuple[str, str], ours: dict[str, Any]) -> None:
    assert compared(key, torch.float64, ours, {}) <= ORACLE[torch.float64]


def test_the_defaults_of_entropy_sgd_are_those_of_its_code_at_the_scope_of_its_experiments() -> None:
    assert compared(("entropy_sgd", "of_code"), torch.float64, {}, {"gamma": 1e-4}) <= ORACLE[torch.float64]


def test_the_scope_of_entropy_sgd_may_follow_a_schedule() -> None:
    scoping = tw.exponential(0.1, factor=1.05)
    ours = {"gamma": scoping, "form": "paper"}
    assert compared(("entropy_sgd", "paper"), torch.float64, ours, {"gamma": scoping}) <= ORACLE[torch.float64]


@backends
@dtypes
def test_look_ahead_nesterov_takes_the_steps_of_its_oracle(dtype: torch.dtype, backend: Backend) -> None:
    tensors = starts(dtype, 1)
    optimizer = tw.LookAheadNesterov(tensors, tw.chain(tw.heavy_ball(beta=0.8), tw.step(rate)), backend=backend)
    oracle = ORACLES["nesterov", "look_ahead"](STARTS[0], rate, beta=0.8)
    path, expected = [], []
    for _ in range(STEPS):
        optimizer.step(closure_of(optimizer, tensors))
        path.append(tensors[0].detach().clone())
        expected.append(as_tensor(oracle.step(lambda p: gradient([p])[0])))
    assert deviation(path, expected) <= ORACLE[dtype]


def test_look_ahead_nesterov_and_the_shifted_form_are_one_sequence_seen_at_two_points() -> None:
    ahead, shifted = starts(), starts()
    looking = tw.LookAheadNesterov(ahead, tw.chain(tw.heavy_ball(beta=0.9), tw.step(rate)))
    stepping = tw.Optimizer(shifted, tw.chain(tw.nesterov(beta=0.9), tw.step(rate)))
    for _ in range(STEPS):
        looking.step(closure_of(looking, ahead))
        stepping.step(closure_of(stepping, shifted))
        at_the_shifted_point = [p.detach() + 0.9 * looking.state[p]["v"] for p in ahead]
        assert deviation(shifted, at_the_shifted_point) <= FORMULAS[torch.float64]


def test_look_ahead_with_the_rate_outside_is_torchs_nesterov_seen_at_another_point() -> None:
    # torch's p' = p - α(g + βv) is our point shifted by -αβv while the rate is constant.
    ahead, theirs = starts(), starts()
    looking = tw.LookAheadNesterov(ahead, tw.chain(tw.heavy_ball(beta=0.9, form="torch"), tw.step(0.02)))
    stepping = torch.optim.SGD(theirs, lr=0.02, momentum=0.9, nesterov=True)
    for _ in range(STEPS):
        looking.step(closure_of(looking, ahead))
        stepping.step(closure_of(stepping, theirs))
    at_the_shifted_point = [p.detach() - 0.02 * 0.9 * looking.state[p]["v"] for p in ahead]
    assert deviation(theirs, at_the_shifted_point) <= FORMULAS[torch.float64]


def test_look_ahead_without_memory_is_plain_descent() -> None:
    ahead, plain = starts(), starts()
    looking = tw.LookAheadNesterov(ahead, tw.chain(tw.gradient_descent(), tw.step(rate)))
    stepping = tw.Optimizer(plain, tw.chain(tw.gradient_descent(), tw.step(rate)))
    for _ in range(5):
        looking.step(closure_of(looking, ahead))
        stepping.step(closure_of(stepping, plain))
    assert all(torch.equal(a, b) for a, b in zip(ahead, plain, strict=True))


@pytest.mark.parametrize("name", ["adam", "lamb", "adafactor", "prodigy"])
def test_look_ahead_evaluates_where_the_chain_goes_with_a_gradient_of_zero(name: str) -> None:
    tensors = starts()
    chain = tw.chain(tw.rules.get(name)(), tw.step(0.05))
    optimizer = tw.LookAheadNesterov(tensors, chain)
    for _ in range(3):
        optimizer.step(closure_of(optimizer, tensors))
    zero = starts()
    twin = tw.Optimizer(zero, chain)
    for own, other in zip(tensors, zero, strict=True):
        other.data.copy_(own.detach())
    twin.load_state_dict(optimizer.state_dict())
    for other in zero:
        other.grad = torch.zeros_like(other)
    twin.step()
    seen: list[Tensor] = []
    closure = closure_of(optimizer, tensors)

    def noting() -> Tensor:
        seen.extend(tensor.detach().clone() for tensor in tensors)
        return closure()

    optimizer.step(noting)
    assert deviation(seen, zero) <= FORMULAS[torch.float64]


def test_sam_around_a_chain_is_sam_around_torchs_optimizer_by_hand() -> None:
    ours, theirs = starts(), starts()
    chain = tw.chain(tw.adam(beta1=0.8), tw.decay(0.1), tw.step(0.02))
    optimizer, reference = tw.SAM(ours, chain, rho=0.2), torch.optim.AdamW(theirs, 0.02, (0.8, 0.999), weight_decay=0.1)
    for _ in range(STEPS):
        optimizer.step(closure_of(optimizer, ours))
        closure_of(reference, theirs)()
        slopes = [p.grad.clone() for p in theirs if p.grad is not None]
        length = torch.nn.utils.get_total_norm(slopes)
        with torch.no_grad():
            for p, slope in zip(theirs, slopes, strict=True):
                p.add_(slope, alpha=0.2 / length.item())
        closure_of(reference, theirs)()
        with torch.no_grad():
            for p, slope in zip(theirs, slopes, strict=True):
                p.sub_(slope, alpha=0.2 / length.item())
        reference.step()
    assert deviation(ours, theirs) <= FORMULAS[torch.float64]
