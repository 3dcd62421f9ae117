"""States in another dtype than their parameter: computed in float32, rounded, asked for as a whole or by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from thalweg.errors import HyperparameterError, ThalwegError, UnknownNameError

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.optimizer.layout import Backend

ADAM = tw.chain(tw.adam(), tw.step(0.1))
both_backends = pytest.mark.parametrize("backend", ["numba", "reference"])


def parameter_of(dtype: torch.dtype, shape: tuple[int, ...] = (7, 9)) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()


def steps(optimizer: tw.Optimizer, count: int = 5, seed: int = 1) -> None:
    random = torch.Generator().manual_seed(seed)
    for _ in range(count):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.randn(parameter.shape, generator=random, dtype=torch.float64).to(parameter.dtype)
        optimizer.step()


def states(optimizer: tw.Optimizer) -> list[dict[str, Any]]:
    return [dict(optimizer.state[parameter]) for group in optimizer.param_groups for parameter in group["params"]]


def dtypes(optimizer: tw.Optimizer) -> list[dict[str, torch.dtype]]:
    return [{name: value.dtype for name, value in state.items() if name != "step"} for state in states(optimizer)]


@both_backends
@pytest.mark.parametrize(
    ("dtype", "m_dtype", "v_dtype"),
    [
        (torch.float32, torch.bfloat16, torch.float32),
        (torch.float32, torch.float16, torch.bfloat16),
        (torch.bfloat16, torch.float32, torch.float32),
        (torch.bfloat16, torch.bfloat16, torch.float16),
        (torch.float16, torch.float32, torch.bfloat16),
        (torch.float64, torch.float32, torch.bfloat16),
        (torch.float64, torch.float16, torch.float64),
    ],
    ids=str,
)
def test_it_is_adam_by_hand_with_states_rounded_at_every_step(
    dtype: torch.dtype, m_dtype: torch.dtype, v_dtype: torch.dtype, backend: Backend
) -> None:
    parameter = parameter_of(dtype)
    optimizer = tw.Optimizer([parameter], ADAM, backend=backend, state_dtype={"m": m_dtype, "v": v_dtype})
    number = torch.float64 if dtype == torch.float64 else torch.float32
    weights = (0.9, 1 - 0.9, 0.999, 1 - 0.999)
    m_kept, m_added, v_kept, v_added = (torch.tensor(weight, dtype=number) for weight in weights)
    m, v = torch.zeros(7, 9, dtype=m_dtype), torch.zeros(7, 9, dtype=v_dtype)
    random = torch.Generator().manual_seed(1)
    for t in range(1, 6):
        before = parameter.detach().to(number, copy=True)
        parameter.grad = torch.randn(7, 9, generator=random, dtype=torch.float64).to(dtype)
        g = parameter.grad.to(number)
        optimizer.step()
        m_new = m_kept * m.to(number) + m_added * g
        v_new = v_kept * v.to(number) + v_added * (g * g)
        expected = before - 0.1 * (m_new / (1 - 0.9**t)) / ((v_new / (1 - 0.999**t)).sqrt() + 1e-8)
        m, v = m_new.to(m_dtype), v_new.to(v_dtype)
        assert torch.equal(optimizer.state[parameter]["m"], m)
        assert torch.equal(optimizer.state[parameter]["v"], v)
        rounding = torch.finfo(dtype).eps
        torch.testing.assert_close(parameter.detach(), expected.to(dtype), rtol=2 * rounding, atol=4 * rounding)


@both_backends
def test_a_state_begins_at_its_number_in_its_own_dtype(backend: Backend) -> None:
    parameter = parameter_of(torch.bfloat16)
    chain = tw.chain(tw.rprop(delta0=0.1))
    optimizer = tw.Optimizer([parameter], chain, backend=backend, state_dtype=torch.float32)
    steps(optimizer, 1)
    assert optimizer.state[parameter]["delta"].flatten()[0].item() == torch.tensor(0.1).item()


@pytest.mark.parametrize(
    ("own", "asked", "average"),
    [
        (torch.float32, torch.bfloat16, torch.float32),
        (torch.bfloat16, torch.float32, torch.float32),
        (torch.bfloat16, torch.float16, torch.bfloat16),
    ],
)
def test_one_for_all_makes_copies_of_the_parameter_only_wider(
    own: torch.dtype, asked: torch.dtype, average: torch.dtype
) -> None:
    optimizer = tw.Optimizer(
        [parameter_of(own)], tw.chain(tw.adam(), tw.step(0.1), tw.ema(beta=0.5)), state_dtype=asked
    )
    steps(optimizer, 2)
    assert dtypes(optimizer) == [{"m": asked, "v": asked, "average": average}]
    with optimizer.evaluating():
        pass


def test_a_copy_of_the_parameter_is_made_narrower_where_it_is_named() -> None:
    chain = tw.chain(tw.adam(), tw.step(0.1), tw.ema(beta=0.5))
    optimizer = tw.Optimizer([parameter_of(torch.float32)], chain, state_dtype={"average": torch.bfloat16})
    steps(optimizer, 1)
    assert dtypes(optimizer) == [{"m": torch.float32, "v": torch.float32, "average": torch.bfloat16}]


def test_groups_have_dtypes_of_their_own_and_each_moves_as_it_would_alone() -> None:
    asked: list[Any] = ["bfloat16", {"v": torch.float16}, None, torch.float32]
    together = [parameter_of(torch.float32) for _ in asked]
    groups = [{"params": [p], "state_dtype": one} for p, one in zip(together, asked, strict=True)]
    optimizer = tw.Optimizer(groups, ADAM, state_dtype=torch.float16)
    alone = [tw.Optimizer([parameter_of(torch.float32)], ADAM, state_dtype=one) for one in asked]
    random = torch.Generator().manual_seed(1)
    for _ in range(4):
        gradients = [torch.randn(7, 9, generator=random) for _ in asked]
        for p, one, g in zip(together, alone, gradients, strict=True):
            p.grad = one.param_groups[0]["params"][0].grad = g
            one.step()
        optimizer.step()
    assert dtypes(optimizer) == [kept for one in alone for kept in dtypes(one)]
    assert dtypes(optimizer)[2] == {"m": torch.float32, "v": torch.float32}
    for p, one in zip(together, alone, strict=True):
        assert torch.equal(p, one.param_groups[0]["params"][0])


def test_a_name_is_for_those_groups_whose_chain_has_it() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    route = tw.route({"norm": tw.chain(tw.heavy_ball(), tw.step(0.1)), "*": ADAM})
    optimizer = tw.Optimizer(model, route, state_dtype={"m": torch.bfloat16})
    steps(optimizer, 1)
    assert [kept.get("m") for kept in dtypes(optimizer)].count(torch.bfloat16) == 2
    assert torch.bfloat16 not in {kept.get("v") for kept in dtypes(optimizer)}


def test_a_group_whose_dtype_is_changed_goes_on_with_its_states_rounded() -> None:
    parameter = parameter_of(torch.float32)
    optimizer = tw.Optimizer([parameter], ADAM)
    steps(optimizer)
    before = optimizer.state[parameter]["m"].clone()
    optimizer.param_groups[0]["state_dtype"] = {"m": torch.bfloat16}
    g = torch.ones(7, 9)
    parameter.grad = g
    optimizer.step()
    expected = torch.tensor(0.9) * before.bfloat16().float() + torch.tensor(1 - 0.9) * g
    assert torch.equal(optimizer.state[parameter]["m"], expected.bfloat16())


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        (torch.int8, HyperparameterError, "`state_dtype` is torch.int8; choose one of torch.float32, torch.bfloat16"),
        ({"m": 16}, HyperparameterError, "`state_dtype` of `m` is 16; choose one of"),
        ({"mm": torch.bfloat16}, UnknownNameError, "no state of that name; did you mean `m`"),
        ({"exp_avg": torch.bfloat16}, UnknownNameError, "known are: m, v"),
        (torch.float64, HyperparameterError, "parameters of torch.float32 are computed in float32"),
    ],
)
def test_what_cannot_be_is_refused(asked: Any, error: type[ThalwegError], says: str) -> None:  # noqa: ANN401
    with pytest.raises(error, match=says):
        tw.Optimizer([parameter_of(torch.float32)], ADAM, state_dtype=asked)


def test_a_groups_own_names_must_be_its_chains() -> None:
    groups = [{"params": [parameter_of(torch.float32)], "state_dtype": {"buf": torch.bfloat16}}]
    with pytest.raises(UnknownNameError, match="`state_dtype` names `buf`"):
        tw.Optimizer(groups, ADAM)


def test_states_that_take_no_room_or_are_a_matrix_methods_are_left_alone() -> None:
    with pytest.raises(HyperparameterError, match=r"`row`, .* has one number a row"):
        tw.Optimizer(
            [parameter_of(torch.float32)], tw.chain(tw.adafactor(), tw.step(0.1)), state_dtype={"row": torch.bfloat16}
        )
    muon = tw.chain(tw.muon(), tw.step(0.1))
    with pytest.raises(HyperparameterError, match="is a matrix method's"):
        tw.Optimizer([parameter_of(torch.float32)], muon, state_dtype={"m": torch.bfloat16})


@both_backends
def test_rows_of_sparse_gradients_have_states_of_their_dtype(backend: Backend) -> None:
    tables = [torch.nn.Embedding(10, 4, sparse=sparse) for sparse in (True, False)]
    tables[1].load_state_dict(tables[0].state_dict())
    chain = tw.chain(tw.adagrad(), tw.step(0.1))
    optimizers = [tw.Optimizer(table, chain, backend=backend, state_dtype=torch.bfloat16) for table in tables]
    for rows in ([1, 3, 3], [0, 3]):
        for table, optimizer in zip(tables, optimizers, strict=True):
            optimizer.zero_grad()
            (table(torch.tensor(rows)) ** 2).sum().backward()
            optimizer.step()
    assert torch.equal(tables[0].weight, tables[1].weight)
    assert dtypes(optimizers[0]) == [{"r": torch.bfloat16}]


def test_complex_parameters_keep_their_states_as_they_are() -> None:
    parameter = torch.ones(3, dtype=torch.complex64, requires_grad=True)
    with pytest.raises(HyperparameterError, match=r"is for real parameters, and one is of torch.complex64"):
        tw.Optimizer([parameter], ADAM, state_dtype=torch.bfloat16)
    optimizer = tw.Optimizer(
        [{"params": [parameter], "state_dtype": None}, {"params": [parameter_of(torch.float32)]}],
        ADAM,
        state_dtype=torch.bfloat16,
    )
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert optimizer.state[parameter]["m"].dtype == torch.complex64


def test_names_may_be_of_stages_for_other_parameters_than_there_are() -> None:
    """Stages that choose may fit together for each parameter, and not all at once."""
    chain = tw.chain(tw.lars(only="matrix"), tw.adam(skip="matrix"), tw.step(0.1))
    model = torch.nn.Linear(3, 4, bias=False)
    optimizer = tw.Optimizer(model, chain, roles={"weight": "matrix"}, state_dtype={"m": "8bit", "lars.v": "bfloat16"})
    steps(optimizer, 1)
    assert dtypes(optimizer) == [{"lars.v": torch.bfloat16}]
