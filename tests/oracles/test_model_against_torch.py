"""The model's oracles that speak torch's dialect, against torch itself, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from oracles import MODEL_ORACLES
from oracles.gradients import MODEL, model_gradients
from oracles.muon import newton_schulz

if TYPE_CHECKING:
    from collections.abc import Callable

    from oracles.protocol import Array

MATRICES = MODEL[:2]
CUBE = np.linspace(-1.0, 2.0, 24).reshape(2, 3, 4)


def rate(k: int) -> float:
    return 0.05 / (1 + 0.1 * k)


def parameters_at(start: list[Array]) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in start]


def torch_path(
    start: list[Array],
    gradients: list[list[Array]],
    make: Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer],
    before: Callable[[list[torch.nn.Parameter]], Any] = lambda _: None,
) -> list[list[Array]]:
    """Torch's parameters after each step at `rate`, with `before` done to the gradients."""
    parameters = parameters_at(start)
    optimizer = make(parameters)
    path: list[list[Array]] = []
    for k, g in enumerate(gradients):
        optimizer.param_groups[0]["lr"] = rate(k)
        for p, g_i in zip(parameters, g, strict=True):
            p.grad = torch.from_numpy(g_i.copy())
        before(parameters)
        optimizer.step()
        path.append([p.detach().numpy().copy() for p in parameters])
    return path


def assert_same_path(oracle: Any, gradients: list[list[Array]], path: list[list[Array]]) -> None:  # noqa: ANN401
    for g, theirs in zip(gradients, path, strict=True):
        for p, q in zip(oracle.step(g), theirs, strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, np.inf])
@pytest.mark.parametrize("max_norm", [0.5, 20.0])
def test_clipping_over_the_model_is_torchs(norm_type: float, max_norm: float):
    path = torch_path(
        MODEL,
        model_gradients(),
        torch.optim.SGD,
        lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type),
    )
    oracle = MODEL_ORACLES["clip", "over_model"](MODEL, rate, max_norm=max_norm, norm_type=norm_type)
    assert_same_path(oracle, model_gradients(), path)


@pytest.mark.parametrize("norm_type", [2.0, np.inf])
def test_clipping_per_tensor_is_torchs_one_tensor_at_a_time(norm_type: float):
    path = torch_path(
        MODEL,
        model_gradients(),
        torch.optim.SGD,
        lambda parameters: [torch.nn.utils.clip_grad_norm_(p, 0.5, norm_type) for p in parameters],
    )
    oracle = MODEL_ORACLES["clip", "per_tensor"](MODEL, rate, max_norm=0.5, norm_type=norm_type)
    assert_same_path(oracle, model_gradients(), path)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"weight_decay": 0.3, "d": 1.5}, {"weight_decay": 0.3, "d": 1.5}),
        ({"eps1": 0.1, "eps2": 3.0, "beta2_decay": -0.5}, {"eps": (0.1, 3.0), "beta2_decay": -0.5}),
    ],
)
def test_adafactor_in_torchs_dialect_is_torchs(ours: dict[str, float], theirs: dict[str, Any]):
    random = np.random.default_rng(5)
    start = [*MODEL, CUBE]
    gradients = [[*g, random.standard_normal(CUBE.shape)] for g in model_gradients()]
    path = torch_path(start, gradients, lambda parameters: torch.optim.Adafactor(parameters, foreach=False, **theirs))
    assert_same_path(MODEL_ORACLES["adafactor", "torch"](start, rate, **ours), gradients, path)


MUONS = pytest.mark.parametrize(
    "settings",
    [
        {},
        {"nesterov": False, "momentum": 0.7, "weight_decay": 0.0},
        {"adjust_lr_fn": "match_rms_adamw", "ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5), "eps": 0.5},
    ],
    ids=["defaults", "no_nesterov", "adamw_scale"],
)


@MUONS
def test_muon_is_torchs_when_torch_computes_in_double_precision(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    # A copy, as the conversion from another dtype is: torch goes on to divide it in place.
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda x: x.double().clone())
    gradients = [g[:2] for g in model_gradients(zeros=False)]
    path = torch_path(MATRICES, gradients, lambda parameters: torch.optim.Muon(parameters, **settings))
    assert_same_path(MODEL_ORACLES["muon", "torch"](MATRICES, rate, **settings), gradients, path)


def test_muons_first_direction_is_torchs_to_two_digits_in_bfloat16():
    gradients = [g[:2] for g in model_gradients(1, zeros=False)]
    (theirs,) = torch_path(MATRICES, gradients, lambda parameters: torch.optim.Muon(parameters, weight_decay=0.0))
    ours = MODEL_ORACLES["muon", "torch"](MATRICES, rate, weight_decay=0.0).step(gradients[0])
    for p, q, p0 in zip(ours, theirs, MATRICES, strict=True):
        np.testing.assert_allclose((p - p0) / rate(0), (q - p0) / rate(0), atol=2e-2)


def test_newton_schulz_keeps_the_singular_vectors_and_brings_the_values_near_one():
    G = np.random.default_rng(3).standard_normal((6, 4))
    U, values, Vt = np.linalg.svd(G, full_matrices=False)
    a, b, c = coefficients = (3.4445, -4.7750, 2.0315)
    x = values / np.linalg.norm(values)
    for _ in range(5):
        x = a * x + b * x**3 + c * x**5
    np.testing.assert_allclose(newton_schulz(G, coefficients, 1e-7, 5), U @ np.diag(x) @ Vt, atol=1e-10)
    assert np.all((x > 0.6) & (x < 1.3))


class Model(torch.nn.Module):
    """A module that is nothing but the tensors to average."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors = torch.nn.ParameterList(parameters_at(MODEL))


@pytest.mark.parametrize(
    ("dialect", "ours", "theirs", "times"),
    [
        ("polyak", {}, {}, range(1, 31)),
        ("swa", {"start": 4, "every": 3}, {}, range(4, 31, 3)),
        ("ema_from_first_point", {"decay": 0.8}, {"multi_avg_fn": get_ema_multi_avg_fn(0.8)}, range(1, 31)),
    ],
)
def test_an_average_is_torchs(dialect: str, ours: dict[str, Any], theirs: dict[str, Any], times: range):
    model = Model()
    averaged = AveragedModel(model, **theirs)
    oracle = MODEL_ORACLES["average", dialect](MODEL, rate, **ours)
    for t, g in enumerate(model_gradients(30), start=1):
        with torch.no_grad():
            for p, p_now in zip(model.tensors, oracle.step(g), strict=True):
                p.copy_(torch.from_numpy(p_now))
        if t in times:
            averaged.update_parameters(model)
        if t >= times.start:
            for x, x_torch in zip(oracle.x, averaged.module.tensors, strict=True):
                np.testing.assert_allclose(x, x_torch.detach().numpy(), rtol=1e-11, atol=1e-12)


def test_momentum_with_l2_is_torchs_while_the_rate_is_constant():
    oracle = MODEL_ORACLES["sgdw", "l2"](MODEL, 0.05, beta1=0.8, weight_decay=0.3)
    parameters = parameters_at(MODEL)
    optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.8, weight_decay=0.3)
    for g in model_gradients():
        for p, g_i in zip(parameters, g, strict=True):
            p.grad = torch.from_numpy(g_i.copy())
        optimizer.step()
        for p, q in zip(oracle.step(g), parameters, strict=True):
            np.testing.assert_allclose(p, q.detach().numpy(), rtol=1e-11, atol=1e-12)
