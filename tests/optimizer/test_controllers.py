"""A controller stands in the state of the optimizer that follows it, and goes on from there."""

# ruff: noqa: ANN401  # what the type checker would refuse, and a user without one may still pass

from __future__ import annotations

import copy
import io
import pickle
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from schedules.test_plateau_state import fed
from thalweg.errors import CheckpointError
from thalweg.schedules import plateau, warmup

if TYPE_CHECKING:
    from collections.abc import Callable

COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda controller: pickle.loads(pickle.dumps(controller)),  # noqa: S301  # our own bytes
}


def scheduled(chain: tw.Chain) -> tw.Optimizer:
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.ones(3)
    return tw.Optimizer([parameter], chain)


def rate_of_a_step(optimizer: torch.optim.Optimizer) -> float:
    parameter = optimizer.param_groups[0]["params"][0]
    parameter.grad = torch.ones_like(parameter)
    before = parameter.detach().clone()
    optimizer.step()
    return round(float((before - parameter.detach())[0]), 6)


def test_an_optimizer_follows_it_and_a_second_of_the_same_chain_with_it() -> None:
    controller = plateau(0.1, factor=0.5, patience=0)
    chain = tw.chain(tw.gradient_descent(), tw.step(controller))
    first, second = scheduled(chain), scheduled(chain)
    apart = scheduled(copy.deepcopy(chain))
    assert [rate_of_a_step(each) for each in (first, second, apart)] == [0.1, 0.1, 0.1]
    fed(controller, [1.0, 1.0])
    assert [rate_of_a_step(each) for each in (first, second, apart)] == [0.05, 0.05, 0.1]


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copied_optimizer_has_a_controller_of_its_own(copied: Any) -> None:
    controller = plateau(0.1, factor=0.5, patience=0)
    optimizer = scheduled(tw.chain(tw.gradient_descent(), tw.step(controller)))
    rate_of_a_step(optimizer)
    other = copied(optimizer)
    fed(controller, [1.0, 1.0])
    assert (rate_of_a_step(optimizer), rate_of_a_step(other)) == (0.05, 0.1)


def reloaded(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("carried", [copy.deepcopy, reloaded])
def test_a_run_resumes_from_the_optimizers_state_alone(carried: Any) -> None:
    def chain(controller: plateau) -> tw.Chain:
        return tw.chain(tw.adam(), tw.decay(0.5 * controller), tw.step(warmup(2) >> controller))

    before, after = (plateau(0.1, factor=0.5, patience=0) for _ in range(2))
    optimizer, resumed = scheduled(chain(before)), scheduled(chain(after))
    for _ in range(3):
        optimizer.step()
        before.update(1.0)
    state = carried(optimizer.state_dict())
    assert state["param_groups"][0]["controllers"].keys() == {"lr", "weight"}
    resumed.load_state_dict(state)
    assert after.state_dict() == before.state_dict()
    assert "controllers" not in resumed.param_groups[0]
    resumed.param_groups[0]["params"][0].data.copy_(optimizer.param_groups[0]["params"][0].data)
    assert rate_of_a_step(resumed) == rate_of_a_step(optimizer)
    assert resumed.param_groups[0]["lr"] == 0.025
    after.update(0.5)
    assert before.state_dict() != after.state_dict()


def test_a_state_without_controllers_leaves_them_where_they_are() -> None:
    controller = fed(plateau(0.1, factor=0.5, patience=0), [1.0, 1.0])
    optimizer = scheduled(tw.chain(tw.adam(), tw.step(controller)))
    constant = scheduled(tw.chain(tw.adam(), tw.step(0.3)))
    assert "controllers" not in constant.state_dict()["param_groups"][0]
    optimizer.load_state_dict(constant.state_dict())
    assert controller(0) == 0.05
    constant.load_state_dict(scheduled(tw.chain(tw.adam(), tw.step(plateau(0.1)))).state_dict())
    assert constant.param_groups[0]["lr"] == 0.1


MISFITS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "other mode": (lambda c: c["lr"][0].update(mode="max"), "`lr`: plateau(0.1, factor=0.5): the state is of a pla"),
    "one too many": (lambda c: c["lr"].append(c["lr"][0]), "`lr`: 2 controllers were saved, and plateau(0.1, facto"),
    "no list": (lambda c: c.update(lr=5), "`lr`: where its controllers stood is 5, and no list"),
    "no state": (lambda c: c.update(lr=[5]), "`lr`: 'int' object is not iterable"),
}


@pytest.mark.parametrize(("change", "message"), MISFITS.values(), ids=MISFITS)
def test_an_optimizers_state_whose_controllers_do_not_fit_is_refused_and_changes_nothing(
    change: Any, message: str
) -> None:
    controller = plateau(0.1, factor=0.5)
    optimizer = scheduled(tw.chain(tw.adam(), tw.step(controller)))
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"][0]["controllers"]["lr"][0]["rate"] = 0.025
    change(state["param_groups"][0]["controllers"])
    with pytest.raises(CheckpointError, match=re.escape(message)):
        optimizer.load_state_dict(state)
    assert controller(0) == 0.1


def in_groups(*controllers: plateau) -> tw.Optimizer:
    chains = [tw.chain(tw.adam(), tw.step(controller)) for controller in controllers]
    named = [(name, torch.nn.Parameter(torch.zeros(2))) for name in "abcd"]
    groups = [{"params": [one], "chain": chain} for one, chain in zip(named, chains, strict=False)]
    return tw.Optimizer(groups, chains[0])


def test_groups_that_stood_at_different_places_are_refused_where_one_controller_drives_them_all() -> None:
    first, second = plateau(0.1, factor=0.5, patience=0), plateau(0.1, factor=0.5, patience=0)
    apart, together = in_groups(first, second), in_groups(shared := plateau(0.1, factor=0.5, patience=0), shared)
    together.load_state_dict(apart.state_dict())
    fed(first, [1.0, 1.0])
    message = "drives several groups, and those that were saved stood at different places"
    with pytest.raises(CheckpointError, match=message):
        together.load_state_dict(apart.state_dict())
    for optimizer in (apart, together):
        for group in optimizer.param_groups:
            group["params"][0].grad = torch.ones(2)
        optimizer.step()
    with pytest.raises(CheckpointError, match=message):
        tw.load_named_state(together, tw.named_state(apart))
    assert shared(0) == 0.1
    other = in_groups(plateau(0.1, patience=0), plateau(0.1, patience=0))
    other.load_state_dict(apart.state_dict())
    assert [group["chain"].step.learning_rate(0) for group in other.param_groups] == [0.05, 0.1]


def test_two_optimizers_of_one_controller_are_both_where_the_state_loaded_last_says() -> None:
    controller = plateau(0.1, factor=0.5, patience=0)
    chain = tw.chain(tw.gradient_descent(), tw.step(controller))
    first, second = scheduled(chain), scheduled(chain)
    rate_of_a_step(first)
    early = copy.deepcopy(first.state_dict())
    fed(controller, [1.0, 1.0])
    assert (rate_of_a_step(first), rate_of_a_step(second)) == (0.05, 0.05)
    first.load_state_dict(early)
    assert (rate_of_a_step(first), rate_of_a_step(second)) == (0.1, 0.1)


def test_every_route_has_its_controllers_back() -> None:
    one, other = plateau(0.1, factor=0.5, patience=0), plateau(0.2, factor=0.5, patience=0)
    fresh = plateau(0.1, factor=0.5, patience=0), plateau(0.2, factor=0.5, patience=0)

    def made(weights: plateau, rest: plateau) -> tw.Optimizer:
        chains = {"weight": tw.chain(tw.muon(), tw.step(weights)), "*": tw.chain(tw.adam(), tw.step(rest))}
        return tw.Optimizer(torch.nn.Linear(2, 2), tw.route(chains), roles={"weight": "matrix"})

    optimizer = made(one, other)
    fed(other, [1.0, 1.0])
    made(*fresh).load_state_dict(reloaded(optimizer.state_dict()))
    assert [controller.state_dict() for controller in fresh] == [one.state_dict(), other.state_dict()]
