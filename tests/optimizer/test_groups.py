"""Groups have numbers, chains and schedules of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import descend, one_parameter, parameters
from thalweg.errors import ChainError, HyperparameterError, ParameterError, ThalwegError

if TYPE_CHECKING:
    from collections.abc import Callable

ADAM = tw.chain(tw.adam(), tw.decay(0.1), tw.step(0.05))
DESCENT = tw.chain(tw.gradient_descent(), tw.step(0.1))


def test_a_group_shows_the_numbers_of_its_chain() -> None:
    optimizer = tw.Optimizer(
        [{"params": [one_parameter()]}, {"params": [one_parameter()], "lr": 1.0, "weight": 0}], ADAM
    )
    first, second = optimizer.param_groups
    assert {name: first[name] for name in ("lr", "beta1", "beta2", "eps", "weight")} == {
        "lr": 0.05, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight": 0.1,
    }  # fmt: skip
    assert (second["lr"], second["weight"]) == (1.0, 0)
    assert repr(second["chain"]) == "chain(adam(), decay(0), step(1.0))"


def test_each_group_steps_by_its_own_numbers_as_an_optimizer_of_its_own_would() -> None:
    settings = [{"lr": 0.1}, {"lr": 0.2, "beta1": 0.5}, {"weight": 0.0}, {}]
    together = [{"params": parameters(seed=k), **numbers} for k, numbers in enumerate(settings)]
    apart = [{"params": parameters(seed=k), **numbers} for k, numbers in enumerate(settings)]
    joint = tw.Optimizer(together, ADAM)
    each = [tw.Optimizer([group], ADAM) for group in apart]
    for step in range(5):
        for group, other in zip(together, apart, strict=True):
            for a, b in zip(group["params"], other["params"], strict=True):
                a.grad = torch.full_like(a, step - 1.5)
                b.grad = torch.full_like(b, step - 1.5)
        joint.step()
        for optimizer in each:
            optimizer.step()
    for group, other in zip(together, apart, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(group["params"], other["params"], strict=True))


def test_a_group_may_bring_its_own_chain() -> None:
    by_adam, by_descent = one_parameter(), one_parameter()
    optimizer = tw.Optimizer([{"params": [by_adam]}, {"params": [by_descent], "chain": DESCENT, "lr": 0.5}], ADAM)
    optimizer.step()
    torch.testing.assert_close(by_descent.detach(), torch.full((3,), 0.5))
    torch.testing.assert_close(by_adam.detach(), torch.full((3,), 1 - 0.05 * (1 + 0.1)))
    assert list(optimizer.state[by_descent]) == ["step"]


def test_a_group_may_ascend_while_others_descend() -> None:
    up, down = one_parameter(), one_parameter()
    optimizer = tw.Optimizer([{"params": [up], "maximize": True}, {"params": [down]}], DESCENT)
    optimizer.step()
    torch.testing.assert_close(up.detach(), torch.full((3,), 1.1))
    torch.testing.assert_close(down.detach(), torch.full((3,), 0.9))


def test_a_group_may_follow_a_schedule_of_its_own() -> None:
    some, others = one_parameter(), one_parameter()
    groups = [{"params": [some], "lr": tw.step_decay(0.4, factor=0.5, every=1)}, {"params": [others]}]
    optimizer = tw.Optimizer(groups, DESCENT)
    shown = []
    for _ in range(3):
        optimizer.step()
        shown.append(optimizer.param_groups[0]["lr"])
    assert shown == [0.4, 0.2, 0.1]
    torch.testing.assert_close(some.detach(), torch.full((3,), 1 - 0.7))
    torch.testing.assert_close(others.detach(), torch.full((3,), 1 - 0.3))


@pytest.mark.parametrize(
    "params",
    [
        lambda model: model,
        lambda model: model.parameters(),
        lambda model: list(model.parameters()),
        lambda model: tuple(model.parameters()),
        lambda model: model.named_parameters(),
        lambda model: [{"params": model.parameters()}],
        lambda model: [{"params": model.named_parameters()}],
        lambda model: iter([{"params": iter([model.weight])}, {"params": model.bias}]),
    ],
    ids=["module", "generator", "list", "tuple", "named", "group of a generator", "group of names", "groups"],
)
def test_parameters_may_be_given_as_torch_takes_them(params: Callable[[torch.nn.Linear], Any]) -> None:
    model = torch.nn.Linear(2, 3)
    optimizer = tw.Optimizer(params(model), DESCENT)
    given = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(given) == 2
    assert all(a is b for a, b in zip(given, model.parameters(), strict=True))


def test_a_lone_scalar_may_be_a_group() -> None:
    scalar = torch.tensor(1.0, requires_grad=True)
    scalar.grad = torch.tensor(1.0)
    tw.Optimizer([{"params": scalar}], DESCENT).step()
    torch.testing.assert_close(scalar.detach(), torch.tensor(0.9))


WRONG = {
    "an unknown number": (
        {"beta": 0.9},
        HyperparameterError,
        r"a parameter group sets `beta`, which chain\(gradient_descent\(\), step\(0.1\)\) does not have; known are: lr",
    ),
    "a number nearly known": ({"lrr": 0.9}, HyperparameterError, "did you mean `lr`"),
    "a negative rate": ({"lr": -1}, HyperparameterError, r"step: `learning_rate` is -1; it must lie in \[0, ∞\)"),
    "a chain that is none": (
        {"chain": "adam"},
        ChainError,
        r"a parameter group's `chain` is 'adam'; write `chain\(…\)`",
    ),
    "a chain that does not compose": ({"chain": tw.chain(tw.adam())}, ChainError, "no step follows"),
    "no parameters": ({"parms": []}, ParameterError, "a parameter group needs `params`, and has .*parms"),
    "an integer parameter": (
        {"params": [torch.ones(3, dtype=torch.int64)]},
        ParameterError,
        r"a parameter of shape \(3,\) has dtype torch.int64",
    ),
}


@pytest.mark.parametrize(("settings", "kind", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_group_is_refused_and_not_added(
    settings: dict[str, Any], kind: type[ThalwegError], message: str
) -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], DESCENT)
    group = settings if "params" in settings or "parms" in settings else {"params": [one_parameter()], **settings}
    with pytest.raises(kind, match=message):
        optimizer.add_param_group(group)
    assert len(optimizer.param_groups) == 1
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.9))


def test_a_group_can_be_added_to_an_optimizer_that_was_loaded() -> None:
    optimizer = tw.Optimizer([one_parameter()], DESCENT)
    optimizer.load_state_dict(optimizer.state_dict())
    added = one_parameter()
    optimizer.add_param_group({"params": [added]})
    optimizer.add_param_group({**optimizer.param_groups[0], "params": [one_parameter()]})
    descend(optimizer, 1)
    assert not torch.equal(added, torch.ones(3))


def test_a_wrong_number_set_by_hand_is_refused_before_anything_moves_and_can_be_mended() -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], DESCENT)
    optimizer.step()
    before = parameter.detach().clone()
    for wrong in (-1.0, float("nan"), "fast"):
        optimizer.param_groups[0]["lr"] = wrong
        with pytest.raises(HyperparameterError, match="`learning_rate` is"):
            optimizer.step()
    assert torch.equal(parameter, before)
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), before - 0.5)


def test_a_number_taken_out_of_a_group_is_named() -> None:
    optimizer = tw.Optimizer([one_parameter()], DESCENT)
    optimizer.step()
    del optimizer.param_groups[0]["lr"]
    with pytest.raises(ThalwegError, match="`lr`"):
        optimizer.step()


def test_a_chain_exchanged_in_a_group_is_stepped_by_or_refused_but_not_ignored() -> None:
    parameter = one_parameter(dtype=torch.float64)
    optimizer = tw.Optimizer([parameter], DESCENT)
    optimizer.step()
    before = parameter.detach().clone()
    optimizer.param_groups[0]["chain"] = ADAM
    try:
        optimizer.step()
    except ThalwegError as error:
        assert "chain" in str(error)  # noqa: PT017  # either answer is right
        assert torch.equal(parameter, before)
    else:
        torch.testing.assert_close(before - parameter.detach(), 0.05 * (1 + 0.1 * before))
