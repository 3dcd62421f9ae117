"""What kernels compute, on Triton's interpreter: for every dialect the same as the reference backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import SHAPES, descend, give_gradients, parameters, usual_chain
from dialects import DIALECTS, Dialect
from thalweg.chain.clip import clip
from thalweg.errors import NonFiniteGradientError
from thalweg.formula import Direction, Step, Update, exp, log, rule, sqrt, where
from thalweg.kernels.triton.emit import CHUNK
from tolerances import BACKENDS, deviation

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.chain import Chain
    from thalweg.optimizer.layout import NonFinite

WITH_A_WHOLE_BLOCK = (*SHAPES, (600,))
HALF = [torch.bfloat16, torch.float16]
_EVERY_OPERATION = [
    "adam(beta1=0.8, beta2=0.95, eps=0.0001)",
    "rprop(delta0=0.05, eta_minus=0.4, eta_plus=1.3, delta_min=0.001, delta_max=0.5, form='rprop+')",
    "lion(beta1=0.7, beta2=0.95)",
]
A_FEW = [dialect for dialect in DIALECTS if str(dialect) in _EVERY_OPERATION]


def of_both(
    chain: Chain, shapes: tuple[tuple[int, ...], ...], dtype: torch.dtype, triton: str, steps: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Where parameters and states arrive, by our kernels and by the reference."""
    arrived = []
    for backend in (triton, "reference"):
        optimizer = tw.Optimizer(parameters(shapes, dtype), chain, backend=backend)
        moved = descend(optimizer, steps)
        kept = [value for state in optimizer.state.values() for name, value in state.items() if name != "step"]
        arrived.append([*moved, *kept])
    return arrived[0], arrived[1]


def test_a_few_dialects_are_found() -> None:
    assert len(A_FEW) == len(_EVERY_OPERATION)


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_every_dialect_steps_as_the_reference_does(dialect: Dialect, triton: str) -> None:
    chain = usual_chain(dialect.stage, dialect.schedule)
    found, expected = of_both(chain, WITH_A_WHOLE_BLOCK, torch.float32, triton, 3)
    assert deviation(found, expected) <= BACKENDS[torch.float32]


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_every_dialect_steps_so_in_double_precision(dialect: Dialect, triton: str) -> None:
    found, expected = of_both(usual_chain(dialect.stage), ((3, 4), (), (300,)), torch.float64, triton, 2)
    assert deviation(found, expected) <= BACKENDS[torch.float64]


@pytest.mark.parametrize("dialect", A_FEW, ids=str)
def test_half_precision_is_computed_in_single_and_rounded_to_the_nearest(dialect: Dialect, triton: str) -> None:
    found, expected = of_both(usual_chain(dialect.stage), ((3, 4), (), (1030,)), torch.float16, triton, 2)
    assert deviation(found, expected) <= BACKENDS[torch.float32]


@pytest.mark.parametrize("dialect", A_FEW, ids=str)
def test_bfloat16_is_off_by_no_more_than_its_last_bit(dialect: Dialect, triton: str) -> None:
    # the interpreter cuts off what a GPU rounds
    found, expected = of_both(usual_chain(dialect.stage), ((3, 4), (), (1030,)), torch.bfloat16, triton, 1)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=2.0**-7, atol=0)


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 517])
def test_tensors_of_several_chunks_step_as_the_reference_does(size: int, triton: str) -> None:
    chain = tw.chain(tw.adam(), tw.step(0.1))
    found, expected = of_both(chain, ((3,), (size,), (5,)), torch.float32, triton, 1)
    assert deviation(found, expected) <= BACKENDS[torch.float32]


@pytest.mark.parametrize("dtype", [torch.float32, *HALF], ids=str)
@pytest.mark.parametrize("offset", [1, 3])
def test_an_address_that_is_no_multiple_of_sixteen_steps_as_another(
    dtype: torch.dtype, offset: int, triton: str
) -> None:
    whole = torch.randn(1100).to(dtype)
    shifted, plain = whole[offset:].requires_grad_(), whole[offset:].clone().requires_grad_()
    assert shifted.data_ptr() % 16
    for tensor in (shifted, plain):
        descend(tw.Optimizer([tensor], tw.chain(tw.adam(), tw.step(0.1)), backend=triton), 1)
    assert torch.equal(shifted, plain)


def test_parameters_that_are_views_of_one_memory_are_stepped_each_on_its_own(triton: str) -> None:
    whole = torch.ones(700)
    parts = [whole[:603].requires_grad_(), whole[603:].requires_grad_()]
    for part, gradient in zip(parts, (1.0, -1.0), strict=True):
        part.grad = torch.full_like(part, gradient)
    tw.Optimizer(parts, usual_chain("gradient_descent"), backend=triton).step()
    assert torch.equal(whole, torch.tensor([0.95] * 603 + [1.05] * 97))


@pytest.mark.parametrize("kind", ["euclidean", "largest"])
@pytest.mark.parametrize("per", ["model", "tensor"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
def test_sums_over_a_tensor_and_the_model_are_those_of_the_reference(
    dtype: torch.dtype, per: str, kind: str, triton: str
) -> None:
    chain = tw.chain(clip(0.1, per=per, kind=kind), tw.adam(), tw.step(0.1))
    found, expected = of_both(chain, ((3, 4), (), (CHUNK + 600,)), dtype, triton, 2)
    assert deviation(found, expected) <= BACKENDS.get(dtype, BACKENDS[torch.float32])


def test_what_no_rule_of_ours_uses_is_computed_too(triton: str) -> None:
    def strange(g: Direction) -> Update:
        late = where((g > 0) & (g < 1) | (abs(g) <= 0.1), exp(-(g**2)), log(1 + abs(g)))
        return late + abs(g) ** 1.5 + g**3 - sqrt(abs(g)) ** 0.1 + 2.0**g

    chain = tw.chain(rule(title="Strange", source="a test")(strange)(), tw.step(0.1))
    for dtype in (torch.float32, torch.float64):
        found, expected = of_both(chain, ((7, 11), (300,)), dtype, triton, 2)
        assert deviation(found, expected) <= BACKENDS[dtype]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dialect", A_FEW, ids=str)
def test_elements_with_a_gradient_that_is_not_finite_stay_and_all_others_move(
    dialect: Dialect, bad: float, triton: str
) -> None:
    tensors, clean = (parameters(WITH_A_WHOLE_BLOCK, torch.float32) for _ in range(2))
    optimizers = [tw.Optimizer(some, usual_chain(dialect.stage), backend=triton) for some in (tensors, clean)]
    for some, optimizer in zip((tensors, clean), optimizers, strict=True):
        give_gradients(some, 0)
        optimizer.step()
        give_gradients(some, 1)
    before = [tensor.detach().clone() for tensor in tensors]
    states = [{n: v.clone() for n, v in optimizers[0].state[tensor].items()} for tensor in tensors]
    holes = {2: 4, 6: 17}
    for place, element in holes.items():
        tensors[place].grad[element] = bad
    optimizers[1].step()
    with pytest.raises(NonFiniteGradientError, match="parameter 2 of group 0"):
        optimizers[0].step()
    for place, (tensor, other) in enumerate(zip(tensors, clean, strict=True)):
        expected = {"p": other.detach().clone()} | {n: v.clone() for n, v in optimizers[1].state[other].items()}
        if place in holes:
            expected["p"][holes[place]] = before[place][holes[place]]
            for name in states[place].keys() - {"step"}:
                expected[name][holes[place]] = states[place][name][holes[place]]
        assert torch.equal(tensor, expected["p"])
        for name in states[place].keys() - {"step"}:
            assert torch.equal(optimizers[0].state[tensor][name], expected[name])


def test_a_step_with_sums_moves_nothing_where_a_gradient_is_not_finite(triton: str) -> None:
    tensors = parameters(((3,), (600,)), torch.float32)
    give_gradients(tensors, 0)
    tensors[1].grad[599] = float("nan")
    before = [tensor.detach().clone() for tensor in tensors]
    optimizer = tw.Optimizer(tensors, tw.chain(clip(1.0), tw.adam(), tw.step(0.1)), backend=triton)
    with pytest.raises(NonFiniteGradientError, match=r"parameter 1 of group 0.*nothing has moved"):
        optimizer.step()
    assert all(torch.equal(tensor, old) for tensor, old in zip(tensors, before, strict=True))


def test_a_step_can_be_skipped_instead(triton: str) -> None:
    tensors = parameters(((3,), (600,)), torch.float32)
    optimizer = tw.Optimizer(tensors, tw.chain(tw.adam(), tw.step(0.1)), backend=triton, nonfinite="skip")
    descend(optimizer, 1)
    before = [tensor.detach().clone() for tensor in tensors]
    tensors[1].grad[599] = float("inf")
    optimizer.step()
    assert optimizer.skipped == 1
    assert all(torch.equal(tensor, old) for tensor, old in zip(tensors, before, strict=True))


def test_or_the_gradient_taken_as_it_is(triton: str) -> None:
    parameter = torch.ones(3, requires_grad=True)
    parameter.grad = torch.tensor([1.0, float("nan"), float("inf")])
    tw.Optimizer([parameter], usual_chain("gradient_descent"), backend=triton, nonfinite="propagate").step()
    torch.testing.assert_close(parameter.detach(), torch.tensor([0.95, float("nan"), float("-inf")]), equal_nan=True)


def test_tensors_of_different_age_and_rate_have_their_own_constants(triton: str) -> None:
    def walk(backend: str) -> list[Tensor]:
        tensors = parameters([(3,)] * 4, torch.float32)
        groups = [{"params": tensors[:2], "lr": 0.1}, {"params": tensors[2:], "lr": 0.2}]
        optimizer = tw.Optimizer(groups, tw.chain(tw.adam(), tw.step(0.1)), backend=backend)
        for step in range(4):
            for tensor in tensors[: step + 1]:
                tensor.grad = torch.full((3,), 1.0 + step)
            optimizer.step()
        return [tensor.detach() for tensor in tensors]

    assert deviation(walk(triton), walk("reference")) <= BACKENDS[torch.float32]


def test_a_condition_on_the_step_joins_one_on_the_element(triton: str) -> None:
    def late_and_uphill(g: Direction, t: Step) -> Update:
        return where((t > 2) & (g > 0), g, 0) + where((t > 2) | (g > 5), 10 * g, 0)

    stage = rule(title="Late and uphill", source="a test")(late_and_uphill)()
    parameter = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = tw.Optimizer([parameter], tw.chain(stage, tw.step(1.0)), backend=triton)
    path: list[list[float]] = []
    for _ in range(3):
        parameter.grad = torch.tensor([1.0, -1.0, 6.0], dtype=torch.float64)
        optimizer.step()
        path.append(parameter.tolist())
    assert path == [[0, 0, -60], [0, 0, -120], [-11, 10, -186]]


@pytest.mark.parametrize("nonfinite", ["raise", "skip"])
def test_gradients_are_added_up_and_complex_parameters_stepped(triton: str, nonfinite: NonFinite) -> None:
    arrived = []
    for backend in (triton, "reference"):
        tensors = parameters(((3, 4), (600,)), torch.float32)
        tensors.append(torch.view_as_complex(torch.ones(5, 2)).requires_grad_())
        stages = (tw.accumulate(3), tw.clip(1.0), tw.adam(), tw.step(0.1))
        optimizer = tw.Optimizer(tensors, tw.chain(*stages), backend=backend, nonfinite=nonfinite)
        descend(optimizer, 7)
        arrived.append([torch.view_as_real(t) if t.is_complex() else t for t in tensors])
        arrived[-1] += [optimizer.state[tensor]["gathered"] for tensor in tensors[:2]]
    assert deviation(*arrived) <= BACKENDS[torch.float32]
