"""K-FAC: blocks against the dense Fisher matrix, written by hand in float64, and what an optimizer must do besides."""

from __future__ import annotations

import copy
import gc
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import thalweg as tw
from thalweg.errors import (
    ChainError,
    CheckpointError,
    CurvatureError,
    GradientError,
    HyperparameterError,
    NonFiniteGradientError,
    ParameterError,
    UnknownNameError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from thalweg.descent.kronecker.factors import Sharing
    from thalweg.descent.kronecker.settings import Fisher, Tikhonov

PLAIN = tw.chain(tw.gradient_descent(), tw.step(1.0))


def net(*widths: int, between: type[nn.Module] = nn.Identity) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [layer for a, b in itertools.pairwise(widths) for layer in (nn.Linear(a, b), between())]
    return nn.Sequential(*layers[:-1]).double()


def half_squares(outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The mean over examples of ½‖z − y‖²: its Hessian in an example's outputs is I, over the number of examples."""
    return 0.5 * (outputs - wanted).square().flatten(1).sum(1).mean()


def closure_of(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, loss: Callable[..., torch.Tensor] = half_squares
) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
    def closure() -> tuple[torch.Tensor, torch.Tensor]:
        outputs = model(x)
        return loss(outputs, y), outputs

    return closure


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().copy()


def with_one(a: np.ndarray) -> np.ndarray:
    return np.concatenate([a, np.ones((*a.shape[:-1], 1))], -1)


def near(found: torch.Tensor | np.ndarray, wanted: np.ndarray, tolerance: float = 1e-12) -> None:
    found = found.detach().numpy() if isinstance(found, torch.Tensor) else found
    assert np.abs(found - wanted).max() <= tolerance * np.abs(wanted).max()


def whole(layer: nn.Linear) -> np.ndarray:
    return np.concatenate([array(layer.weight), array(layer.bias)[:, None]], 1)


def gradient_of(layer: nn.Linear) -> np.ndarray:
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    return np.concatenate([array(layer.weight.grad), array(layer.bias.grad)[:, None]], 1)


@pytest.mark.parametrize("fisher", ["gauss_newton", "sampled"])
def test_each_block_of_a_linear_network_with_squared_loss_is_exact(fisher: Fisher) -> None:
    model, rng = net(3, 4, 2), np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
    samples = 4000 if fisher == "sampled" else 1
    optimizer = tw.KFAC(model, PLAIN, fisher=fisher, samples=samples)
    optimizer.estimate_curvature(*closure_of(model, torch.tensor(x), torch.tensor(y))())
    first, second = model[0], model[2]
    inner = x @ array(first.weight).T + array(first.bias)
    W2 = array(second.weight)
    closure_of(model, torch.tensor(x), torch.tensor(y))()[0].backward()
    optimizer.step()
    for name, given, behind in (("0", x, W2), ("2", inner, np.eye(2))):
        # the outputs' derivative by the stacked columns of (W b) is (a 1) ⊗ what follows
        jacobians = [np.kron(row[None], behind) for row in with_one(given)]
        block = sum(J.T @ J for J in jacobians) / len(jacobians)
        A, G = optimizer.factors(name)
        near(np.kron(A[0].numpy(), G[0].numpy()), block, 0.02 if fisher == "sampled" else 1e-12)


@pytest.mark.parametrize("sharing", ["expand", "reduce"])
def test_blocks_of_a_linear_that_is_given_sequences_are_exact_in_the_setting_of_each_option(sharing: Sharing) -> None:
    model, rng = net(3, 2, 2), np.random.default_rng(1)
    x = rng.normal(size=(5, 4, 3))
    optimizer = tw.KFAC(model, PLAIN, fisher="gauss_newton", sharing=sharing)
    outputs = model(torch.tensor(x))
    if sharing == "reduce":  # one output for each sequence, the mean of its places'
        outputs = outputs.mean(1)
    loss = 0.5 * (outputs - 1).square().sum(-1).mean()
    optimizer.estimate_curvature(loss, outputs)
    loss.backward()
    W2 = array(model[2].weight)
    rows = with_one(x).mean(1) if sharing == "reduce" else with_one(x).reshape(-1, 4)
    block = sum(np.kron(row[None], W2).T @ np.kron(row[None], W2) for row in rows) / len(rows)
    optimizer.step()
    A, G = optimizer.factors("0")
    near(np.kron(A[0].numpy(), G[0].numpy()), block)


CONVOLUTIONS: list[dict[str, Any]] = [
    {"kernel_size": 3},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
    {"kernel_size": 3, "groups": 2, "padding": "same", "bias": False},
    {"kernel_size": 2, "groups": 4, "padding": 1, "padding_mode": "circular", "stride": 2},
]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_factors_of_a_convolution_are_those_of_its_patches(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 8, **options).double()
    x = torch.randn(3, 4, 6, 7, dtype=torch.float64)
    outputs = layer(x)
    labels = torch.randn_like(outputs)
    optimizer = tw.KFAC(layer, PLAIN, fisher="empirical")
    loss = half_squares(layer(x), labels)
    loss.backward()
    optimizer.step()
    (kh, kw), (sh, sw), (dh, dw), groups = layer.kernel_size, layer.stride, layer.dilation, layer.groups
    if layer.padding == "same":
        around = (1, 1, 1, 1)
    else:
        ph, pw = layer.padding
        around = (pw, pw, ph, ph)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = F.pad(x, around, mode=mode).numpy()
    slopes = array(outputs - labels) / 3
    _, _, high, wide = slopes.shape
    for block in range(groups):
        own, out = 4 // groups, 8 // groups
        A, G = 0.0, 0.0
        for n, i, j in itertools.product(range(3), range(high), range(wide)):
            patch = [
                padded[n, block * own + c, i * sh + u * dh, j * sw + v * dw]
                for c, u, v in itertools.product(range(own), range(kh), range(kw))
            ]
            a = np.array(patch + ([1.0] if layer.bias is not None else []))
            s = slopes[n, block * out : (block + 1) * out, i, j]
            A, G = A + np.outer(a, a), G + np.outer(s, s)
        found = optimizer.factors("")
        near(found[0][block], A / (3 * high * wide))
        near(found[1][block], 3 * G)  # a mean over three examples: N times the slopes' squares


@pytest.mark.parametrize("tikhonov", ["factored", "exact"])
def test_a_step_is_the_solution_of_the_damped_dense_block(tikhonov: Tikhonov) -> None:
    model, rng = net(3, 4, 2, between=nn.Tanh), np.random.default_rng(2)
    x, y = (torch.tensor(rng.normal(size=(9, side))) for side in (3, 2))
    damping = 0.03
    optimizer = tw.KFAC(model, PLAIN, damping=damping, tikhonov=tikhonov, fisher="gauss_newton", kl_clip=None)
    before = whole(model[0])
    optimizer.step(closure_of(model, x, y))
    A, G = (S[0].numpy() for S in optimizer.factors("0"))
    g = gradient_of(model[0])
    if tikhonov == "factored":
        gamma = np.sqrt(damping)
        pi = np.sqrt((np.trace(A) / 4) / (np.trace(G) / 4))
        dense = np.kron(A + pi * gamma * np.eye(4), G + gamma / pi * np.eye(4))
    else:
        dense = np.kron(A, G) + damping * np.eye(16)
    step = np.linalg.solve(dense, g.T.ravel()).reshape(4, 4).T
    near(before - whole(model[0]), step, 1e-11)


@pytest.mark.parametrize("kind", ["sum", "weights", "mask", "sequence", "channels", "binary"])
def test_the_curvature_of_predictions_is_read_off_the_loss(kind: str) -> None:
    """What is drawn has the covariance of the loss's own Hessian, whatever it is a mean of or leaves out."""
    from thalweg.descent.kronecker.predictions import read_prediction

    torch.manual_seed(3)
    shape = {"sequence": (3, 2, 4), "channels": (3, 4, 2)}.get(kind, (3, 4))
    outputs = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 3, 1])
    loss: Callable[[torch.Tensor], torch.Tensor] = {
        "sum": lambda z: F.cross_entropy(z, y, reduction="sum"),
        "weights": lambda z: F.cross_entropy(z, y, weight=torch.tensor([1.0, 2.0, 3.0, 4.0]).double()),
        "mask": lambda z: F.cross_entropy(z, torch.tensor([0, -100, 1]), label_smoothing=0.1),
        "sequence": lambda z: F.cross_entropy(z.reshape(-1, 4), torch.tensor([0, 1, 2, 3, 0, 1])),
        "channels": lambda z: F.cross_entropy(z, torch.tensor([[0, 1], [2, 3], [0, 1]])),
        "binary": lambda z: F.binary_cross_entropy_with_logits(z, torch.ones_like(z)),
    }[kind]
    hessian = torch.autograd.functional.hessian(loss, outputs.detach()).reshape(outputs.numel(), -1)
    prediction = read_prediction(loss(outputs), outputs)
    # a root is for all examples at once, and each example's part is its own
    found = torch.zeros_like(hessian)
    drawn = torch.zeros_like(hessian)
    own = torch.block_diag(*[torch.ones(outputs[0].numel(), outputs[0].numel())] * 3).double()
    for root in prediction.roots():
        found += own * torch.outer(root.flatten(), root.flatten())
    generator = torch.Generator().manual_seed(0)
    for _ in range(4000):
        v = prediction.sample(generator).flatten()
        drawn += torch.outer(v, v) / 4000
    near(found, hessian.numpy(), 1e-10)
    near(drawn, hessian.numpy(), 0.12)


def test_factors_are_averaged_as_the_paper_says() -> None:
    model, rng = net(2, 1), np.random.default_rng(4)
    optimizer = tw.KFAC(model, PLAIN, fisher="gauss_newton", decay=0.6)
    wanted = np.zeros((3, 3))
    for k in range(1, 6):
        x = rng.normal(size=(4, 2))
        optimizer.step(closure_of(model, torch.tensor(x), torch.zeros(4, 1, dtype=torch.float64)))
        weight = min(1 - 1 / k, 0.6)
        wanted = weight * wanted + (1 - weight) * with_one(x).T @ with_one(x) / 4
    near(optimizer.factors("0")[0][0], wanted)


def test_a_clipped_step_is_foretold_to_change_the_prediction_by_the_bound() -> None:
    model, rng = net(3, 4, 2, between=nn.Tanh), np.random.default_rng(5)
    x, y = (torch.tensor(rng.normal(size=(9, side))) for side in (3, 2))
    chain = tw.chain(tw.gradient_descent(), tw.step(tw.constant(0.7)))
    optimizer = tw.KFAC(model, chain, kl_clip=1e-4, fisher="gauss_newton")
    before = [whole(model[0]), whole(model[2])]
    optimizer.step(closure_of(model, x, y))
    total = 0.0
    for name, old in zip(("0", "2"), before, strict=True):
        delta = old - whole(model.get_submodule(name))  # pyright: ignore[reportArgumentType]
        A, G = (S[0].numpy() for S in optimizer.factors(name))
        total += delta.T.ravel() @ np.kron(A, G) @ delta.T.ravel() / 2
    assert total == pytest.approx(1e-4, rel=1e-9)


def test_a_fitted_step_is_least_in_the_model_along_the_direction_and_the_last_step() -> None:
    """On a linear model with squared loss the model is the loss itself, damping apart."""
    model, rng = net(3, 2), np.random.default_rng(6)
    x, y = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    closure = closure_of(model, torch.tensor(x), torch.tensor(y))
    optimizer = tw.KFAC(model, rescale="momentum", damping=0.2, fisher="empirical")
    F_dense = np.kron(with_one(x).T @ with_one(x) / 9, np.eye(2)) + 0.2 * np.eye(8)
    last = None
    for _ in range(3):
        before = whole(model[0])
        optimizer.step(closure)
        move = (whole(model[0]) - before).T.ravel()
        slope = gradient_of(model[0]).T.ravel()
        A, G = (S[0].numpy() for S in optimizer.factors("0"))
        gamma = np.sqrt(0.2)
        pi = np.sqrt((np.trace(A) / 4) / (np.trace(G) / 2))
        direction = -np.linalg.solve(np.kron(A + pi * gamma * np.eye(4), G + gamma / pi * np.eye(2)), slope)
        basis = np.stack([direction] if last is None else [direction, last], 1)
        wanted = basis @ np.linalg.solve(basis.T @ F_dense @ basis, -basis.T @ slope)
        near(move, wanted, 1e-9)
        last = move
    assert optimizer.nhvp == 6


def test_the_damping_follows_how_well_the_model_foretells_the_loss() -> None:
    model, rng = net(3, 2), np.random.default_rng(7)
    x, y = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    closure = closure_of(model, torch.tensor(x), torch.tensor(y))
    optimizer = tw.KFAC(model, rescale="length", damping=0.2, adapt_every=2, fisher="gauss_newton")
    optimizer.step(closure)
    assert optimizer.param_groups[0]["damping"] == 0.2
    optimizer.step(closure)  # the loss is quadratic, and damping aside the model is right: a ratio above 1
    assert optimizer.param_groups[0]["damping"] == pytest.approx(0.2 * (19 / 20) ** 2)
    assert optimizer.nfev == 3


def classifier() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 8), nn.Tanh(),
        nn.Linear(8, 3),
    )  # fmt: skip


def batches(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(12, 1, 6, 6, generator=generator), torch.randint(0, 3, (12,), generator=generator))
        for _ in range(count)
    ]


def train(model: nn.Module, optimizer: tw.KFAC, data: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    for x, y in data:
        optimizer.step(closure_of(model, x, y, F.cross_entropy))


def settings() -> dict[str, Any]:
    return {
        "chain": tw.chain(tw.heavy_ball(form="torch"), tw.decay(1e-3), tw.step(0.05)),
        "inverse_every": 3,
        "every": 2,
    }


@pytest.mark.parametrize("way", ["state_dict", "file"])
def test_a_resumed_run_goes_on_bit_for_bit(way: str, tmp_path: Path) -> None:
    model, data = classifier(), batches(9)
    optimizer = tw.KFAC(model, **settings())
    train(model, optimizer, data[:5])
    again = classifier()
    again.load_state_dict(copy.deepcopy(model.state_dict()))
    resumed = tw.KFAC(again, **settings())
    if way == "file":
        tw.save(optimizer, tmp_path / "kfac.safetensors")
        tw.load(resumed, tmp_path / "kfac.safetensors")
    else:
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, own in ((model, optimizer), (again, resumed)):
        train(one, own, data[5:])
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True))


def test_a_state_of_other_layers_is_refused() -> None:
    model = net(3, 2)
    optimizer = tw.KFAC(model, PLAIN)
    state = optimizer.state_dict()
    state["beside"]["kfac"]["layers"] = {"0": {"count": 1, "A": torch.zeros(1, 2, 2), "G": torch.zeros(1, 2, 2)}}
    with pytest.raises(CheckpointError, match=r"the factor A of `0` must be a tensor of shape \(1, 4, 4\)"):
        optimizer.load_state_dict(state)
    state["beside"]["kfac"]["layers"] = {"other": {"count": 1}}
    with pytest.raises(CheckpointError, match="factors of other, which this model's K-FAC has not"):
        optimizer.load_state_dict(state)


def test_a_copy_of_model_and_optimizer_goes_on_by_itself() -> None:
    model, data = classifier(), batches(5)
    optimizer = tw.KFAC(model, **settings())
    train(model, optimizer, data[:2])
    twin, own = copy.deepcopy((model, optimizer))
    train(model, optimizer, data[2:])
    before = copy.deepcopy(optimizer.factors("4"))
    train(twin, own, data[2:])
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), twin.parameters(), strict=True))
    assert torch.equal(before[0], optimizer.factors("4")[0])


def test_hooks_are_gone_with_the_optimizer_or_when_asked() -> None:
    model = net(3, 2)
    optimizer = tw.KFAC(model, PLAIN)
    assert model[0]._forward_hooks
    optimizer.remove_hooks()
    assert not model[0]._forward_hooks
    optimizer = tw.KFAC(model, PLAIN)
    del optimizer
    gc.collect()
    assert not model[0]._forward_hooks


@pytest.mark.parametrize("fisher", ["sampled", "empirical"])
def test_a_loop_of_ones_own_takes_the_same_steps_as_a_closure(fisher: Fisher) -> None:
    data = batches(4)
    found = []
    for is_loop in (False, True):
        model = classifier()
        optimizer = tw.KFAC(model, **settings(), fisher=fisher)
        for x, y in data:
            if not is_loop:
                optimizer.step(closure_of(model, x, y, F.cross_entropy))
                continue
            outputs = model(x)
            loss = F.cross_entropy(outputs, y)
            optimizer.zero_grad()
            optimizer.estimate_curvature(loss, outputs)
            loss.backward()
            optimizer.step()
        found.append(list(model.parameters()))
    assert all(torch.equal(p, q) for p, q in zip(*found, strict=True))


def test_gradients_and_factors_of_small_batches_add_up_to_those_of_the_large_one() -> None:
    x, y = (torch.randn(8, side, dtype=torch.float64) for side in (3, 2))
    found = []
    for parts in (1, 2):
        model = net(3, 4, 2, between=nn.Tanh)
        optimizer = tw.KFAC(model, PLAIN, fisher="gauss_newton", kl_clip=None)
        for own_x, own_y in zip(x.chunk(parts), y.chunk(parts), strict=True):
            loss, outputs = closure_of(model, own_x, own_y)()
            optimizer.estimate_curvature(loss, outputs)
            (loss / parts).backward()
        optimizer.step()
        found.append([array(p) for p in model.parameters()])
    for one, other in zip(*found, strict=True):
        near(one, other, 1e-11)


def test_evaluation_between_steps_changes_nothing() -> None:
    data, found = batches(4), []
    for looks in (False, True):
        model = classifier()
        optimizer = tw.KFAC(model, **settings())
        for x, y in data:
            train(model, optimizer, [(x, y)])
            if looks:
                model.eval()
                with torch.no_grad():
                    model(x)
                F.cross_entropy(model(x), y)  # a graph that nobody differentiates
                model.train()
        found.append(list(model.parameters()))
    assert all(torch.equal(p, q) for p, q in zip(*found, strict=True))


def test_an_activation_in_place_leaves_the_slopes_as_they_are() -> None:
    x = torch.randn(5, 4, 3, dtype=torch.float64)
    found = []
    for in_place in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=in_place), nn.Linear(3, 2)).double()
        optimizer = tw.KFAC(model, PLAIN, fisher="gauss_newton")
        optimizer.step(closure_of(model, x, torch.zeros(5, 4, 2, dtype=torch.float64)))
        found.append(optimizer.factors("0")[1])
    assert torch.equal(*found)


def test_what_is_no_such_layer_is_stepped_by_the_chain_alone() -> None:
    model = classifier()
    optimizer = tw.KFAC(model, PLAIN, skip=("head",))
    assert optimizer.layers == ("0", "4")
    before = [model[1].weight.detach().clone(), model[6].weight.detach().clone()]
    train(model, optimizer, batches(1))
    for old, parameter in zip(before, (model[1].weight, model[6].weight), strict=True):
        assert torch.equal(parameter, old - parameter.grad)


def test_parts_of_a_model_and_groups_with_a_damping_of_their_own() -> None:
    model, rng = net(3, 4, 2), np.random.default_rng(8)
    x, y = (torch.tensor(rng.normal(size=(9, side))) for side in (3, 2))
    groups = [{"params": list(model[0].parameters()), "damping": 1e6}, {"params": [model[2].weight]}]
    optimizer = tw.KFAC(model, PLAIN, params=groups, damping=1e-2, fisher="gauss_newton", kl_clip=None)
    before = copy.deepcopy(model)
    optimizer.step(closure_of(model, x, y))
    assert optimizer.factors("2")[0].shape == (1, 4, 4)  # without the bias, which is not stepped
    assert torch.equal(model[2].bias, before[2].bias)
    first, second = ((model[at].weight - before[at].weight).detach().abs().max() for at in (0, 2))
    assert float(first) < 1e-4
    assert float(second) > 1e-2


def test_a_gradient_scaler_changes_nothing() -> None:
    data, found = batches(3), []
    for scales, fisher in itertools.product((False, True), ("sampled", "empirical")):
        model = classifier()
        optimizer = tw.KFAC(model, **settings(), fisher=fisher)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, enabled=scales)
        for x, y in data:
            optimizer.step(closure_of(model, x, y, F.cross_entropy), scaler=scaler)
            scaler.update()
        found.append(list(model.parameters()))
    for plain, scaled in ((found[0], found[2]), (found[1], found[3])):
        assert all(torch.equal(p, q) for p, q in zip(plain, scaled, strict=True))


@pytest.mark.parametrize("fisher", ["sampled", "empirical"])
def test_factors_are_computed_wide_where_the_model_runs_narrow(fisher: Fisher) -> None:
    model = classifier()
    optimizer = tw.KFAC(model, **settings(), fisher=fisher)
    ((x, y),) = batches(1)
    with torch.autocast("cpu", torch.bfloat16):
        optimizer.step(closure_of(model, x, y, F.cross_entropy))
    A, _ = optimizer.factors("0")
    patches = F.unfold(x, 3).movedim(1, -1).reshape(-1, 9).double()
    near(A[0].double(), (with_one(patches.numpy()).T @ with_one(patches.numpy())) / len(patches), 1e-6)


def test_a_batch_of_one_and_a_convolution_without_a_batch_are_taken() -> None:
    model = classifier().eval()
    optimizer = tw.KFAC(model, **settings())
    ((x, y),) = batches(1)
    train(model, optimizer, [(x[:1], y[:1])])
    layer = nn.Conv2d(1, 2, 3)
    optimizer = tw.KFAC(layer, PLAIN, fisher="empirical")
    layer(x[0]).square().sum().backward()
    optimizer.step()
    assert all(bool(torch.isfinite(p).all()) for p in (*model.parameters(), *layer.parameters()))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.unused = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(self.layer(x))


@pytest.mark.parametrize("fisher", ["sampled", "empirical"])
def test_a_layer_that_is_used_twice_is_named(fisher: Fisher) -> None:
    model = Twice()
    x = torch.randn(4, 3)
    with pytest.raises(CurvatureError, match=r"layer `layer` is used several times .* skip=\('layer\.\*',\)"):
        tw.KFAC(model, PLAIN, fisher=fisher).step(closure_of(model, x, x))
    model = Twice()
    optimizer = tw.KFAC(model, PLAIN, fisher=fisher, skip=("layer.*",))
    optimizer.step(closure_of(model, x, x))  # nor is `unused` missed, which has no gradient


def test_a_weight_that_two_layers_share_is_named() -> None:
    model = net(3, 3, 3)
    model[2].weight = model[0].weight
    with pytest.raises(ParameterError, match=r"`0\.weight` and `2\.weight` are one parameter.*skip=\('0\.weight',\)"):
        tw.KFAC(model, PLAIN)
    assert tw.KFAC(nn.ModuleList([model, nn.Linear(3, 3)]), PLAIN, skip=("0.0.weight",)).layers == ("1",)


def test_a_layer_whose_weight_a_function_uses_is_named() -> None:
    model = net(3, 2)
    optimizer = tw.KFAC(model, PLAIN)
    outputs = F.linear(torch.ones(4, 3, dtype=torch.float64), model[0].weight)
    with pytest.raises(CurvatureError, match=r"layer `0` has a gradient and no factors"):
        optimizer.step(lambda: (outputs.square().mean(), outputs))


def bad_closures() -> dict[str, tuple[Callable[[nn.Module], Any], type[Exception], str]]:
    x = torch.ones(4, 3, dtype=torch.float64)

    def gone(model: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = model(x)
        loss = outputs.square().mean()
        loss.backward()
        return loss, outputs

    def alone(model: nn.Module) -> torch.Tensor:
        loss = model(x).square().mean()
        loss.backward()
        return loss

    def strange(model: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = model(x)
        return outputs.square().sum(1).square().sum(), outputs

    return {
        "alone": (alone, CurvatureError, "no factors: .* a closure that returns \\(loss, outputs\\)"),
        "gone": (gone, GradientError, "went backward"),
        "detached": (lambda model: (model(x).sum(), model(x).detach()), CurvatureError, "`outputs` must be a tensor"),
        "other": (lambda model: (model(x).sum(), model(x)), CurvatureError, "does not depend on `outputs`"),
        "nothing": (lambda _: None, GradientError, "returned None and left no gradients"),
        "three": (lambda _: (1, 2, 3), GradientError, r"returned \(1, 2, 3\)"),
        "strange": (strange, CurvatureError, "this one is neither: pass fisher='empirical'"),
    }  # fmt: skip


@pytest.mark.parametrize("name", bad_closures())
def test_a_closure_that_does_not_serve_is_told_what_it_lacks(name: str) -> None:
    closure, error, message = bad_closures()[name]
    model = net(3, 2)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=message):
        tw.KFAC(model, PLAIN).step(lambda: closure(model))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_gradient_that_is_not_finite_names_its_layer_and_nothing_moves() -> None:
    model = net(3, 4, 2)
    before = copy.deepcopy(model.state_dict())
    x, y = torch.ones(4, 3, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.float64)

    def poisoned() -> tuple[torch.Tensor, torch.Tensor]:
        loss, outputs = closure_of(model, x, y)()
        model[0].weight.register_hook(lambda g: g * torch.nan)
        return loss, outputs

    with pytest.raises(NonFiniteGradientError, match="gradient of layer `0` has a NaN"):
        tw.KFAC(model, PLAIN).step(poisoned)
    skipping = tw.KFAC(model, PLAIN, nonfinite="skip")
    skipping.step(poisoned)
    assert skipping.skipped == 1
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_factor_that_is_not_finite_names_its_layer() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)).double()
    optimizer = tw.KFAC(model, PLAIN, fisher="empirical")
    loss = model(torch.tensor([[1e200, 1.0]], dtype=torch.float64)).mean()
    loss.backward()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(CurvatureError, match="layer `0`: its factor A has a NaN or an infinity"):
        optimizer.step()
    skipping = tw.KFAC(model, PLAIN, fisher="empirical", nonfinite="skip")
    model(torch.tensor([[1e200, 1.0]], dtype=torch.float64)).mean().backward()
    skipping.step()
    assert skipping.skipped == 1
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("tikhonov", ["factored", "exact"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_singular_factors_without_damping_are_named(tikhonov: Tikhonov, dtype: torch.dtype) -> None:
    model = net(6, 2).to(dtype)
    x, y = torch.randn(3, 6, dtype=dtype), torch.randn(3, 2, dtype=dtype)
    with pytest.raises(CurvatureError, match=r"layer `0`: .* singular.* give a larger `damping`"):
        tw.KFAC(model, PLAIN, damping=0.0, tikhonov=tikhonov, fisher="gauss_newton").step(closure_of(model, x, y))
    tw.KFAC(model, PLAIN, damping=1e-3, tikhonov=tikhonov, fisher="gauss_newton").step(closure_of(model, x, y))
    assert bool(torch.isfinite(model[0].weight).all())


def test_outputs_that_are_not_finite_are_named_or_left_out() -> None:
    model = net(2, 1)
    closure = closure_of(model, torch.tensor([[torch.inf, 1.0]]).double(), torch.zeros(1, 1).double())
    with pytest.raises(CurvatureError, match="the outputs have a NaN or an infinity"):
        tw.KFAC(model, PLAIN).step(closure)
    skipping = tw.KFAC(model, PLAIN, nonfinite="skip")
    skipping.step(closure)
    assert skipping.skipped == 1
    assert bool(torch.isfinite(model[0].weight).all())


BAD_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"damping": -1.0}, HyperparameterError, "kfac: `damping` is -1.0"),
    ({"decay": 1.0}, HyperparameterError, r"`decay` is 1.0; it must be in \[0, 1\)"),
    ({"every": 0}, HyperparameterError, "`every` is 0; it must be a whole number from 1"),
    ({"kl_clip": 0.0}, HyperparameterError, "`kl_clip` is 0.0"),
    ({"fisher": "sample"}, HyperparameterError, "did you mean `sampled`"),
    ({"adapt_every": 5}, HyperparameterError, "give `rescale='momentum'`"),
    ({"rescale": "length", "skip": ("0.bias",)}, ParameterError, r"`0\.bias` is in no layer with factors"),
    ({"skip": ("*",)}, ParameterError, "found no Linear or Conv2d"),
    ({"skip": ("nothing.*",)}, UnknownNameError, "matches no parameter"),
    ({"chain": tw.chain(tw.sophia(), tw.step(0.1))}, ChainError, "KFAC has used it"),
    ({"rescale": "length", "adapt_every": 5, "damping": tw.constant(1.0)}, ChainError, "leave one of them out"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS, ids=lambda value: str(value)[:40])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tw.KFAC(net(3, 2), **options)


def test_parameters_without_their_model_are_refused() -> None:
    with pytest.raises(ParameterError, match="pass the model itself"):
        tw.KFAC(list(net(3, 2).parameters()))  # pyright: ignore[reportArgumentType]
