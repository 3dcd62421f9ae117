"""Random numbers and states in 8 bits on Triton's interpreter: bit for bit those of the CPU's kernels."""

# ruff: noqa: ANN401  # backends and states' dtypes as an optimizer takes them

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from thalweg.errors import BackendError, NonFiniteGradientError
from thalweg.formula import Direction, Step, Update, rule, uniform
from thalweg.kernels import plan
from thalweg.kernels.triton.emit import CHUNK
from thalweg.kernels.triton.tile_emit import emit_tiles

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.chain import Chain

SHAPES = ((3, 4), (), (255,), (256,), (1100,), (CHUNK + 600,))
SEED = 2**40 + 5
DESCENT = tw.chain(tw.gradient_descent(), tw.step(1.0), tw.stochastic_rounding(SEED))
ADAM = tw.chain(tw.adam(), tw.step(0.1))
ROUNDED = tw.chain(tw.clip(1.0), tw.adam(), tw.step(1e-2), tw.stochastic_rounding(3))
BY_ROW = tw.chain(tw.adafactor(), tw.step(1e-2), tw.stochastic_rounding(3))
CASES: list[tuple[Chain, torch.dtype, Any]] = [
    (DESCENT, torch.bfloat16, None),
    (DESCENT, torch.float16, None),
    (ADAM, torch.float32, "8bit"),
    (ADAM, torch.float64, "8bit"),
    (ROUNDED, torch.bfloat16, "8bit"),
    (ROUNDED, torch.float16, {"m": torch.float32, "v": "8bit"}),
    (BY_ROW, torch.bfloat16, torch.float32),
]


def walked(
    backend: Any, chain: Chain, dtype: torch.dtype, state_dtype: Any, shapes: Any = SHAPES, **settings: Any
) -> list[dict[str, Tensor]]:
    """Parameters and states after two steps, with gradients of every size."""
    random = torch.Generator().manual_seed(0)
    tensors = [torch.randn(shape, generator=random).to(dtype).requires_grad_() for shape in shapes]
    optimizer = tw.Optimizer(tensors, chain, backend=backend, state_dtype=state_dtype, **settings)
    for _ in range(2):
        for tensor in tensors:
            scale = torch.logspace(-7, 1, tensor.numel()).reshape(tensor.shape)
            tensor.grad = (torch.randn(tensor.shape, generator=random) * scale).to(dtype)
        optimizer.step()
    optimizer.wait()
    return [{"p": tensor.detach(), **optimizer.state[tensor]} for tensor in tensors]


def assert_alike(found: list[dict[str, Tensor]], expected: list[dict[str, Tensor]]) -> None:
    for own, other in zip(found, expected, strict=True):
        assert list(own) == list(other)
        for name, value in own.items():
            torch.testing.assert_close(value, other[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("chain", "dtype", "state_dtype"), CASES)
def test_they_are_those_of_the_cpus_kernels(chain: Chain, dtype: torch.dtype, state_dtype: Any, triton: str) -> None:
    shapes = ((130, 33), (5,), (3, 700)) if chain is BY_ROW else SHAPES
    found = walked(triton, chain, dtype, state_dtype, shapes)
    assert_alike(found, walked("numba", chain, dtype, state_dtype, shapes))


def test_random_numbers_are_those_of_the_reference_in_every_precision(triton: str) -> None:
    def noisy(g: Direction, t: Step) -> Update:
        return g + uniform(SEED, 2**30 * t + 7) - uniform(1, t)

    chain = tw.chain(rule(title="Noise", source="a test")(noisy)(), tw.step(1.0))
    for dtype in (torch.float32, torch.float64):
        found = walked(triton, chain, dtype, None)
        assert_alike(found, walked("reference", chain, dtype, None))


def test_a_device_that_counts_draws_and_keeps_the_same(triton: str) -> None:
    found = walked(triton, ROUNDED, torch.bfloat16, "8bit", capturable=True)
    assert_alike(found, walked("numba", ROUNDED, torch.bfloat16, "8bit"))


def test_a_parameter_in_another_layout_has_the_same_codes(triton: str) -> None:
    plain = torch.arange(2 * 3 * 40 * 5.0).reshape(2, 3, 40, 5).sin().requires_grad_()
    laid = plain.detach().to(memory_format=torch.channels_last).clone().requires_grad_()
    gradient, states = plain.detach().cos(), []
    for parameter in (plain, laid):
        optimizer = tw.Optimizer([parameter], ADAM, backend=triton, state_dtype="8bit", nonfinite="skip")
        parameter.grad = gradient
        optimizer.step()
        states.append({"p": parameter.detach(), **optimizer.state[parameter]})
    assert_alike(states[:1], states[1:])


def test_elements_with_a_gradient_that_is_not_finite_keep_what_their_codes_stand_for(triton: str) -> None:
    found = []
    for backend in (triton, "numba"):
        parameter = torch.ones(600, requires_grad=True)
        optimizer: Any = tw.Optimizer([parameter], ADAM, backend=backend, state_dtype="8bit")
        for bad in (1.0, math.nan, 1.0):
            parameter.grad = torch.linspace(-1, 2, 600)
            parameter.grad[3] = bad
            try:
                optimizer.step()
            except NonFiniteGradientError:
                assert math.isnan(bad)
        found.append({"p": parameter.detach(), **optimizer.state[parameter]})
    assert_alike(found[:1], found[1:])


def test_what_is_not_finite_takes_its_block_with_it(triton: str) -> None:
    found = []
    for backend in (triton, "numba"):
        parameter = torch.ones(600, requires_grad=True)
        optimizer: Any = tw.Optimizer([parameter], ADAM, backend=backend, state_dtype="8bit", nonfinite="propagate")
        for bad in (math.inf, math.nan):
            parameter.grad = torch.ones(600)
            parameter.grad[3] = bad
            optimizer.step()
        found.append({"p": parameter.detach(), **optimizer.state[parameter]})
    assert_alike(found[:1], found[1:])
    assert found[0]["p"].isnan().tolist() == [True] * 256 + [False] * 344


def test_tiles_have_no_states_in_8_bits() -> None:
    planned = plan(tw.chain(tw.adam(), tw.adafactor(), tw.step(0.1)).trace())
    with pytest.raises(BackendError, match="sums over rows or columns keeps no states in 8 bits"):
        emit_tiles(planned, "float32", width=128, guard=True, dtypes=dict.fromkeys(planned.slots[2:], "int8"))
