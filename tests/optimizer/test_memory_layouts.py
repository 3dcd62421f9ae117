"""However a parameter and its gradient lie in memory, the step is that of plain tensors; what lies between stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from descents import optimizer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thalweg.optimizer.layout import Backend

CHANNELS_LAST = torch.channels_last
LAYOUTS: dict[str, Callable[[], Tensor]] = {
    "contiguous": lambda: torch.randn(4, 6),
    "transposed": lambda: torch.randn(6, 4).t(),
    "permuted": lambda: torch.randn(3, 4, 5).permute(2, 0, 1),
    "channels last": lambda: torch.randn(2, 3, 4, 5).to(memory_format=CHANNELS_LAST),
    "one channel": lambda: torch.randn(2, 1, 4, 5).to(memory_format=CHANNELS_LAST),
    "every second row": lambda: torch.randn(8, 6)[::2],
    "every third column": lambda: torch.randn(4, 18)[:, 1::3],
    "a column": lambda: torch.randn(9, 4)[:, 2],
    "a slice in the middle": lambda: torch.randn(50)[7:33],
    "a transposed slice with gaps": torch.randn(9, 8)[1::2, ::3].t,
    "a scalar": lambda: torch.randn(()),
    "a scalar in a vector": lambda: torch.randn(5)[3],
    "one element": lambda: torch.randn(1, 1, 1),
    "empty": lambda: torch.randn(3, 0, 2),
}
GRADIENTS: dict[str, Callable[[Tensor], Tensor]] = {
    "as it comes": torch.clone,
    "contiguous": lambda g: g.clone(memory_format=torch.contiguous_format),
    "transposed": lambda g: g.permute(turn(g)).contiguous().permute(turn(g)),
    "with gaps": lambda g: torch.stack([g, g + 7], dim=-1)[..., 0],
    "expanded": lambda g: g.mean().expand(g.shape),
}


def turn(tensor: Tensor) -> list[int]:
    """The dimensions from last to first."""
    return list(reversed(range(tensor.dim())))


backends = pytest.mark.parametrize("backend", ["numba", "reference"])


@backends
@pytest.mark.parametrize("change", GRADIENTS.values(), ids=GRADIENTS)
@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_a_parameter_in_any_layout_steps_as_a_plain_one(
    make: Callable[[], Tensor], change: Callable[[Tensor], Tensor], backend: Backend
) -> None:
    parameter = make()
    plain = parameter.contiguous().clone().requires_grad_()
    parameter.requires_grad_()
    optimizer, plainly = (optimizer_of("adam", [p], backend=backend) for p in (parameter, plain))
    strides = parameter.stride()
    for _ in range(3):
        parameter.grad = change(torch.randn(parameter.shape))
        plain.grad = parameter.grad.contiguous().clone()
        optimizer.step()
        plainly.step()
        assert torch.equal(parameter, plain)
    assert parameter.stride() == strides
    for name in ("m", "v"):
        assert torch.equal(optimizer.state[parameter][name], plainly.state[plain][name])


@backends
def test_what_lies_between_the_elements_of_a_parameter_is_not_touched(backend: Backend) -> None:
    whole = torch.randn(9, 12)
    before = whole.clone()
    inside = torch.zeros_like(whole, dtype=torch.bool)
    inside[1::2, ::3] = True
    parameter = whole[1::2, ::3].requires_grad_()
    parameter.grad = torch.ones_like(parameter)
    optimizer_of("adam", [parameter], backend=backend).step()
    assert torch.equal(whole[~inside], before[~inside])
    assert (whole[inside] != before[inside]).all()


@backends
def test_parameters_that_are_views_of_one_memory_are_stepped_each_on_its_own(backend: Backend) -> None:
    whole = torch.ones(10)
    parts = [whole[:4].requires_grad_(), whole[4:].requires_grad_()]
    for part, gradient in zip(parts, (1.0, -1.0), strict=True):
        part.grad = torch.full_like(part, gradient)
    optimizer_of("gradient_descent", parts, backend=backend).step()
    assert torch.equal(whole, torch.tensor([0.95] * 4 + [1.05] * 6))


@backends
@pytest.mark.parametrize("rule", ["gradient_descent", "heavy_ball", "adam", "rprop"])
def test_a_gradient_may_be_the_parameter_itself(rule: str, backend: Backend) -> None:
    aliased = torch.linspace(-3, 3, 1001).requires_grad_()
    apart = aliased.detach().clone().requires_grad_()
    optimizers = [optimizer_of(rule, [p], backend=backend) for p in (aliased, apart)]
    for _ in range(3):
        aliased.grad, apart.grad = aliased.data, apart.data.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert torch.equal(aliased, apart)


@backends
def test_one_gradient_may_serve_two_parameters(backend: Backend) -> None:
    some, others, shared = torch.ones(5).requires_grad_(), torch.ones(5).requires_grad_(), torch.randn(5)
    some.grad = others.grad = shared
    before = shared.clone()
    optimizer_of("adam", [some, others], backend=backend).step()
    assert torch.equal(some, others)
    assert torch.equal(shared, before)


@backends
@pytest.mark.parametrize("of", ["gradient", "parameter"])
def test_a_negative_view_counts_with_its_sign(of: str, backend: Backend) -> None:
    parameter = torch._neg_view(torch.ones(3)) if of == "parameter" else torch.full((3,), -1.0)
    parameter.requires_grad_()
    parameter.grad = torch._neg_view(torch.ones(3)) if of == "gradient" else torch.full((3,), -1.0)
    optimizer_of("gradient_descent", [parameter], backend=backend).step()
    torch.testing.assert_close(parameter.detach().clone(), torch.full((3,), -0.95))


@backends
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_a_gradient_of_another_dtype_is_read_as_numbers_and_not_as_bits(dtype: torch.dtype, backend: Backend) -> None:
    parameter = torch.ones(1000, requires_grad=True)
    parameter.grad_dtype = None  # any dtype may be assigned
    parameter.grad = torch.full((1000,), 2.0, dtype=dtype)
    optimizer_of("gradient_descent", [parameter], backend=backend).step()
    torch.testing.assert_close(parameter.detach(), torch.full((1000,), 0.9))


@st.composite
def strided(draw: st.DrawFn) -> Tensor:
    """A view of some memory: a permutation of a slice of a tensor of up to three dimensions."""
    sizes = draw(st.lists(st.integers(0, 5), max_size=3))
    steps = [draw(st.integers(1, 3)) for _ in sizes]
    starts = [draw(st.integers(0, 2)) for _ in sizes]
    memory = torch.randn([start + size * step for start, size, step in zip(starts, sizes, steps, strict=True)])
    for dimension, (start, size, step) in enumerate(zip(starts, sizes, steps, strict=True)):
        memory = memory.narrow(dimension, start, size * step)
        memory = memory[(slice(None),) * dimension + (slice(None, None, step),)]
    return memory.permute(draw(st.permutations(range(len(sizes)))))


@settings(max_examples=60)
@given(data=st.data())
def test_any_shapes_strides_dtypes_and_split_into_groups_step_as_plain_tensors_do_alone(data: st.DataObject) -> None:
    dtypes = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])
    tensors = [data.draw(strided()).to(data.draw(dtypes)).requires_grad_() for _ in range(data.draw(st.integers(1, 4)))]
    alone = [tensor.detach().clone(memory_format=torch.contiguous_format).requires_grad_() for tensor in tensors]
    rates = [data.draw(st.sampled_from([0.1, 0.2])) for _ in tensors]
    rule = data.draw(st.sampled_from(["adam", "rprop"]))
    groups = [{"params": [t], "delta0" if rule == "rprop" else "lr": r} for t, r in zip(tensors, rates, strict=True)]
    optimizer = optimizer_of(rule, groups)
    lone = [optimizer_of(rule, [{**group, "params": [t]}]) for group, t in zip(groups, alone, strict=True)]
    for _ in range(2):
        present = [data.draw(st.booleans()) for _ in tensors]
        for tensor, plain, has_gradient in zip(tensors, alone, present, strict=True):
            tensor.grad = torch.randn(tensor.shape).to(tensor.dtype) if has_gradient else None
            plain.grad = None if tensor.grad is None else tensor.grad.clone()
        optimizer.step()
        for each in lone:
            each.step()
    for tensor, plain in zip(tensors, alone, strict=True):
        assert torch.equal(tensor, plain)
