"""A functional step computes what `Optimizer` computes, and leaves what it is given as it was."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import thalweg as tw
from descents import BY_GRADIENT, give_gradients, parameters, usual_chain
from model_dialects import MODEL_DIALECTS, ModelDialect
from thalweg.formula import Direction, Stage, Update, largest, mean, rms, rule, total
from tolerances import FORMULAS, deviation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from thalweg.chain import Chain

SHAPES = ((3, 4), (), (7,), (2, 1, 3), (0,), (1,), (2, 3, 4, 2))
TOLERANCE = {**FORMULAS, torch.bfloat16: 2e-2, torch.float16: 2e-3}
"""Ten steps; in half precision a last bit may fall the other way."""


def side_by_side(
    chain: Chain,
    steps: int = 10,
    *,
    dtype: torch.dtype = torch.float64,
    given: Callable[[int], dict[str, Any]] = lambda _: {},
    shapes: Sequence[tuple[int, ...]] = SHAPES,
    **settings: Any,
) -> tuple[list[Tensor], Any, tw.Optimizer]:
    """Where the functional optimizer gets to, its state, and `Optimizer` after the same steps."""
    moving = parameters(shapes, dtype)
    optimizer = tw.Optimizer(moving, chain, backend="reference", **settings)
    inner = tw.functional(chain, **settings)
    params = [parameter.detach().clone() for parameter in moving]
    state = inner.init(params)
    for step in range(steps):
        give_gradients(moving, step)
        optimizer.step()
        params, state = inner.step(params, [parameter.grad for parameter in moving], state, **given(step))
    return params, state, optimizer


def stepped(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", BY_GRADIENT)
def test_every_rule_takes_the_same_steps_and_keeps_the_same_states(name: str, dtype: torch.dtype) -> None:
    params, state, optimizer = side_by_side(usual_chain(name, lambda k: 0.05 / (1 + k)), dtype=dtype)
    assert deviation(params, stepped(optimizer)) <= TOLERANCE[dtype]
    for own, parameter in zip(state.each, stepped(optimizer), strict=True):
        theirs = optimizer.state[parameter]
        assert own.keys() == theirs.keys()
        for key, value in own.items():
            assert key == "step" or (value.shape, value.dtype) == (theirs[key].shape, theirs[key].dtype)
            assert deviation([value], [theirs[key]]) <= 10 * TOLERANCE[dtype]
    for key, value in state.model.items():
        assert value.item() == pytest.approx(optimizer.param_groups[0][key], rel=10 * TOLERANCE[dtype])


@pytest.mark.parametrize("dialect", MODEL_DIALECTS, ids=str)
def test_every_chain_that_reduces_or_averages_takes_the_same_steps(dialect: ModelDialect) -> None:
    shapes = [shape for shape in SHAPES if 0 not in shape]
    params, _, optimizer = side_by_side(dialect.chain(dialect.schedule), shapes=shapes)
    assert deviation(params, stepped(optimizer)) <= dialect.tolerance * FORMULAS[torch.float64]


@pytest.mark.parametrize("per", ["model", "tensor", "matrix", "row", "column"])
@pytest.mark.parametrize("reduce", [total, mean, largest, rms])
def test_reductions_of_every_level_agree(reduce: Any, per: Any) -> None:
    def reduced(g: Direction) -> Update:
        return g / (1 + abs(reduce(g, per=per))) + 0.01 * reduce(3, per=per)

    chain = tw.chain(rule(title="Reduced", source="a test")(reduced)(), tw.step(0.1))
    params, _, optimizer = side_by_side(chain, 3, shapes=[shape for shape in SHAPES if 0 not in shape])
    assert deviation(params, stepped(optimizer)) <= FORMULAS[torch.float64]


def test_a_reduction_of_a_reduction_agrees() -> None:
    def reduced(g: Direction) -> Update:
        return g / (1 + mean(mean(g**2, per="row"), per="matrix") + largest(mean(g**2, per="column"), per="tensor"))

    chain = tw.chain(rule(title="Reduced", source="a test")(reduced)(), tw.step(0.1))
    params, _, optimizer = side_by_side(chain, 3, shapes=[(3, 4), (2, 3, 4), (5,), ()])
    assert deviation(params, stepped(optimizer)) <= FORMULAS[torch.float64]


@pytest.mark.parametrize("name", ["adam", "lamb", "prodigy", "adafactor"])
def test_ascending_is_the_optimizers(name: str) -> None:
    params, _, optimizer = side_by_side(usual_chain(name), 4, maximize=True)
    assert deviation(params, stepped(optimizer)) <= FORMULAS[torch.float64]


@pytest.mark.parametrize("name", ["adam", "lamb", "dog"])
def test_a_parameter_without_a_gradient_stays_and_keeps_its_step_count(name: str) -> None:
    moving = parameters([(4,), (2, 3)])
    optimizer = tw.Optimizer(moving, usual_chain(name), backend="reference")
    inner = tw.functional(usual_chain(name))
    params: tuple[Tensor, ...] = tuple(parameter.detach().clone() for parameter in moving)
    state = inner.init(params)
    for step in range(6):
        give_gradients(moving, step)
        if step in (0, 2, 3):
            moving[1].grad = None
        optimizer.step()
        params, state = inner.step(params, [parameter.grad for parameter in moving], state)
    assert deviation(params, moving) <= FORMULAS[torch.float64]
    assert [float(own["step"]) for own in state.each] == [6, 3]
    assert float(state.steps) == 6


def test_schedules_follow_the_steps_and_a_number_takes_their_place() -> None:
    chain = tw.chain(tw.adam(beta1=tw.linear(0.5, 0.9, steps=5)), tw.step(tw.cosine(0.1, steps=8)))
    params, _, optimizer = side_by_side(chain, 10)
    assert deviation(params, stepped(optimizer)) <= FORMULAS[torch.float64]

    plain = tw.chain(tw.adam(), tw.step(0.3))
    given = {"lr": tw.cosine(0.1, steps=8), "beta1": torch.tensor(0.8, dtype=torch.float64), "beta2": 0.9}
    params, _, _ = side_by_side(plain, 5, given=lambda _: given)
    _, _, optimizer = side_by_side(tw.chain(tw.adam(beta1=0.8, beta2=0.9), tw.step(tw.cosine(0.1, steps=8))), 5)
    assert deviation(params, stepped(optimizer)) <= FORMULAS[torch.float64]


def test_numbers_for_each_parameter_are_those_of_parameter_groups() -> None:
    moving = parameters([(3, 2), (4,)])
    groups = [{"params": moving[:1], "lr": 0.1, "beta": 0.7}, {"params": moving[1:], "lr": 0.02, "beta": 0.95}]
    optimizer = tw.Optimizer(groups, tw.chain(tw.heavy_ball(), tw.step(1.0)), backend="reference")
    inner = tw.functional(tw.chain(tw.heavy_ball(), tw.step(1.0)))
    params = {"a": moving[0].detach().clone(), "b": moving[1].detach().clone()}
    rates = {"b": torch.tensor(0.02, dtype=torch.float64), "a": torch.full((2,), 0.1, dtype=torch.float64)}
    state = inner.init(params)
    for step in range(4):
        give_gradients(moving, step)
        optimizer.step()
        gradients = {"b": moving[1].grad, "a": moving[0].grad}
        params, state = inner.step(params, gradients, state, lr=rates, beta=[0.7, 0.95])
    assert list(params) == ["a", "b"]
    assert deviation(params.values(), moving) <= FORMULAS[torch.float64]
    assert list(state.each) == ["a", "b"]


def test_a_state_starts_at_the_hyper_parameter_that_init_is_given() -> None:
    inner = tw.functional(tw.chain(tw.rprop()))
    params = {"a": torch.zeros(3), "b": torch.zeros(2)}
    state = inner.init(params, delta0={"a": 0.25, "b": torch.tensor([0.5, 0.75])})
    assert torch.equal(state.each["a"]["delta"], torch.full((3,), 0.25))
    assert torch.equal(state.each["b"]["delta"], torch.tensor([0.5, 0.75]))
    assert tw.functional(tw.chain(tw.prodigy(), tw.step(1.0))).init(params, d0=0.5).model["d"] == 0.5


@pytest.mark.parametrize("roles", ["module", "names"])
def test_stages_choose_parameters_by_role_and_by_name(roles: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)).double()
    chain = tw.chain(tw.adam(), tw.decay(0.5, skip=("norm", "bias")), tw.clip_value(0.1, only="0.*"), tw.step(0.1))
    params = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    given: Any = model if roles == "module" else {"*.bias": "bias", "*.weight": "matrix", "1.*": "norm"}
    optimizer = tw.Optimizer(model, chain, backend="reference")
    inner = tw.functional(chain, roles=given)
    state = inner.init(params)
    for step in range(3):
        give_gradients(list(model.parameters()), step)
        optimizer.step()
        params, state = inner.step(params, {n: p.grad for n, p in model.named_parameters()}, state)
    assert deviation(params.values(), model.parameters()) <= FORMULAS[torch.float64]


@pytest.mark.parametrize("behind", [tw.ema(beta=0.5), tw.swa(start=2, every=2), tw.lookahead(every=2)], ids=repr)
def test_the_point_of_evaluation_is_the_optimizers(behind: Stage) -> None:
    chain = tw.chain(tw.heavy_ball(), tw.step(0.1), behind)
    params, state, optimizer = side_by_side(chain, 7, shapes=[(3, 2), (4,), ()])
    inner = tw.functional(chain)
    with optimizer.evaluating():
        expected = [parameter.detach().clone() for parameter in stepped(optimizer)]
    assert deviation(inner.evaluation_point(params, state), expected) <= FORMULAS[torch.float64]


def test_the_point_of_evaluation_of_a_schedule_free_rule_is_the_optimizers() -> None:
    chain = tw.chain(tw.schedule_free_sgd(), tw.step(0.1))
    params, state, optimizer = side_by_side(chain, 7, shapes=[(3, 2), (4,), ()])
    with optimizer.evaluating():
        expected = [parameter.detach().clone() for parameter in stepped(optimizer)]
    assert deviation(tw.functional(chain).evaluation_point(params, state), expected) <= FORMULAS[torch.float64]


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_nothing_that_goes_in_is_changed(name: str) -> None:
    inner = tw.functional(usual_chain(name))
    params = {"a": torch.randn(3, 2), "b": torch.randn(4)}
    gradients = {"a": torch.randn(3, 2), "b": torch.randn(4)}
    state = inner.init(params)
    _, state = inner.step(params, gradients, state)
    before = copy.deepcopy((params, gradients, state))
    inner.step(params, gradients, state)
    assert equal((params, gradients, state), before)


def equal(some: Any, others: Any) -> bool:
    if isinstance(some, torch.Tensor):
        return torch.equal(some, others)
    if isinstance(some, dict):
        return some.keys() == others.keys() and all(equal(some[key], others[key]) for key in some)
    return len(some) == len(others) and all(map(equal, some, others))


def test_parameters_come_back_as_they_were_given() -> None:
    inner = tw.functional(usual_chain("adam"))
    for params in ([torch.ones(2)], (torch.ones(2),), {"w": torch.ones(2)}):
        state = inner.init(params)
        new, state = inner.step(params, [torch.ones(2)], state)
        assert type(new) is type(params) is type(state.each)


def test_a_new_value_is_no_view_of_one_number() -> None:
    def constant(g: Direction) -> Update:
        return 0 * mean(g, per="tensor") + 1

    inner = tw.functional(tw.chain(rule(title="One", source="a test")(constant)(), tw.step(1.0), tw.ema()))
    params = [torch.zeros(3)]
    new, state = inner.step(params, [torch.ones(3)], inner.init(params))
    new[0][0] = 5
    assert new[0].tolist() == [5, -1, -1]
    assert state.each[0]["average"].tolist() == [-1, -1, -1]
