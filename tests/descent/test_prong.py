"""PRONG: steps as the paper has them, by hand in float64; a network that stays as it is, inputs that become white."""

from __future__ import annotations

import copy
import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import thalweg as tw
from thalweg.descent.whitening.coordinates import whitening as whitening_of
from thalweg.errors import ChainError, CheckpointError, CurvatureError, HyperparameterError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from thalweg.descent.whitening.coordinates import Turn
    from thalweg.descent.whitening.settings import Form, Momentum

Arrays = dict[str, np.ndarray]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def data(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3)) @ rng.normal(size=(3, 3)) + 2.0
    return torch.tensor(x), torch.tensor(rng.normal(size=(count, 2)))


def closure_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: 0.5 * (model(x) - y).square().sum(1).mean()


def whitening(h: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """U and c, Algorithm 1: U = diag(λ + ε)^(−1/2) Ũᵀ."""
    values, vectors = np.linalg.eigh(np.cov(h.T, bias=True))
    return np.diag((values + epsilon) ** -0.5) @ vectors.T, h.mean(0)


class ByHand:
    """Two layers f(V U(h − c) + d) with tanh between, and SGD on V and d."""

    def __init__(self, model: nn.Sequential) -> None:
        self.V, self.d = (
            [getattr(model[at], name).detach().numpy().copy() for at in (0, 2)] for name in ("weight", "bias")
        )
        self.U, self.c = [np.eye(3), np.eye(4)], [np.zeros(3), np.zeros(4)]
        self.velocities = [np.zeros_like(one) for one in (*self.V, *self.d)]

    def canonical(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        W = [V @ U for V, U in zip(self.V, self.U, strict=True)]
        return W, [d - w @ c for d, w, c in zip(self.d, W, self.c, strict=True)]

    def inputs(self, x: np.ndarray) -> list[np.ndarray]:
        return [x, np.tanh((x - self.c[0]) @ self.U[0].T @ self.V[0].T + self.d[0])]

    def reparametrise(self, x: np.ndarray, epsilon: float, momentum: str) -> None:
        W, b = self.canonical()
        moving = [v @ U for v, U in zip(self.velocities[:2], self.U, strict=True)]
        given, before = self.inputs(x), list(self.c)
        for i in range(2):
            self.U[i], self.c[i] = whitening(given[i], epsilon)
            self.V[i], self.d[i] = W[i] @ np.linalg.inv(self.U[i]), b[i] + W[i] @ self.c[i]
            if momentum == "transform":  # W and b go on as they did
                self.velocities[i] = moving[i] @ np.linalg.inv(self.U[i])
                self.velocities[i + 2] = self.velocities[i + 2] + moving[i] @ (self.c[i] - before[i])
        if momentum == "reset":
            self.velocities = [np.zeros_like(one) for one in self.velocities]

    def step(self, x: np.ndarray, y: np.ndarray, alpha: float, beta: float) -> None:
        given = self.inputs(x)
        white = [(h - c) @ U.T for h, c, U in zip(given, self.c, self.U, strict=True)]
        slope = (white[1] @ self.V[1].T + self.d[1] - y) / len(x)
        inner = (slope @ self.V[1] @ self.U[1]) * (1 - given[1] ** 2)
        slopes = [inner.T @ white[0], slope.T @ white[1], inner.sum(0), slope.sum(0)]
        for at, (where, place) in enumerate(((self.V, 0), (self.V, 1), (self.d, 0), (self.d, 1))):
            self.velocities[at] = beta * self.velocities[at] - alpha * slopes[at]
            where[place] = where[place] + self.velocities[at]


@pytest.mark.parametrize("momentum", ["reset", "transform", "keep"])
def test_steps_are_those_of_the_algorithm_by_hand(momentum: Momentum) -> None:
    model, (x, y) = network(), data()
    hand = ByHand(model)
    chain = tw.chain(tw.heavy_ball(beta=0.8), tw.step(0.05))
    # `keep` leaves the numbers as they are, and eigenvectors are of either sign: one period is compared
    every = 100 if momentum == "keep" else 3
    optimizer = tw.PRONG(model, chain, every=every, epsilon=0.1, momentum=momentum)
    for step in range(10):
        if step % every == 0:
            hand.reparametrise(x.numpy(), 0.1, momentum)
        hand.step(x.numpy(), y.numpy(), 0.05, 0.8)
        optimizer.step(closure_of(model, x, y))
        for at, W, b in zip((0, 2), *hand.canonical(), strict=True):
            np.testing.assert_allclose(model[at].weight.detach().numpy(), W, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(model[at].bias.detach().numpy(), b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("form", ["prong", "prong+"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_reparametrisation_leaves_the_model_as_it_is(form: Form, dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2), nn.Flatten())
    model = nn.Sequential(*model, nn.Linear(96, 3)).to(dtype)
    x = torch.rand(8, 2, 6, 6, dtype=dtype)
    before = copy.deepcopy(model.state_dict())
    optimizer = tw.PRONG(model, tw.chain(tw.gradient_descent(), tw.step(0.0)), form=form, every=1)
    for _ in range(3):
        optimizer.step(lambda: model(x).square().mean())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    # and V U(h − c) + d is what W h + b is
    coordinates = optimizer.coordinates("4")
    h = model[:4](x)
    V, d = model[4].weight @ coordinates.U_inverse[0], model[4].bias + model[4].weight @ coordinates.c[0]
    white = (h - coordinates.c[0]) @ coordinates.U[0].T @ V.T + d
    assert float((white - model(x)).detach().abs().max()) < 1e3 * torch.finfo(dtype).eps


@pytest.mark.parametrize("whitening_form", ["pca", "zca"])
def test_whitened_inputs_tend_to_the_identity_as_epsilon_vanishes(whitening_form: Turn) -> None:
    x, y = data()
    conv = torch.randn(5, 4, 6, 6, dtype=torch.float64).cumsum(1)
    layer = nn.Conv2d(4, 4, 3, groups=2).double()
    distances = []
    for epsilon in (1e-1, 1e-3, 1e-5, 0.0):
        model = network()
        optimizer = tw.PRONG(
            model, tw.chain(tw.gradient_descent(), tw.step(0.0)), epsilon=epsilon, whitening=whitening_form
        )
        optimizer.step(closure_of(model, x, y))
        own = optimizer.coordinates("2")
        white = (model[:2](x).detach() - own.c[0]) @ own.U[0].T
        distances.append(float((torch.cov(white.T, correction=0) - torch.eye(4)).abs().max()))
        optimizer = tw.PRONG(layer, tw.chain(tw.gradient_descent(), tw.step(0.0)), epsilon=epsilon)
        optimizer.step(lambda: layer(conv).square().mean())
        own = optimizer.coordinates("")
        for block in range(2):
            rows = conv[:, 2 * block : 2 * block + 2].movedim(1, -1).reshape(-1, 2)
            white = (rows - own.c[block]) @ own.U[block].T
            apart = float((torch.cov(white.T, correction=0) - torch.eye(2)).abs().max())
            assert apart < 1e-12 + 20 * epsilon
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-12


def test_a_layer_without_a_bias_is_whitened_about_zero() -> None:
    x, y = data()
    model = nn.Linear(3, 2, bias=False).double()
    W = model.weight.detach().numpy().copy()
    optimizer = tw.PRONG(model, tw.chain(tw.gradient_descent(), tw.step(0.1)), epsilon=0.0)
    optimizer.step(closure_of(model, x, y))
    second = x.numpy().T @ x.numpy() / len(x)
    slope = (x.numpy() @ W.T - y.numpy()).T @ x.numpy() / len(x)
    np.testing.assert_allclose(model.weight.detach().numpy(), W - 0.1 * slope @ np.linalg.inv(second), rtol=1e-10)


def test_a_convolution_steps_as_its_filters_would_in_whitened_channels() -> None:
    """Without padding, a whitened convolution is one of whitened maps: the same steps, by autograd on V and d."""
    torch.manual_seed(0)
    x, wanted = torch.randn(6, 4, 5, 5, dtype=torch.float64).cumsum(1) + 1, torch.randn(6, 6, 3, 3, dtype=torch.float64)
    model = nn.Conv2d(4, 6, 3, groups=2).double()
    first = copy.deepcopy(model)
    optimizer = tw.PRONG(model, tw.chain(tw.adam(), tw.step(0.01)), epsilon=0.1)
    for _ in range(5):
        optimizer.step(lambda: (model(x) - wanted).square().mean())
    own = optimizer.coordinates("")
    U, inverse = torch.block_diag(*own.U), own.U_inverse
    c = own.c.reshape(-1)
    white = torch.einsum("ij,njhw->nihw", U, x - c[:, None, None])
    W = first.weight.detach().unflatten(0, (2, 3))
    V = torch.einsum("gmnhw,gnk->gmkhw", W, inverse).flatten(0, 1).requires_grad_()
    d = (first.bias.detach() + (W.sum((-1, -2)) @ own.c.unsqueeze(-1)).reshape(-1)).requires_grad_()
    twin = torch.optim.Adam([V, d], lr=0.01)
    for _ in range(5):
        twin.zero_grad()
        (F.conv2d(white, V, d, groups=2) - wanted).square().mean().backward()
        twin.step()
    assert float((model(x) - F.conv2d(white, V, d, groups=2)).detach().abs().max()) < 1e-10


def test_prong_plus_steps_as_a_scaled_layer_would_by_autograd() -> None:
    x, y = data()
    model = nn.Linear(3, 2).double()
    first = copy.deepcopy(model)
    optimizer = tw.PRONG(model, tw.chain(tw.heavy_ball(), tw.step(0.05)), form="prong+", epsilon=0.1)
    for _ in range(6):
        optimizer.step(closure_of(model, x, y))
    own = optimizer.coordinates("")
    U, inverse, c = own.U[0], own.U_inverse[0], own.c[0]
    white = (x - c) @ U.T
    V = (first.weight.detach() @ inverse).requires_grad_()
    d = (first.bias.detach() + first.weight.detach() @ c).requires_grad_()

    def sigma() -> torch.Tensor:  # the batch is the one that the whitening was estimated from
        return ((white @ V.T).var(0, correction=0) + 1e-5).sqrt()

    gamma = sigma().detach().requires_grad_()
    twin = torch.optim.SGD([V, d, gamma], lr=0.05, momentum=0.9)
    for _ in range(6):
        twin.zero_grad()
        (0.5 * (gamma * (white @ V.T) / sigma() + d - y).square().sum(1).mean()).backward()
        twin.step()
    outputs = gamma * (white @ V.T) / sigma() + d
    assert float((model(x) - outputs).detach().abs().max()) < 1e-10
    assert optimizer.param_groups[1]["param_names"] == [".scale"]


def settings(form: Form) -> dict[str, Any]:
    return {"chain": tw.chain(tw.adam(), tw.decay(1e-3), tw.step(0.01)), "every": 4, "window": 3, "form": form}


@pytest.mark.parametrize("form", ["prong", "prong+"])
@pytest.mark.parametrize("way", ["state_dict", "file", "copy"])
def test_a_resumed_run_and_a_copy_go_on_bit_for_bit(form: Form, way: str, tmp_path: Path) -> None:
    x, y = data(48)
    parts = list(zip(x.split(4), y.split(4), strict=True))

    def train(model: nn.Module, optimizer: tw.PRONG, own: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        for one, wanted in own:
            optimizer.step(closure_of(model, one, wanted))

    model = network()
    optimizer = tw.PRONG(model, **settings(form))
    train(model, optimizer, parts[:7])
    if way == "copy":
        again, resumed = copy.deepcopy((model, optimizer))
    else:
        again = copy.deepcopy(model)
        resumed = tw.PRONG(again, **settings(form))
    if way == "file":
        tw.save(optimizer, tmp_path / "prong.safetensors")
        tw.load(resumed, tmp_path / "prong.safetensors")
    elif way == "state_dict":
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(model, optimizer, parts[7:])
    train(again, resumed, parts[7:])
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True))


def test_the_model_and_its_gradients_are_canonical_after_a_step() -> None:
    x, y = data()
    model = network()
    twin = copy.deepcopy(model)
    optimizer = tw.PRONG(model, every=5)
    optimizer.step(closure_of(model, x, y))
    closure_of(twin, x, y)().backward()
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(model.parameters(), twin.parameters(), strict=True))
    assert list(model.state_dict()) == list(twin.state_dict())


def test_other_layers_and_skipped_ones_take_plain_steps_and_a_layer_may_be_used_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.norm, self.out = nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.norm(self.inner(self.inner(x).tanh())))

    model, (x, y) = Twice().double(), data()
    before = copy.deepcopy(model.state_dict())
    optimizer = tw.PRONG(model, tw.chain(tw.gradient_descent(), tw.step(0.1)), skip=("out.*",))
    assert optimizer.layers == ("inner",)
    optimizer.step(closure_of(model, x, y))
    for name, parameter in model.named_parameters():
        plain = torch.equal(parameter, before[name] - 0.1 * parameter.grad)
        assert plain == (not name.startswith("inner.weight") and name != "inner.bias")


@pytest.mark.parametrize("overflows", [False, True])
def test_a_gradient_scaler_changes_nothing_but_leaves_out_what_overflows(overflows: bool) -> None:
    x, y = data()
    model, plain = network(), network()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    optimizer = tw.PRONG(model)
    before = copy.deepcopy(model.state_dict())
    if overflows:
        model[2].weight.register_hook(lambda g: g * torch.inf)
    optimizer.step(closure_of(model, x, y), scaler=scaler)
    scaler.update()
    tw.PRONG(plain).step(closure_of(plain, x, y))
    wanted = before if overflows else plain.state_dict()
    assert all(torch.equal(wanted[name], value) for name, value in model.state_dict().items())
    assert optimizer.skipped == int(overflows)


def test_hooks_are_gone_with_the_optimizer() -> None:
    model = network()
    optimizer = tw.PRONG(model)
    assert model[0]._forward_hooks
    del optimizer
    gc.collect()
    assert not model[0]._forward_hooks


def test_inputs_that_cannot_be_whitened_name_their_layer_and_nothing_moves() -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())
    x, y = data(2)
    with pytest.raises(CurvatureError, match=r"layer `0`: the covariance .* is singular.*`epsilon` is 0"):
        tw.PRONG(model, epsilon=0.0).step(closure_of(model, x, y))
    with pytest.raises(CurvatureError, match="what layer `0` was given has a NaN"):
        tw.PRONG(model).step(closure_of(model, x * torch.nan, y))
    with pytest.raises(CurvatureError, match=r"what layer `0` was given cannot be whitened.*lower the learning rate"):
        whitening_of("0", torch.zeros(1, 2), torch.full((1, 2, 2), torch.nan), 0.1, "pca")
    optimizer = tw.PRONG(model)
    with pytest.raises(CurvatureError, match="layer `0` has a gradient, and no forward pass of the layer itself"):
        optimizer.step(lambda: F.linear(x, model[0].weight).square().mean())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    tw.PRONG(model).step(closure_of(model, x[:1], y[:1]))  # a batch of one has no deviation, and ε makes up for it
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


def test_a_state_of_another_form_or_model_is_refused() -> None:
    model, (x, y) = network(), data()
    optimizer = tw.PRONG(model)
    optimizer.step(closure_of(model, x, y))
    state = optimizer.state_dict()
    state["beside"]["prong"]["layers"]["0"]["U"] = torch.zeros(1, 2, 2)
    with pytest.raises(CheckpointError, match=r"coordinates of `0` must be of shape \(1, 3, 3\)"):
        optimizer.load_state_dict(state)


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"every": 0}, HyperparameterError, "prong: `every` is 0; it must be a whole number from 1"),
    ({"every": 2, "window": 3}, HyperparameterError, "`window` is 3, and coordinates are for 2 steps"),
    ({"epsilon": -1.0}, HyperparameterError, "`epsilon` is -1.0"),
    ({"form": "prong++"}, HyperparameterError, "did you mean `prong\\+`"),
    ({"form": "prong+", "momentum": "transform"}, HyperparameterError, "`momentum` is 'reset' or 'keep'"),
    ({"momentum": "transform", "chain": tw.chain(tw.adam(), tw.step(0.1))}, ChainError, "adam may keep something else"),
    ({"chain": tw.chain(tw.adam(), tw.step(0.1), tw.ema())}, ChainError, "is kept in coordinates that change"),
    ({"chain": tw.chain(tw.accumulate(2), tw.adam(), tw.step(0.1))}, ChainError, "is kept in coordinates that change"),
    ({"chain": tw.chain(tw.schedule_free_sgd(), tw.step(0.1))}, ChainError, "what evaluation is to see is kept"),
    ({"chain": tw.chain(tw.sophia(), tw.step(0.1))}, ChainError, "goes by the curvature"),
    ({"skip": ("*",)}, ParameterError, "found no Linear or Conv2d"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD, ids=lambda value: str(value)[:40])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tw.PRONG(network(), **options)


def test_there_is_no_other_point_to_evaluate_at_and_no_list_of_parameters_to_watch() -> None:
    with pytest.raises(ChainError, match="keeps no average"):
        tw.PRONG(network()).evaluating()
    with pytest.raises(ParameterError, match="pass the model itself"):
        tw.PRONG(list(network().parameters()))  # pyright: ignore[reportArgumentType]
