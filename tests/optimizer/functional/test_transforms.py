"""A functional step inside `torch.func`: grad, vmap, jvp and what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.func import grad, hessian, jvp, vmap

import thalweg as tw
from descents import BY_GRADIENT, usual_chain
from thalweg.errors import HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from thalweg.optimizer import FunctionalState

# torch's forward mode compiles its own decompositions by what it deprecates itself
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
TIGHT = {"rtol": 1e-11, "atol": 1e-13}


def learner(name: str) -> tuple[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, FunctionalState]]]:
    """The loss after four inner steps of a rule, of its first rate, a start (2, 3) and a target (3,); and the state."""
    inner = tw.functional(usual_chain(name))
    number = "delta0" if name == "rprop" else "lr"

    def learn(rate: Tensor, start: Tensor, target: Tensor) -> tuple[Tensor, FunctionalState]:
        def loss(params: dict[str, Tensor]) -> Tensor:
            return (params["a"] - target).square().sum() + (params["b"] * target).square().sum()

        params = {"a": start, "b": start.sum(0)}
        state = inner.init(params, **{number: rate})
        for _ in range(4):
            params, state = inner.step(params, grad(loss)(params), state, **{number: rate})
        return loss(params), state

    return number, learn


@pytest.fixture
def tasks() -> tuple[Tensor, Tensor, Tensor]:
    """A rate, and five starts and targets."""
    start, target = torch.randn(5, 2, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    return torch.tensor(0.07, dtype=torch.float64), start, target


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_a_batch_of_inner_loops_is_each_by_itself(name: str, tasks: tuple[Tensor, Tensor, Tensor]) -> None:
    rate, starts, targets = tasks
    _, learn = learner(name)
    losses, states = vmap(learn, in_dims=(None, 0, 0))(rate, starts, targets)
    for at in range(5):
        loss, state = learn(rate, starts[at], targets[at])
        torch.testing.assert_close(losses[at], loss, **TIGHT)
        for key, value in state.each["a"].items():
            torch.testing.assert_close(states.each["a"][key][at] if states.each["a"][key].dim() else value, value)


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_forward_and_backward_hypergradients_agree_in_a_batch_too(
    name: str, tasks: tuple[Tensor, Tensor, Tensor]
) -> None:
    rate, starts, targets = tasks
    _, learn = learner(name)
    batch = vmap(grad(lambda *task: learn(*task)[0]), in_dims=(None, 0, 0))(rate, starts, targets)
    leaf = rate.clone().requires_grad_()
    (backward,) = torch.autograd.grad(learn(leaf, starts[2], targets[2])[0], leaf, materialize_grads=True)
    _, forward = jvp(lambda x: learn(x, starts[2], targets[2])[0], (rate,), (torch.ones_like(rate),))
    torch.testing.assert_close(batch[2], backward, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(forward, backward, rtol=1e-9, atol=1e-12)


def test_the_second_derivative_by_the_rate_is_that_of_finite_differences(tasks: tuple[Tensor, Tensor, Tensor]) -> None:
    rate, starts, targets = tasks
    _, learn = learner("adam")

    def of_rate(x: Tensor) -> Tensor:
        return learn(x, starts[0], targets[0])[0]

    h = 1e-4
    expected = (of_rate(rate + h) - 2 * of_rate(rate) + of_rate(rate - h)) / h**2
    torch.testing.assert_close(hessian(of_rate)(rate), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["adam", "lamb", "prodigy", "adafactor"])
def test_states_go_through_vmap(name: str) -> None:
    inner = tw.functional(usual_chain(name))
    params = {"a": torch.randn(5, 2, 3), "b": torch.randn(5, 4)}
    gradients = {"a": torch.randn(5, 2, 3), "b": torch.randn(5, 4)}
    states = vmap(inner.init)(params)
    moved, states = vmap(inner.step)(params, gradients, states)
    moved, states = vmap(inner.step)(moved, gradients, states)
    one = {key: value[3] for key, value in params.items()}
    state = inner.init(one)
    for _ in range(2):
        one, state = inner.step(one, {key: value[3] for key, value in gradients.items()}, state)
    for key, value in one.items():
        torch.testing.assert_close(moved[key][3], value)
    assert states.each["a"]["step"].tolist() == [2] * 5


def test_a_schedule_is_followed_inside_vmap_from_a_state_begun_there() -> None:
    inner = tw.functional(tw.chain(tw.gradient_descent(), tw.step(tw.linear(1.0, 0.0, steps=4))))

    def run(start: Tensor) -> Tensor:
        params, state = [start], inner.init([start])
        for _ in range(4):
            params, state = inner.step(params, [torch.ones_like(start)], state)
        return params[0]

    assert vmap(run)(torch.zeros(2, 3)).tolist() == [[-2.5] * 3] * 2
    assert grad(lambda start: run(start).sum())(torch.zeros(3)).tolist() == [1] * 3


def test_a_schedule_that_would_need_a_step_for_each_says_what_to_do() -> None:
    inner = tw.functional(tw.chain(tw.gradient_descent(), tw.step(tw.linear(1.0, 0.0, steps=4))))
    params = [torch.zeros(2, 3)]
    states = vmap(inner.init)(params)
    with pytest.raises(HyperparameterError, match=r"`lr` follows linear\(.*\), and inside vmap .*; give `lr` by name"):
        vmap(inner.step)(params, params, states)
    moved, _ = vmap(lambda *given: inner.step(*given, lr=0.5))(params, [torch.ones(2, 3)], states)
    assert moved[0].tolist() == [[-0.5] * 3] * 2


def test_a_batch_of_rates_makes_a_batch_of_steps() -> None:
    inner = tw.functional(tw.chain(tw.adam(eps=0.0), tw.step(1.0)))
    state = inner.init([torch.zeros(2)])
    rates = torch.tensor([0.1, 0.2, 0.4])
    moved = vmap(lambda rate: inner.step([torch.zeros(2)], [torch.ones(2)], state, lr=rate)[0][0])(rates)
    torch.testing.assert_close(moved, -rates[:, None].expand(3, 2))
