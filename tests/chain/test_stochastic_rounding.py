"""Stochastic rounding is right on average, and its random bits depend on seed, step, parameter and element alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.errors import ChainError, FormulaError, HyperparameterError
from thalweg.formula import Direction, Update, rule, uniform
from thalweg.kernels.noise import philox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thalweg.chain import Chain
    from thalweg.optimizer.layout import Backend

Array = np.ndarray[Any, Any]

both_backends = pytest.mark.parametrize("backend", ["numba", "reference"])
halves = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)


def descent(seed: float = 0) -> Chain:
    return tw.chain(tw.gradient_descent(), tw.step(1.0), tw.stochastic_rounding(seed))


def parameter_of(value: float, *shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.full(shape, value, dtype=dtype, requires_grad=True)


def philox_by_hand(counter: tuple[Array, int, int, int], key: tuple[int, int]) -> list[Array]:
    """Philox4x32-10 in integers of 64 bits without sign, as its paper has it in Figure 2 and section 4.3."""
    low = np.uint64(2**32 - 1)
    left, right = (
        (np.asarray(counter[0], np.uint64), np.uint64(counter[1])),
        (np.uint64(counter[2]), np.uint64(counter[3])),
    )
    k = [np.uint64(word) for word in key]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * left[0], np.uint64(0xCD9E8D57) * right[0]
        left, right = (
            ((b >> np.uint64(32)) ^ left[1] ^ k[0], b & low),
            ((a >> np.uint64(32)) ^ right[1] ^ k[1], a & low),
        )
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return [np.asarray(word) for word in (*left, *right)]


def uniform_by_hand(size: int, seed: int, step: int, place: int) -> Array:
    """A number for each element: 64 counters a block of 256, whose words lie one behind the other."""
    counters = np.arange(-(-size // 256) * 64)
    words = philox_by_hand((counters, 0, step, place), (seed % 2**32, seed // 2**32))
    return (np.stack([word.reshape(-1, 64) for word in words], axis=1).reshape(-1)[:size] >> np.uint64(8)) / 2**24


def neighbours(values: Array, dtype: torch.dtype) -> tuple[Array, Array]:
    """The numbers of a dtype around positive float32 ones, in float64: the last below or equal, and the one above."""
    if dtype == torch.float16:
        near = values.astype(np.float16)
        below = np.where(near > values, np.nextafter(near, np.float16(0)), near)
        return below.astype(np.float64), np.nextafter(below, np.float16(np.inf)).astype(np.float64)
    bits = values.view(np.uint32) & np.uint32(0xFFFF0000)
    return bits.view(np.float32).astype(np.float64), (bits + np.uint32(0x10000)).view(np.float32).astype(np.float64)


def rounded_by_hand(values: Array, u: Array, dtype: torch.dtype) -> Array:
    below, above = neighbours(np.abs(values), dtype)
    share = (np.abs(values).astype(np.float64) - below) / (above - below)
    return np.copysign(np.where(u < share, above, below), values)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ([2**32 - 1] * 4, [2**32 - 1] * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_random_bits_are_those_of_philox_as_its_authors_publish_them(
    counter: Sequence[int], key: Sequence[int], words: tuple[int, ...]
) -> None:
    assert philox(counter, key) == words  # kat_vectors of Random123, philox4x32 10
    on_tensors = philox([torch.tensor([word]) for word in counter], [torch.tensor([word]) for word in key])
    assert tuple(int(word) for word in on_tensors) == words


@halves
@both_backends
def test_it_is_the_rounding_by_hand(backend: Backend, dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(0)
    seed, sizes = 2**40 + 5, (40_000, 7)
    scales = [torch.logspace(-8, 3, size) for size in sizes]  # far below float16's smallest number, too
    moving = [(torch.randn(s.shape, generator=random) * s).to(dtype).requires_grad_() for s in scales]
    optimizer = tw.Optimizer(moving, descent(seed), backend=backend)
    for step in (1, 2):
        before = [parameter.detach().clone() for parameter in moving]
        for parameter, scale in zip(moving, scales, strict=True):
            parameter.grad = (0.1 * torch.randn(scale.shape, generator=random) * scale).to(dtype)
        optimizer.step()
        for place, (parameter, p) in enumerate(zip(moving, before, strict=True)):
            assert parameter.grad is not None
            exact = (p.float() - parameter.grad.float()).numpy()
            expected = rounded_by_hand(exact, uniform_by_hand(exact.size, seed, step, place), dtype)
            np.testing.assert_array_equal(parameter.detach().double().numpy(), expected)


@halves
@both_backends
@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_its_mean_is_exact(backend: Backend, dtype: torch.dtype, share: float) -> None:
    gap = torch.finfo(dtype).eps
    parameter = parameter_of(1.0, 50_000, dtype=dtype)
    optimizer = tw.Optimizer([parameter], descent(), backend=backend)
    wanted = torch.tensor(share * gap).to(dtype).item()
    parameter.grad = torch.full_like(parameter, -wanted)
    optimizer.step()
    up = wanted / gap
    deviation = math.sqrt(up * (1 - up) / parameter.numel())
    assert set(parameter.tolist()) == {1.0, 1.0 + gap}
    assert (parameter.detach().double().mean().item() - 1) / gap == pytest.approx(up, abs=4 * deviation)


@both_backends
def test_small_steps_count_on_average(backend: Backend) -> None:
    parameter = parameter_of(1.0, 2000)
    optimizer = tw.Optimizer([parameter], descent(), backend=backend)
    for _ in range(300):
        parameter.grad = torch.full_like(parameter, 1e-4)
        optimizer.step()
    moved = 300 * torch.tensor(1e-4).bfloat16().item()
    spread = math.sqrt(moved * 2**-8 / 2000)  # each step is a gap of 2⁻⁸, taken with the probability step / gap
    assert parameter.detach().double().mean().item() == pytest.approx(1 - moved, abs=4 * spread)


def test_seeds_steps_parameters_and_elements_draw_apart() -> None:
    half = 2**-8
    moving = [parameter_of(1.0, 100_000) for _ in range(4)]
    optimizers = [tw.Optimizer(moving[:2], descent(0)), tw.Optimizer(moving[2:], descent(1))]
    drawn: list[Tensor] = []
    for _ in range(2):
        for parameter in moving:
            parameter.detach().fill_(1.0)
            parameter.grad = torch.full_like(parameter, -half)
        for optimizer in optimizers:
            optimizer.step()
        drawn += [(parameter.detach() > 1).double() for parameter in moving]
    drawn += [drawn[0].roll(shift) for shift in (1, 64, 256, 32_768)]
    correlations = torch.corrcoef(torch.stack(drawn)) - torch.eye(len(drawn), dtype=torch.float64)
    assert correlations.abs().max() < 5 / math.sqrt(100_000)


def test_threads_absent_gradients_and_resuming_change_no_bit() -> None:
    def gradients(step: int) -> list[Tensor]:
        random = torch.Generator().manual_seed(step)
        return [1e-3 * torch.randn(70_000, generator=random).bfloat16() for _ in range(2)]

    def run(steps: Sequence[int], optimizer: tw.Optimizer, skip_first: Sequence[int] = ()) -> None:
        first, second = optimizer.param_groups[0]["params"]
        for step in steps:
            first.grad, second.grad = gradients(step)
            if step in skip_first:
                first.grad = None
            optimizer.step()

    def fresh() -> tw.Optimizer:
        return tw.Optimizer([parameter_of(1.0, 70_000), parameter_of(1.0, 70_000)], descent(7))

    through = fresh()
    run(range(6), through)
    torch.set_num_threads(2)
    try:
        threaded = fresh()
        run(range(6), threaded)
    finally:
        torch.set_num_threads(1)
    absent = fresh()
    run(range(6), absent, skip_first=(1, 4))
    stopped = fresh()
    run(range(3), stopped)
    resumed = fresh()
    for own, other in zip(resumed.param_groups[0]["params"], stopped.param_groups[0]["params"], strict=True):
        own.data.copy_(other.data)
    resumed.load_state_dict(stopped.state_dict())
    run(range(3, 6), resumed)
    expected = through.param_groups[0]["params"]
    for other in (threaded, resumed):
        assert all(torch.equal(a, b) for a, b in zip(other.param_groups[0]["params"], expected, strict=True))
    assert torch.equal(absent.param_groups[0]["params"][1], expected[1])


@both_backends
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_wider_parameters_stay_as_they_are(backend: Backend, dtype: torch.dtype) -> None:
    plain, behind = (parameter_of(1.0, 300, dtype=dtype) for _ in range(2))
    chains = [tw.chain(tw.adam(), tw.step(0.1)), tw.chain(tw.adam(), tw.step(0.1), tw.stochastic_rounding())]
    for parameter, chain in zip((plain, behind), chains, strict=True):
        parameter.grad = torch.linspace(-1, 1, 300, dtype=dtype)
        tw.Optimizer([parameter], chain, backend=backend).step()
    assert torch.equal(plain, behind)


def test_beside_sums_over_rows_it_draws_the_same() -> None:
    moving = [parameter_of(1.0, 130, 33) for _ in range(2)]
    chain = tw.chain(tw.adafactor(), tw.step(1e-3), tw.stochastic_rounding(seed=2))
    for parameter, backend in zip(moving, ("numba", "reference"), strict=True):
        parameter.grad = torch.linspace(-1, 1, 130 * 33).reshape(130, 33).bfloat16()
        tw.Optimizer([parameter], chain, backend=backend).step()  # pyright: ignore[reportArgumentType]
    assert torch.equal(*moving)
    assert len(set(moving[0].flatten().tolist())) > 1


@both_backends
def test_what_is_not_finite_stays_so(backend: Backend) -> None:
    parameter = parameter_of(1.0, 4)
    parameter.grad = torch.tensor([math.nan, math.inf, -math.inf, -3e38], dtype=torch.bfloat16)
    parameter.detach()[3] = 3e38
    tw.Optimizer([parameter], descent(), backend=backend, nonfinite="propagate").step()
    assert [str(value) for value in parameter.tolist()] == ["nan", "-inf", "inf", "inf"]


@pytest.mark.parametrize("seed", [0.5, -1, 2**48, math.inf])
def test_a_seed_is_a_whole_number(seed: float) -> None:
    with pytest.raises(HyperparameterError, match=r"`seed` is .*; it must lie in \[0, 2.81475e\+14\), and whole"):
        tw.stochastic_rounding(seed)


def test_a_formula_draws_by_what_one_step_has_one_of() -> None:
    def by_gradient(g: Direction) -> Update:
        return uniform(g, 0)

    made = rule(title="Noise", source="a test")(by_gradient)
    with pytest.raises(FormulaError, match="uniform takes a seed and a step, and g has a value for each element"):
        tw.Optimizer([parameter_of(1.0, 3)], tw.chain(made(), tw.step(0.1)))


def test_what_cannot_draw_says_so() -> None:
    with pytest.raises(ChainError, match="draws random numbers, and functional"):
        tw.functional(descent())
