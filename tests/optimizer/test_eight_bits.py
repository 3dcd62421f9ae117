"""States in 8 bits: the paper's algorithm by hand, close to Adam in float32, the same on any number of threads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.errors import BackendError, HyperparameterError, NonFiniteGradientError
from thalweg.kernels.eight_bits import dequantise

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.optimizer.layout import Backend

Array = np.ndarray[Any, Any]

ADAM = tw.chain(tw.adam(), tw.step(1e-2))
both_backends = pytest.mark.parametrize("backend", ["numba", "reference"])


def map_by_hand(*, signed: bool) -> Array:
    """See `tests/kernels/test_eight_bits.py`; ordered by size, so that a tie goes to the smaller."""
    sizes = [0.0, 1.0]
    for zeros in range(7):
        parts = 2 ** (6 - zeros + (not signed))
        own = [10.0**-zeros * (0.1 + 0.9 * (part + 0.5) / parts) for part in range(parts)]
        sizes += [*own, *((-size for size in own) if signed else ())]
    return np.array(sorted(sizes, key=abs))


def kept_by_hand(values: Array, *, signed: bool) -> Array:
    """What blocks of 256 keep of float32 values."""
    known = map_by_hand(signed=signed)
    kept: list[Array] = []
    for start in range(0, len(values), 256):
        block = values[start : start + 256]
        absmax = np.abs(block).max()
        near = np.abs(known[None] - (block / absmax).astype(np.float64)[:, None]).argmin(axis=1)
        if not signed:
            near = np.where((block > 0) & (near == 0), 1, near)
        kept.append(known[near].astype(np.float32) * absmax)
    return np.concatenate(kept)


def gradients_of(size: int, count: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    scale = torch.logspace(-4, 0, size)
    return [torch.randn(size, generator=random) * scale for _ in range(count)]


@both_backends
def test_it_is_adam_with_block_wise_quantisation_by_hand(backend: Backend) -> None:
    parameter = torch.ones(600, requires_grad=True)
    optimizer = tw.Optimizer([parameter], ADAM, backend=backend, state_dtype="8bit")
    p = np.ones(600)
    m, v = np.zeros(600, np.float32), np.zeros(600, np.float32)
    for t, gradient in enumerate(gradients_of(600, 6), start=1):
        parameter.grad, g = gradient, gradient.numpy()
        optimizer.step()
        m = np.float32(0.9) * m + np.float32(1 - 0.9) * g
        v = np.float32(0.999) * v + np.float32(1 - 0.999) * (g * g)
        p -= 1e-2 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        m, v = kept_by_hand(m, signed=True), kept_by_hand(v, signed=False)
        np.testing.assert_allclose(parameter.detach().numpy(), p, rtol=0, atol=1e-6)
    state = optimizer.state[parameter]
    assert {name: value.dtype for name, value in state.items()} == {
        "step": torch.float32,
        "m": torch.int8,
        "m.absmax": torch.float32,
        "v": torch.uint8,
        "v.absmax": torch.float32,
    }
    for name, expected in (("m", m), ("v", v)):
        np.testing.assert_allclose(dequantise(state[name], state[f"{name}.absmax"]), expected, rtol=1e-6)


def test_it_learns_as_adam_in_float32_does() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(512, 20, generator=random)
    y = (x[:, :3].prod(1) + x[:, 3] > 0).float()

    def trained(state_dtype: Any) -> tuple[float, Tensor]:  # noqa: ANN401  # as an optimizer takes it
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
        optimizer = tw.Optimizer(model, ADAM, state_dtype=state_dtype)
        batches = torch.Generator().manual_seed(1)
        for _ in range(150):
            rows = torch.randint(512, (64,), generator=batches)
            optimizer.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(model(x[rows])[:, 0], y[rows]).backward()
            optimizer.step()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], y).item()
        return loss, torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    (exact, expected), (loss, found) = trained(None), trained("8bit")
    assert exact < 0.3
    assert loss == pytest.approx(exact, rel=0.05)
    assert (found - expected).norm() < 0.05 * expected.norm()


def test_threads_change_no_bit_and_backends_keep_the_same_codes() -> None:
    def run(backend: Backend, threads: int) -> tuple[Tensor, dict[str, Any]]:
        torch.set_num_threads(threads)
        try:
            parameter = torch.ones(70_000).bfloat16().requires_grad_()
            optimizer = tw.Optimizer([parameter], ADAM, backend=backend, state_dtype="8bit")
            for gradient in gradients_of(70_000, 3):
                parameter.grad = gradient.bfloat16()
                optimizer.step()
            return parameter, dict(optimizer.state[parameter])
        finally:
            torch.set_num_threads(1)

    expected, states = run("numba", 1)
    for other, own in (run("numba", 2), run("reference", 1)):
        assert torch.equal(other, expected)
        assert all(torch.equal(own[name], states[name]) for name in states)


@both_backends
def test_a_parameter_in_another_layout_steps_as_a_plain_one(backend: Backend) -> None:
    plain = torch.arange(2 * 3 * 40 * 5.0).reshape(2, 3, 40, 5).sin().requires_grad_()
    laid = plain.detach().to(memory_format=torch.channels_last).clone().requires_grad_()
    optimizers = [tw.Optimizer([p], ADAM, backend=backend, state_dtype="8bit") for p in (plain, laid)]
    for step in range(3):
        gradient = (plain.detach() + step).cos()
        for parameter, optimizer in zip((plain, laid), optimizers, strict=True):
            parameter.grad = gradient
            optimizer.step()
    assert laid.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(plain, laid)
    assert torch.equal(optimizers[0].state[plain]["m"], optimizers[1].state[laid]["m"])


def test_one_for_all_leaves_copies_of_the_parameter_and_what_is_beside_it() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(30, 20), torch.nn.LayerNorm(20))
    chain = tw.chain(tw.clip(1.0), tw.muon(only="matrix"), tw.adam(skip="matrix"), tw.step(0.01), tw.ema())
    optimizer = tw.Optimizer(model, chain, state_dtype="8bit", roles={"0.weight": "matrix"})
    model(torch.ones(4, 30)).square().sum().backward()
    optimizer.step()
    weight, bias = (optimizer.state[parameter] for parameter in model[0].parameters())
    assert weight["average"].dtype == bias["average"].dtype == torch.float32
    assert [bias[name].dtype for name in ("adam.m", "v")] == [torch.int8, torch.uint8]
    with optimizer.evaluating():
        pass


@both_backends
def test_an_average_in_8_bits_is_evaluated(backend: Backend) -> None:
    parameter = torch.linspace(-1, 1, 300, requires_grad=True)
    chain = tw.chain(tw.gradient_descent(), tw.step(0.1), tw.ema())
    optimizer = tw.Optimizer([parameter], chain, backend=backend, state_dtype={"average": "8bit"})
    parameter.grad = torch.zeros(300)
    optimizer.step()
    expected = torch.from_numpy(kept_by_hand(parameter.detach().numpy(), signed=True))
    with optimizer.evaluating():
        torch.testing.assert_close(parameter.detach(), expected)


@both_backends
def test_a_gradient_that_is_not_finite_moves_its_element_only_where_it_is_propagated(backend: Backend) -> None:
    parameter = torch.ones(600, requires_grad=True)
    optimizer = tw.Optimizer([parameter], ADAM, backend=backend, state_dtype="8bit")
    parameter.grad = torch.ones(600)
    parameter.grad[3] = math.nan
    with pytest.raises(NonFiniteGradientError):
        optimizer.step()
    assert parameter[3] == 1
    assert optimizer.state[parameter]["m"][3] == 0
    assert parameter.detach()[4:].max() < 1
    propagated = torch.ones(600, requires_grad=True)
    optimizer = tw.Optimizer([propagated], ADAM, backend=backend, state_dtype="8bit", nonfinite="propagate")
    propagated.grad = parameter.grad
    optimizer.step()
    propagated.grad = torch.ones(600)
    optimizer.step()
    assert propagated.isnan().tolist() == [True] * 256 + [False] * 344  # what is not finite takes its block


def test_a_second_moment_that_is_not_zero_does_not_become_zero() -> None:
    """Or else the first moment of an element with a small gradient would be divided by eps alone."""
    parameter = torch.zeros(256, requires_grad=True)
    optimizer = tw.Optimizer([parameter], ADAM, state_dtype="8bit")
    parameter.grad = torch.full((256,), 1e-3)
    parameter.grad[0] = 10.0
    optimizer.step()
    before = parameter.detach().clone()
    parameter.grad = torch.zeros(256)
    optimizer.step()
    assert (parameter.detach() - before).abs().max() < 0.1


def test_what_cannot_be_is_refused() -> None:
    parameter = torch.ones(3, 4, requires_grad=True)
    with pytest.raises(HyperparameterError, match="sums over rows or columns, where blocks have no place"):
        tw.Optimizer([parameter], tw.chain(tw.adafactor(), tw.step(0.1)), state_dtype="8bit")


def test_a_sparse_gradient_has_no_blocks() -> None:
    table = torch.nn.Embedding(10, 4, sparse=True)
    optimizer = tw.Optimizer(table, tw.chain(tw.adagrad(), tw.step(0.1)), state_dtype="8bit")
    table(torch.tensor([1, 3])).sum().backward()
    with pytest.raises(BackendError, match=r"sparse, and its parameter has states in 8 bits, .* choose torch.bfloat16"):
        optimizer.step()


@both_backends
def test_sums_of_gradients_stay_exact_and_lie_as_the_states_in_8_bits_do(backend: Backend) -> None:
    """Also between the moves, in a layout that the blocks do not follow."""
    plain = torch.arange(2 * 3 * 4 * 50.0).reshape(2, 3, 4, 50).sin().requires_grad_()
    laid = plain.detach().to(memory_format=torch.channels_last).clone().requires_grad_()
    chain = tw.chain(tw.accumulate(3), tw.adam(), tw.step(0.01))
    optimizers = [tw.Optimizer([p], chain, backend=backend, state_dtype="8bit") for p in (plain, laid)]
    for step in range(5):
        gradient = (plain.detach() + step).cos()
        for parameter, optimizer in zip((plain, laid), optimizers, strict=True):
            parameter.grad = gradient
            optimizer.step()
    sums, codes = (optimizers[0].state[plain][name] for name in ("gathered", "m"))
    assert sums.dtype == torch.float32
    assert sums.any()
    assert codes.dtype == torch.int8
    assert torch.equal(plain, laid)
    assert torch.equal(sums, optimizers[1].state[laid]["gathered"])
