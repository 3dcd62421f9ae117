"""Groups, schedules, schedulers, checkpoints and copies of optimizers that take a closure."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

import copy
import io
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.errors import ChainError, CheckpointError, HyperparameterError
from wells import EACH, closure_of, starts

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

each = pytest.mark.parametrize("name", EACH)
DESCENT = tw.chain(tw.gradient_descent(), tw.step(0.1))
ADAM = tw.chain(tw.adam(), tw.step(lambda k: 0.05 / (1 + k)))


def descend(optimizer: Any, tensors: list[Tensor], steps: int) -> list[Tensor]:
    for _ in range(steps):
        optimizer.step(closure_of(optimizer, tensors))
    return [tensor.detach().clone() for tensor in tensors]


def equal(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


@each
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(name: str) -> None:
    tensors = starts()
    uninterrupted = descend(EACH[name](tensors, ADAM, **quiet(name)), tensors, 6)
    tensors = starts()
    first = EACH[name](tensors, ADAM, **quiet(name))
    descend(first, tensors, 2)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = EACH[name](tensors, ADAM, **quiet(name))
    second.load_state_dict(torch.load(file, weights_only=True))
    assert equal(descend(second, tensors, 4), uninterrupted)


@pytest.mark.parametrize("way", ["state_dict", "a file"])
@pytest.mark.parametrize("shares", [False, True], ids=["its own", "the chain's, too"])
def test_a_controller_of_the_methods_own_number_goes_on_where_it_stood(way: str, shares: bool, tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        controller = tw.plateau(0.5, factor=0.5, patience=0)
        chain = tw.chain(tw.adam(), tw.step(0.1 * controller if shares else 0.1))
        tensors = starts()[:2]
        groups = [{"params": [(name, tensor)]} for name, tensor in zip("ab", tensors, strict=True)]
        made.append((tw.SAM(groups, chain, rho=controller), controller, tensors))
    (first, before, tensors), (second, after, others) = made
    for _ in range(4):
        descend(first, tensors, 1)
        before.update(1.0)
    if way == "state_dict":
        file = io.BytesIO()
        torch.save(first.state_dict(), file)
        file.seek(0)
        second.load_state_dict(torch.load(file, weights_only=True))
    else:
        tw.save(first, tmp_path / "state")
        tw.load(second, tmp_path / "state")
    assert after.state_dict() == before.state_dict()
    assert all("controllers" not in group for group in second.param_groups)
    for own, other in zip(others, tensors, strict=True):
        own.data.copy_(other.data)
    assert equal(descend(second, others, 2), descend(first, tensors, 2))
    assert [group["rho"] for group in second.param_groups] == [0.0625] * 2
    copied = copy.deepcopy(first)
    before.update(1.0)
    descend(copied, copied.param_groups[0]["params"] + copied.param_groups[1]["params"], 1)
    assert copied.param_groups[0]["rho"] == 0.0625


def test_where_a_controller_stood_that_is_no_more_is_refused() -> None:
    first = tw.SAM(starts(), DESCENT, rho=tw.plateau(0.5))
    state = first.state_dict()
    state["param_groups"][0]["controllers"]["rho"] = []
    with pytest.raises(CheckpointError, match="`rho`: 0 controllers were saved"):
        tw.SAM(starts(), DESCENT, rho=tw.plateau(0.5)).load_state_dict(state)


def quiet(name: str) -> dict[str, Any]:
    """Without noise, whose generator is the user's to keep."""
    return {"eps": 0.0} if name == "entropy_sgd" else {}


def test_the_numbers_of_the_method_come_back_with_the_state() -> None:
    optimizer = tw.SAM(starts(), DESCENT, rho=0.3)
    other = tw.SAM(starts(), DESCENT)
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["rho"] == 0.3


def test_the_state_of_a_plain_optimizer_lacks_them() -> None:
    with pytest.raises(CheckpointError, match="the state's parameter groups lack rho"):
        tw.SAM(starts(), DESCENT).load_state_dict(tw.Optimizer(starts(), DESCENT).state_dict())


@each
def test_a_checkpoint_by_names_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    tensors = list(model.parameters())
    optimizer = EACH[name](model, ADAM, **quiet(name))
    descend_model(optimizer, model, 3)
    tw.save(optimizer, tmp_path / "state.safetensors")
    before = [tensor.detach().clone() for tensor in tensors]
    expected = descend_model(optimizer, model, 2)
    with torch.no_grad():
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)
    again = EACH[name](model, ADAM, **quiet(name))
    tw.load(again, tmp_path / "state.safetensors")
    assert equal(descend_model(again, model, 2), expected)


def descend_model(optimizer: Any, model: nn.Module, steps: int) -> list[Tensor]:
    def closure() -> Tensor:
        optimizer.zero_grad()
        value = (model(torch.arange(6.0).reshape(2, 3)) - 1).square().mean()
        value.backward()
        return value

    for _ in range(steps):
        optimizer.step(closure)
    return [parameter.detach().clone() for parameter in model.parameters()]


@each
@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copy_goes_on_as_the_original(name: str, way: str) -> None:
    tensors = starts()
    optimizer = EACH[name](tensors, ADAM, **quiet(name))
    descend(optimizer, tensors, 2)
    if way == "deepcopy":
        other, copied = copy.deepcopy((optimizer, tensors))
    else:
        plain = EACH[name](tensors, tw.chain(tw.adam(), tw.step(0.05)), **quiet(name))
        file = io.BytesIO()
        torch.save((plain, tensors), file)
        file.seek(0)
        other, copied = torch.load(file, weights_only=False)
        optimizer = plain
    assert equal(descend(other, copied, 2), descend(optimizer, tensors, 2))


def test_groups_have_their_own_rho_and_the_norm_is_over_all() -> None:
    a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    optimizer = tw.SAM([{"params": [a], "rho": 1.0}, {"params": [b]}], DESCENT, rho=2.0)
    seen: list[tuple[float, float]] = []

    def closure() -> Tensor:
        seen.append((a.item(), b.item()))
        optimizer.zero_grad()
        value = 3 * a.sum() + 4 * b.sum()
        value.backward()
        return value

    optimizer.step(closure)
    assert seen[1] == pytest.approx((1 + 1.0 * 3 / 5, 1 + 2.0 * 4 / 5))
    optimizer.param_groups[0]["rho"] = 0.0
    optimizer.step(closure)
    assert seen[3][0] == seen[2][0]


def test_a_group_may_be_added_with_a_chain_and_a_rho_of_its_own() -> None:
    tensors = starts()
    optimizer = tw.SAM(tensors[:2], DESCENT)
    optimizer.add_param_group({"params": tensors[2:], "chain": ADAM, "rho": 0.2})
    assert [group["rho"] for group in optimizer.param_groups] == [0.05, 0.2]
    before = [tensor.detach().clone() for tensor in tensors]
    assert not any(map(torch.equal, descend(optimizer, tensors, 1), before))


def test_where_the_chain_has_a_number_of_the_same_name_the_methods_has_a_prefix() -> None:
    chain = tw.chain(tw.rmsprop(rho=0.9), tw.step(0.01))
    optimizer = tw.SAM([{"params": starts(), "rho": 0.8, "sam.rho": 0.3}], chain, rho=0.1)
    group = optimizer.param_groups[0]
    assert (group["rho"], group["sam.rho"]) == (0.8, 0.3)
    assert tw.SAM(starts(), chain, rho=0.1).param_groups[0]["sam.rho"] == 0.1
    seen: list[Tensor] = []
    tensors = starts()
    optimizer = tw.SAM(tensors, chain, rho=0.25)

    def closure() -> Tensor:
        seen.append(torch.cat([tensor.detach().flatten() for tensor in tensors]))
        return closure_of(optimizer, tensors)()

    optimizer.step(closure)
    assert (seen[1] - seen[0]).norm().item() == pytest.approx(0.25)


def test_a_schedule_of_rho_is_followed_and_stands_in_the_group() -> None:
    tensors = starts()
    optimizer = tw.SAM(tensors, DESCENT, rho=tw.linear(0.4, 0.0, steps=4))
    seen: list[float] = []
    for _ in range(5):
        descend(optimizer, tensors, 1)
        seen.append(optimizer.param_groups[0]["rho"])
    assert seen == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0])


@each
def test_torchs_schedulers_drive_the_rate(name: str) -> None:
    tensors = starts()
    optimizer = EACH[name](tensors, tw.chain(tw.heavy_ball(), tw.step(0.08)), **quiet(name))
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for _ in range(3):
        optimizer.step(closure_of(optimizer, tensors))
        scheduler.step()
    ours = starts()
    expected = EACH[name](ours, tw.chain(tw.heavy_ball(), tw.step(tw.exponential(0.08, factor=0.5))), **quiet(name))
    assert equal([tensor.detach() for tensor in tensors], descend(expected, ours, 3))


def test_a_route_and_matrix_methods_go_inside_sam() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    routes = tw.route({"matrix": tw.chain(tw.muon(), tw.step(0.02)), "*": tw.chain(tw.adam(), tw.step(0.01))})
    optimizer = tw.SAM(model, routes, rho=0.01)
    assert [group["rho"] for group in optimizer.param_groups] == [0.01, 0.01]
    first = descend_model(optimizer, model, 1)
    assert not any(map(torch.equal, descend_model(optimizer, model, 1), first))


def test_averages_behind_the_step_are_seen_by_evaluation() -> None:
    tensors = starts()
    optimizer = tw.SAM(tensors, tw.chain(tw.gradient_descent(), tw.step(0.1), tw.ema(beta=0.5)))
    reached = descend(optimizer, tensors, 3)
    with optimizer.evaluating():
        assert not any(map(torch.equal, tensors, reached))
    assert equal(tensors, reached)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: tw.SAM(starts(), tw.adam()), ChainError, "the second argument must be a chain, and is adam()"),
        (lambda: tw.SAM(starts(), DESCENT, rho=-0.1), HyperparameterError, "sam: `rho` is -0.1; it must lie in [0, ∞)"),
        (
            lambda: tw.SAM(starts(), DESCENT, eta=0.1),
            HyperparameterError,
            "`eta` has no effect without `adaptive=True`",
        ),
        (
            lambda: tw.EntropySGD(starts(), DESCENT, alpha=1.5),
            HyperparameterError,
            "entropy_sgd: `alpha` is 1.5; it must lie in (0, 1]",
        ),
        (
            lambda: tw.EntropySGD(starts(), DESCENT, evaluations=0),
            HyperparameterError,
            "entropy_sgd: `evaluations` is 0; it must be a whole number from 1",
        ),
        (
            lambda: tw.EntropySGD(starts(), DESCENT, form="papers"),  # pyright: ignore[reportArgumentType]
            HyperparameterError,
            "entropy_sgd: `form` is 'papers'; did you mean `paper`?",
        ),
        (
            lambda: tw.SAM([{"params": starts(), "rho": "large"}], DESCENT),
            HyperparameterError,
            "sam: `rho` is 'large'; it must be a number in [0, ∞)",
        ),
        (
            lambda: tw.SAM([{"params": starts(), "rho": 0.1}], DESCENT, rho=tw.linear(1.0, 0.0, steps=4)),
            HyperparameterError,
            "sam: a parameter group sets `rho` to 0.1; a schedule is for all groups",
        ),
        (
            lambda: tw.SAM([{"params": starts(), "size": 0.1}], DESCENT),
            HyperparameterError,
            "a parameter group sets `size`, which chain(gradient_descent(), step(0.1)) does not have",
        ),
    ],
    ids=range(9),
)
def test_what_does_not_fit_is_an_error_that_says_so(make: Any, error: Any, sentence: str) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        make()


def test_a_number_that_a_group_sets_later_is_checked_at_the_step() -> None:
    tensors = starts()
    optimizer = tw.SAM(tensors, DESCENT)
    optimizer.param_groups[0]["rho"] = -1.0
    with pytest.raises(HyperparameterError, match=r"sam: `rho` is -1.0; it must lie in \[0, ∞\)"):
        optimizer.step(closure_of(optimizer, tensors))
    assert equal([tensor.detach() for tensor in tensors], starts())


def test_look_ahead_refuses_a_matrix_method() -> None:
    tensors = [torch.randn(3, 4, requires_grad=True)]
    optimizer = tw.LookAheadNesterov(tensors, tw.chain(tw.muon(), tw.step(0.1)))
    with pytest.raises(
        ChainError, match=r"steps a parameter of shape \(3, 4\) by a matrix method, and where that leads"
    ):
        optimizer.step(closure_of(optimizer, tensors))
