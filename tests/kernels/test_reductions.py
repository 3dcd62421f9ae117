"""Formulas that reduce: what every level gives, against NumPy, on both backends and any division into pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pytest
import torch

import thalweg as tw
from descents import give_gradients, parameters
from thalweg.errors import FormulaError, NonFiniteGradientError
from thalweg.formula import (
    Direction,
    IsMatrix,
    Level,
    Parameter,
    Rule,
    Scalar,
    State,
    Step,
    Update,
    Zeros,
    largest,
    mean,
    norm,
    rms,
    rule,
    total,
    where,
)
from thalweg.kernels import plan
from thalweg.kernels.numba.pieces import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from thalweg.formula import Stage
    from thalweg.optimizer.layout import Backend

Per = Literal["model", "tensor", "matrix", "row", "column"]
LEVELS: tuple[Per, ...] = ("model", "tensor", "matrix", "row", "column")
SHAPES = [(3, 4), (5,), (), (2, 3, 5), (1, 6), (6, 1), (2, 2, 2, 2)]
LARGE = [(300, 250), (PIECE + 7,), (2, 200, 130), (70_000, 2), (3, 40_000), (500, 3, 3)]
both_backends = pytest.mark.parametrize("backend", ["numba", "reference"])


def made(formula: Callable[..., Update]) -> Rule:
    return rule(title="A formula", source="a test")(formula)


def reduced(x: np.ndarray, per: Per, how: Callable[..., Any]) -> np.ndarray:
    """NumPy's own reduction of one tensor, of a shape that broadcasts to the tensor's."""
    stack = x if x.ndim >= 2 else x.reshape(1, -1)
    axes = {"tensor": tuple(range(stack.ndim)), "matrix": (-2, -1), "row": (-1,), "column": (-2,)}[per]
    return np.broadcast_to(how(stack, axis=axes, keepdims=True), stack.shape).reshape(x.shape)


def over(arrays: list[np.ndarray], per: Per, how: Callable[..., Any]) -> list[np.ndarray]:
    if per == "model":
        value = how(np.concatenate([x.ravel() for x in arrays]))
        return [np.full(x.shape, value) for x in arrays]
    return [reduced(x, per, how) for x in arrays]


KINDS: dict[str, tuple[Callable[..., Scalar], Callable[..., Any]]] = {
    "total": (total, np.sum),
    "mean": (mean, np.mean),
    "largest": (largest, np.max),
}


@pytest.mark.parametrize("shapes", [SHAPES, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("per", LEVELS)
@both_backends
def test_a_reduction_is_numpys(backend: Backend, per: Per, kind: str, shapes: list[tuple[int, ...]]) -> None:
    ours, theirs = KINDS[kind]

    def direction(g: Direction, p: Parameter) -> Update:
        return ours(g * p - 0.3, per=per) + 0 * g

    tensors = parameters(shapes)
    give_gradients(tensors, 0)
    arrays = [p.detach().numpy() * p.grad.numpy() - 0.3 for p in tensors if p.grad is not None]
    expected = [p.detach().numpy() - x for p, x in zip(tensors, over(arrays, per, theirs), strict=True)]
    tw.Optimizer(tensors, tw.chain(made(direction)(), tw.step(1.0)), backend=backend).step()
    for found, wanted in zip(tensors, expected, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-11, atol=1e-11)


@both_backends
def test_reductions_of_reductions_and_products_of_rows_and_columns(backend: Backend) -> None:
    def direction(g: Direction) -> Update:
        row, column = mean(g**2, per="row"), mean(g**2, per="column")
        return g * row * column / mean(row, per="matrix") + largest(row, per="tensor") + total(column, per="tensor")

    tensors = parameters([(3, 4), (5,), (2, 3, 5)])
    give_gradients(tensors, 0)
    expected = []
    for p in tensors:
        assert p.grad is not None
        g = p.grad.numpy()
        stack = g if g.ndim > 1 else g.reshape(1, -1)
        row, column = (stack**2).mean(-1, keepdims=True), (stack**2).mean(-2, keepdims=True)
        value = stack * row * column / row.mean(-2, keepdims=True) + row.max() + column.sum()
        expected.append(p.detach().numpy() - value.reshape(g.shape))
    tw.Optimizer(tensors, tw.chain(made(direction)(), tw.step(1.0)), backend=backend).step()
    for found, wanted in zip(tensors, expected, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-12)


def test_a_norm_of_what_a_norm_made_takes_three_passes_each_reading_what_it_needs() -> None:
    def direction(g: Direction, p: Parameter) -> Update:
        unit = g / norm(g, per="tensor")
        return unit / rms(unit - p, per="tensor")

    planned = plan(tw.chain(made(direction)(), tw.step(1.0)).trace())
    assert [planned.loads_of(one) for one in planned.passes] == [("g",), ("p", "g"), ("p", "g")]
    assert [len(one.stores) for one in planned.passes] == [0, 0, 1]
    assert planned.bytes_per_parameter() == 4 * (1 + 2 + 3)


@pytest.mark.parametrize(
    ("stage", "passes"),
    [(tw.lamb(), 2), (tw.lars(), 2), (tw.adafactor(), 3), (tw.normalised_descent(), 2), (tw.schedule_free_adamw(), 1)],
    ids=repr,
)
def test_the_passes_of_the_catalogue(stage: Stage, passes: int) -> None:
    assert len(plan(tw.chain(stage, tw.step(0.1)).trace()).passes) == passes


def test_what_is_known_before_the_first_pass_costs_none() -> None:
    planned = plan(tw.chain(tw.schedule_free_sgd(), tw.step(0.1)).trace())
    assert len(planned.passes) == 1
    assert planned.coarse
    assert all(coarse.after == 0 for coarse in planned.coarse)


@pytest.fixture
def one_thread_again() -> Iterator[None]:
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("one_thread_again")
@pytest.mark.parametrize("stage", [tw.lamb(), tw.adafactor(), tw.prodigy()], ids=repr)
def test_the_number_of_threads_changes_no_bit_of_a_sum(stage: Stage) -> None:
    reached: list[list[torch.Tensor]] = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        tensors = parameters([(700, 300), (200_001,), (3,)], torch.float32)
        optimizer = tw.Optimizer(tensors, tw.chain(tw.clip(0.1), stage, tw.step(0.1)))
        for step in range(3):
            give_gradients(tensors, step)
            optimizer.step()
        reached.append(tensors)
    for others in reached[1:]:
        assert all(torch.equal(a, b) for a, b in zip(reached[0], others, strict=True))


@both_backends
def test_a_norm_over_the_model_sees_all_groups_dtypes_and_chains(backend: Backend) -> None:
    single, double, plain = parameters([(3, 4)], torch.float32) + parameters([(5,), (2, 2)])
    tensors = [single, double, plain]
    give_gradients(tensors, 0)
    twins = [p.detach().clone().requires_grad_() for p in tensors]
    for twin, p in zip(twins, tensors, strict=True):
        assert p.grad is not None
        twin.grad = p.grad.clone()
    groups = [
        {"params": [single, double]},
        {"params": [plain], "chain": tw.chain(tw.clip(0.5), tw.gradient_descent(), tw.step(0.1))},
    ]
    chain = tw.chain(tw.clip(0.5), tw.heavy_ball(form="torch", beta=0.0), tw.decay(0.1), tw.step(0.1))
    tw.Optimizer(groups, chain, backend=backend).step()
    torch.nn.utils.clip_grad_norm_(twins, 0.5)
    torch.optim.SGD([{"params": twins[2:]}, {"params": twins[:2], "weight_decay": 0.1}], lr=0.1).step()
    for found, wanted in zip(tensors, twins, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-7)


def test_a_norm_over_the_model_waits_for_the_chain_that_knows_its_part_later() -> None:
    first, second = parameters([(3,), (3,)])
    groups = [{"params": [first]}, {"params": [second], "chain": tw.chain(tw.normalised_descent(), tw.step(0.1))}]
    chain = tw.chain(tw.clip(1.0, norm_eps=0), tw.normalised_descent(), tw.step(0.1))
    give_gradients([first, second], 0)
    assert first.grad is not None
    assert second.grad is not None
    clipped = first.grad * min(1.0, 1 / float(first.grad.norm()))
    length = torch.sqrt(clipped.square().sum() + second.grad.square().sum())
    expected = [first.detach() - 0.1 * clipped / length, second.detach() - 0.1 * second.grad / length]
    tw.Optimizer(groups, chain).step()
    for found, wanted in zip((first, second), expected, strict=True):
        torch.testing.assert_close(found.detach(), wanted, rtol=1e-12, atol=0)


@both_backends
def test_a_gradient_that_is_not_finite_moves_nothing_where_a_sum_is_needed(backend: Backend) -> None:
    tensors = parameters([(3, 4), (5,)])
    before = [p.detach().clone() for p in tensors]
    chain = tw.chain(tw.clip(1.0), tw.adam(), tw.step(0.1), tw.ema())
    optimizer = tw.Optimizer(tensors, chain, backend=backend)
    give_gradients(tensors, 0)
    assert tensors[1].grad is not None
    tensors[1].grad[2] = float("nan")
    with pytest.raises(NonFiniteGradientError, match=r"of parameter 1 of group 0 \(5\) .* nothing has moved"):
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
    assert all(float(optimizer.state[p]["step"]) == 0 for p in tensors)
    assert all(not optimizer.state[p]["m"].any() for p in tensors)
    give_gradients(tensors, 1)
    optimizer.step()
    assert all(float(optimizer.state[p]["step"]) == 1 for p in tensors)


@both_backends
def test_such_a_step_is_skipped_and_counted_or_goes_through_where_that_was_asked_for(backend: Backend) -> None:
    for nonfinite, moved in (("skip", False), ("propagate", True)):
        tensors = parameters([(3, 4), (5,)])
        before = [p.detach().clone() for p in tensors]
        optimizer = tw.Optimizer(tensors, tw.chain(tw.lamb(), tw.step(0.1)), backend=backend, nonfinite=nonfinite)
        give_gradients(tensors, 0)
        assert tensors[1].grad is not None
        tensors[1].grad[2] = float("inf")
        optimizer.step()
        assert optimizer.skipped == (not moved)
        assert torch.equal(tensors[0], before[0]) != moved
        assert bool(torch.isnan(tensors[1]).any()) == moved


def test_the_largest_is_nan_where_an_element_is() -> None:
    def direction(g: Direction) -> Update:
        return where(largest(g, per="tensor") > 0, g, 5) + largest(g, per="row")

    parameter = torch.zeros(2, 3, requires_grad=True)
    parameter.grad = torch.tensor([[1.0, -float("nan"), 2.0], [1.0, 7.0, 3.0]])
    tw.Optimizer([parameter], tw.chain(made(direction)(), tw.step(1.0)), nonfinite="propagate").step()
    assert torch.isnan(parameter[0]).all()
    assert parameter[1].tolist() == [-12.0, -12.0, -12.0]  # no comparison with NaN holds


@both_backends
@pytest.mark.parametrize(("how", "found"), [(total, 3 * 6 + 5), (mean, (3 * 6 + 5) / 11), (largest, 3)])
def test_the_model_has_one_sum_of_matrices_and_vectors(
    backend: Backend, how: Callable[..., Scalar], found: float
) -> None:
    """Where a formula tells them apart, what it gathers must have a value for each element of both."""

    def told(g: Direction, matrix: IsMatrix) -> Update:
        return 0 * g - how(g if matrix else 1 + 0 * g, per="model")

    def untold(g: Direction, matrix: IsMatrix) -> Update:
        return 0 * g - how(g if matrix else 1, per="model")

    def of_numbers(g: Direction, matrix: IsMatrix) -> Update:
        return 0 * g - how(2 if matrix else 1, per="model")

    tensors = [torch.zeros(2, 3, requires_grad=True), torch.zeros(5, requires_grad=True)]
    for tensor in tensors:
        tensor.grad = torch.full_like(tensor, 3.0)
    tw.Optimizer(tensors, tw.chain(made(told)(), tw.step(1.0)), backend=backend).step()
    assert [tensor.flatten()[0].item() for tensor in tensors] == [pytest.approx(found)] * 2
    for wrong in (untold, of_numbers):
        with pytest.raises(FormulaError, match="and a number is no value of their elements: gather elements in both"):
            tw.Optimizer(tensors, tw.chain(made(wrong)(), tw.step(1.0)), backend=backend)
    tw.Optimizer(tensors[:1], tw.chain(made(untold)(), tw.step(1.0)), backend=backend).step()  # it has no vectors


@both_backends
@pytest.mark.parametrize("per", LEVELS)
def test_the_mean_of_a_number_is_that_number(backend: Backend, per: Per) -> None:
    def numbers(g: Direction, t: Step) -> Update:
        return 0 * g - mean(2, per=per) - largest(t, per=per)

    parameter = torch.zeros(2, 3, requires_grad=True)
    parameter.grad = torch.ones(2, 3)
    tw.Optimizer([parameter], tw.chain(made(numbers)(), tw.step(1.0)), backend=backend).step()
    assert (parameter == 3).all()


@pytest.mark.parametrize("backend", ["numba", "reference", "triton"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("per", ["model", "row"])
def test_sums_over_narrow_numbers_are_wide(backend: Backend, dtype: torch.dtype, per: Per) -> None:
    def lengths(g: Direction) -> Update:
        return 0 * g - norm(g, per=per)

    if backend == "triton":
        pytest.importorskip("triton")
    parameter = torch.zeros(2, 80_000, dtype=dtype, requires_grad=True)
    parameter.grad = torch.ones_like(parameter)  # in their own dtype, such a sum would end at 256 or 2,048
    tw.Optimizer([parameter], tw.chain(made(lengths)(), tw.step(1.0)), backend=backend).step()
    expected = torch.tensor(400 if per == "model" else 80_000**0.5).to(dtype)
    assert set(parameter.tolist()[0]) == {float(expected)}


@both_backends
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_coarse_states_keep_their_shapes_and_come_back(backend: Backend, dtype: torch.dtype) -> None:
    def counted(
        g: Direction,
        own: Annotated[Scalar, State(start=2.0, level=Level.TENSOR)],
        each: Annotated[Scalar, State(level=Level.ROW)],
        all_of_it: Annotated[Scalar, State(start=1.0, level=Level.MODEL)],
        m: Zeros,
    ) -> Update:
        own = own + total(1, per="tensor")
        each = each + total(g, per="row")
        all_of_it = all_of_it + largest(abs(g), per="model")
        return own * g, own, each, all_of_it, m + g

    stage = made(counted)
    tensors = parameters([(3, 4), (5,), (2, 3, 2)], dtype)
    optimizer = tw.Optimizer(tensors, tw.chain(stage(), tw.step(0.1)), backend=backend)
    for step in range(3):
        give_gradients(tensors, step)
        optimizer.step()
    assert [float(optimizer.state[p]["own"]) for p in tensors] == [2 + 3 * 12, 2 + 3 * 5, 2 + 3 * 12]
    assert [tuple(optimizer.state[p]["each"].shape) for p in tensors] == [(3, 1), (1,), (2, 3, 1)]
    assert all(optimizer.state[p]["each"].dtype == torch.promote_types(dtype, torch.float32) for p in tensors)
    assert optimizer.param_groups[0]["all_of_it"] > 1
    other = tw.Optimizer([p.detach().clone().requires_grad_() for p in tensors], tw.chain(stage(), tw.step(0.1)))
    other.load_state_dict(optimizer.state_dict())
    copies = other.param_groups[0]["params"]
    assert other.param_groups[0]["all_of_it"] == optimizer.param_groups[0]["all_of_it"]
    for some in (tensors, copies):
        give_gradients(some, 9)
    optimizer.step()
    other.step()
    for a, b in zip(tensors, copies, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6 if dtype != torch.bfloat16 else 1e-2, atol=0)
        torch.testing.assert_close(optimizer.state[a]["each"], other.state[b]["each"], rtol=1e-5, atol=1e-6)


@both_backends
@pytest.mark.parametrize("stage", [tw.lamb(), tw.adafactor()], ids=repr)
def test_the_layout_in_memory_makes_no_difference_to_rows_and_norms(backend: Backend, stage: Stage) -> None:
    plain = parameters([(6, 4), (2, 3, 4, 4)])
    turned = [
        plain[0].detach().t().contiguous().t().requires_grad_(),
        plain[1].detach().to(memory_format=torch.channels_last).requires_grad_(),
    ]
    optimizers = [tw.Optimizer(some, tw.chain(stage, tw.step(0.1)), backend=backend) for some in (plain, turned)]
    for step in range(3):
        for some, optimizer in zip((plain, turned), optimizers, strict=True):
            give_gradients(some, step)
            optimizer.step()
    for a, b in zip(plain, turned, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (lambda g: norm(g, per="tensors") * g, "`per` is 'tensors'; did you mean .*`tensor`"),
        (
            lambda g: total(total(g, per="tensor"), per="row") * g,
            "one value for each tensor of .*for each row",
        ),
        (
            lambda g: total(g > 0, per="tensor") * g,
            r"total of a condition, .*write `where\(condition, 1, 0\)`",
        ),
    ],
)
def test_a_reduction_that_means_nothing_is_refused(formula: Callable[[Any], Any], message: str) -> None:
    def direction(g: Direction) -> Update:
        return formula(g)

    with pytest.raises(FormulaError, match=message):
        tw.chain(made(direction)(), tw.step(0.1)).trace()


def test_a_state_finer_than_its_level_is_refused() -> None:
    def direction(g: Direction, s: Annotated[Scalar, State(level=Level.TENSOR)]) -> Update:
        return g, s + g

    with pytest.raises(FormulaError, match="state `s` has one value a tensor, its new value one a element; reduce it"):
        tw.chain(made(direction)(), tw.step(0.1)).trace()
