"""Sparse gradients arrive where torch arrives with them: SparseAdam, and SGD and Adagrad where torch takes them."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import RULES, one_parameter, parameters, usual_chain
from dropins import Settings, label, ours, theirs
from thalweg.errors import GradientError, HyperparameterError, NonFiniteGradientError, ParameterError
from thalweg.optimizer.formulas import formula_of
from tolerances import TORCH, deviation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from thalweg.optimizer.layout import Backend

pytestmark = pytest.mark.filterwarnings(
    "ignore:Sparse invariant checks:UserWarning"
)  # torch's Adagrad makes some itself
backends = pytest.mark.parametrize("backend", ["numba", "reference"])
CASES: tuple[tuple[str, Settings], ...] = (
    ("SparseAdam", {}),
    ("SparseAdam", {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-2, "maximize": True}),
    ("SGD", {"lr": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2, "maximize": True}),
)
SHAPES = ((7, 3, 4), (5, 1, 2))
every_case = pytest.mark.parametrize("case", CASES, ids=label)


def give_sparse(to: Sequence[Tensor], step: int) -> None:
    """Gradients of one, two and three sparse dimensions, some of them empty, with indices that come twice."""
    random = torch.Generator().manual_seed(step)
    for at, parameter in enumerate(to):
        sparse, count = 1 + (step + at) % 3, (step + 2 * at) % 6
        sizes = parameter.shape[:sparse]
        indices = [torch.randint(0, size, (count,), generator=random) for size in sizes]
        values = torch.randn((count, *parameter.shape[sparse:]), dtype=torch.float64, generator=random)
        parameter.grad = torch.sparse_coo_tensor(
            torch.stack(indices), values.to(parameter.dtype), parameter.shape, check_invariants=True
        )


def descend(optimizer: torch.optim.Optimizer, steps: int, start: int = 0) -> list[Tensor]:
    to = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for step in range(start, start + steps):
        give_sparse(to, step)
        optimizer.step()
    return [parameter.detach().clone() for parameter in to]


def groups(settings: Settings) -> list[dict[str, Any]]:
    first, second = parameters(SHAPES)
    return [{"params": [first]}, {"params": [second], "lr": 0.3 * float(str(settings.get("lr", 0.01)))}]


@backends
@every_case
def test_it_arrives_where_torch_arrives(case: tuple[str, Settings], backend: Backend) -> None:
    name, settings = case
    optimizer = ours(name)(groups(settings), backend=backend, **settings)
    expected = theirs(name)(groups(settings), **settings)
    found = descend(optimizer, 40)
    assert deviation(found, descend(expected, 40)) <= TORCH[torch.float64]
    for place, state in expected.state_dict()["state"].items():
        own = optimizer.state_dict()["state"][place]
        for entry, value in state.items():
            assert type(own[entry]) is type(value)
            torch.testing.assert_close(own[entry], value, rtol=1e-12, atol=1e-14)


@every_case
def test_a_run_goes_on_from_torch_to_us_and_back(case: tuple[str, Settings]) -> None:
    name, settings = case
    uninterrupted = descend(theirs(name)(parameters(SHAPES), **settings), 20)
    for before, after in ((theirs(name), ours(name)), (ours(name), theirs(name))):
        first = before(parameters(SHAPES), **settings)
        reached = [p.requires_grad_() for p in descend(first, 10)]
        second = after(reached, **settings)
        if isinstance(second, tw.Optimizer):
            assert tw.load_torch_state(second, first.state_dict(), name).fits
        else:
            second.load_state_dict(copy.deepcopy(first.state_dict()))
        assert deviation(descend(second, 10, start=10), uninterrupted) <= TORCH[torch.float64]


def test_an_embedding_learns_as_with_torch_and_rows_that_were_not_looked_up_stay() -> None:
    ends = []
    for make in (tw.SparseAdam, torch.optim.SparseAdam):
        torch.manual_seed(0)
        table = torch.nn.Embedding(1000, 16, sparse=True, padding_idx=0)
        before = table.weight.detach().clone()
        optimizer = make(table.parameters(), lr=0.1)
        for _ in range(5):
            words = torch.randint(0, 50, (300,))
            optimizer.zero_grad()
            table(words).square().sum().backward()
            optimizer.step()
        assert torch.equal(table.weight[50:], before[50:])
        assert torch.equal(table.weight[0], before[0])
        ends.append(table.weight.detach())
    torch.testing.assert_close(*ends, rtol=1e-6, atol=1e-6)


@backends
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_rows_of_a_parameter_in_any_memory_layout_are_found(dtype: torch.dtype, backend: Backend) -> None:
    plain, turned, strided = (torch.ones(4, 6, dtype=dtype) for _ in range(3))
    tensors = [plain, turned.t().contiguous().t(), torch.ones(4, 12, dtype=dtype)[:, ::2].copy_(strided)]
    for tensor in tensors:
        optimizer = tw.SparseAdam([tensor.requires_grad_()], lr=0.1, backend=backend)
        for step in range(4):
            give_sparse([tensor], step)
            optimizer.step()
    assert torch.equal(tensors[0], tensors[1])
    assert torch.equal(tensors[0], tensors[2])


@backends
def test_gradients_may_be_sparse_in_one_step_and_dense_in_the_next(backend: Backend) -> None:
    mixed, dense = (tw.Adagrad(parameters([(4, 3), (3,)]), lr=0.1, backend=backend) for _ in range(2))
    for step in range(12):
        for optimizer in (mixed, dense):
            first, second = optimizer.param_groups[0]["params"]
            give_sparse([first], step)
            second.grad = torch.full((3,), float(step), dtype=torch.float64)
            if optimizer is dense or step in (4, 5, 6, 9):
                first.grad = first.grad.to_dense()
            optimizer.step()
    assert deviation(mixed.param_groups[0]["params"], dense.param_groups[0]["params"]) <= TORCH[torch.float64]


def test_a_chain_takes_sparse_gradients_where_a_gradient_of_zero_would_change_nothing() -> None:
    takers = set()
    for rule in RULES:
        chain = usual_chain(rule)
        tensors = parameters([(6, 4)])
        optimizer = tw.Optimizer(tensors, chain, backend="reference")
        kind = chain.kind_of((), is_matrix=True)
        if formula_of(chain, kind, maximize=False).takes_rows:
            takers.add(rule)
            for step in range(4):
                optimizer.step() if step == 0 else None
                tensors[0].grad = torch.randn(6, 4, dtype=torch.float64)
                tensors[0].grad[2:] = 0 if step else tensors[0].grad[2:]
                before = tensors[0].detach().clone()
                optimizer.step()
                assert step == 0 or torch.equal(tensors[0][2:], before[2:])
    assert takers == {"adagrad", "gradient_descent", "sign_descent"}


@pytest.mark.parametrize(
    "make",
    [
        tw.Adam,
        lambda p: tw.SGD(p, momentum=0.9),
        lambda p: tw.SGD(p, weight_decay=0.1),
        lambda p: tw.Adagrad(p, weight_decay=0.1),
        lambda p: tw.Optimizer(p, tw.chain(tw.clip(1.0), tw.step(0.1))),
        lambda p: tw.Optimizer(p, tw.chain(tw.accumulate(2), tw.step(0.1))),
        lambda p: tw.Optimizer(p, tw.chain(tw.step(0.1), tw.ema())),
    ],
)
def test_all_others_refuse(make: Any) -> None:  # noqa: ANN401  # a function that makes an optimizer
    tensors = parameters(SHAPES)
    optimizer = make(tensors)
    give_sparse(tensors, 4)
    with pytest.raises(GradientError, match=r"is sparse, and this chain needs a dense one; .*SparseAdam"):
        optimizer.step()


def test_sparse_adam_refuses_what_torchs_refuses() -> None:
    with pytest.raises(GradientError, match=r"is dense, and this optimizer is for sparse ones; .*sparse=True"):
        tw.SparseAdam([one_parameter()]).step()
    with pytest.raises(HyperparameterError, match=r"SparseAdam: `eps` is 0; it must lie in \(0, ∞\)"):
        tw.SparseAdam([one_parameter()], eps=0.0)
    with pytest.raises(ParameterError):
        tw.SparseAdam([torch.ones(3, dtype=torch.complex64, requires_grad=True)])


@backends
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_is_noticed(backend: Backend, bad: float) -> None:
    def stepped(nonfinite: Any) -> tuple[tw.Optimizer, Tensor, Tensor]:  # noqa: ANN401  # one of three texts
        first, second = (torch.ones(4, 2, requires_grad=True) for _ in range(2))
        optimizer = tw.SparseAdam([("a", first), ("b", second)], lr=0.1, nonfinite=nonfinite, backend=backend)
        give_sparse([first, second], 3)
        index = torch.tensor([[1, 3]])
        values = torch.tensor([[bad, 1.0], [1.0, 1.0]])
        second.grad = torch.sparse_coo_tensor(index, values, (4, 2), check_invariants=True)
        return optimizer, first, second

    optimizer, _, second = stepped("raise")
    with pytest.raises(NonFiniteGradientError, match=r"gradient of `b` .* all others have moved"):
        optimizer.step()
    assert second[1, 0] == 1
    assert all(value < 1 for value in (second[1, 1], second[3, 0], second[3, 1]))
    optimizer, first, second = stepped("skip")
    optimizer.step()
    assert optimizer.skipped == 1
    assert bool((first == 1).all())
    assert bool((second == 1).all())


@backends
def test_an_index_outside_is_refused_before_anything_is_written(backend: Backend) -> None:
    parameter, other = torch.ones(4, 2, requires_grad=True), one_parameter()
    optimizer = tw.SGD([other, parameter], lr=0.1, backend=backend)
    gradient = torch.sparse_coo_tensor(
        torch.tensor([[9]]), torch.ones(1, 2), (4, 2), check_invariants=False, is_coalesced=True
    )
    parameter.grad = gradient
    with pytest.raises(GradientError, match=r"gradient of shape \(4, 2\) has an index outside of it"):
        optimizer.step()
    assert bool((parameter == 1).all())
    assert bool((other == 1).all())


def test_its_arguments_and_groups_are_torchs() -> None:
    found = inspect.signature(tw.SparseAdam).parameters
    expected = inspect.signature(torch.optim.SparseAdam).parameters
    assert list(found) == [*expected, "nonfinite", "backend", "state_dtype"]
    assert all(found[name].default == expected[name].default for name in expected)
    optimizers = [make([one_parameter()]) for make in (tw.SparseAdam, torch.optim.SparseAdam)]
    assert repr(optimizers[0]) == repr(optimizers[1])
