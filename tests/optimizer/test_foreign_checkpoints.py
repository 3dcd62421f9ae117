"""The state of another rule or model, or a broken one, is refused with one sentence, and nothing changes."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import descend, one_parameter, optimizer_of
from thalweg.errors import CheckpointError, HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable

ADAM = tw.chain(tw.adam(), tw.step(0.1))


def stepped(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    descend(optimizer, 1)
    return optimizer


OTHERS: dict[str, tuple[Callable[[], Any], Callable[[], Any], str]] = {
    "another rule": (
        lambda: optimizer_of("adam", [one_parameter()]),
        lambda: optimizer_of("rmsprop", [one_parameter()]),
        r"the state is of chain\(rmsprop\(\), step\(\)\), and this optimizer steps by chain\(adam\(\), step\(\)\)",
    ),
    "another dialect": (
        lambda: optimizer_of("adam", [one_parameter()]),
        lambda: optimizer_of(tw.adam(amsgrad=True), [one_parameter()]),
        r"the state is of chain\(adam\(amsgrad=True\), step\(\)\), and this optimizer steps by chain\(adam\(\), step",
    ),
    "a drop-in's, for a chain": (
        lambda: optimizer_of("adam", [one_parameter()]),
        lambda: tw.Adam([one_parameter()]),
        r"the state is of another optimizer, and this optimizer steps by chain\(adam\(\), step\(\)\)",
    ),
    "a chain's, for a drop-in": (
        lambda: tw.Adam([one_parameter()]),
        lambda: optimizer_of("adam", [one_parameter()]),
        "another optimizer's",
    ),
    "torch's of another name": (
        lambda: tw.Adadelta([one_parameter()]),
        lambda: torch.optim.RMSprop([one_parameter()]),
        "another",
    ),
    "more parameters": (
        lambda: tw.Adam([one_parameter()]),
        lambda: tw.Adam([one_parameter(), one_parameter()]),
        "the state is of 2 parameters, and this optimizer has 1; make it with the same groups before",
    ),
    "other groups": (
        lambda: tw.Adam([one_parameter(), one_parameter()]),
        lambda: tw.Adam([{"params": [one_parameter()]}, {"params": [one_parameter()]}]),
        r"the state is of 1 \+ 1 parameters, and this optimizer has 2; make it",
    ),
    "another shape": (
        lambda: tw.Adam([one_parameter()]),
        lambda: tw.Adam([one_parameter(1.0, 4)]),
        r"parameter 0: its state `exp_avg` has shape \(4,\), and the parameter's must have \(3,\)",
    ),
}


@pytest.mark.parametrize("is_stepped", [True, False])
@pytest.mark.parametrize(("mine", "other", "message"), OTHERS.values(), ids=OTHERS)
def test_the_state_of_another_is_refused_and_nothing_changes(
    mine: Any, other: Any, message: str, is_stepped: bool
) -> None:
    theirs = other()
    if is_stepped:
        stepped(theirs)
    elif "shape" in message:
        pytest.skip("a state without tensors has no shapes")
    optimizer = stepped(mine())
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(CheckpointError, match=message):
        optimizer.load_state_dict(theirs.state_dict())
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert all(torch.equal(after["state"][0][name], value) for name, value in before["state"][0].items())
    descend(optimizer, 1)


def broken(change: Callable[[dict[str, Any]], Any]) -> Any:
    optimizer = stepped(tw.Adam([one_parameter()]))
    saved = copy.deepcopy(optimizer.state_dict())
    replaced = change(saved)
    return saved if replaced is None else replaced


NO_STATE_DICT = "this is no optimizer's state dict: that is a dictionary with `state` and a list of `param_groups`"
BROKEN: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no state": (lambda s: {"param_groups": s["param_groups"]}, NO_STATE_DICT),
    "no groups": (lambda s: {"state": s["state"]}, NO_STATE_DICT),
    "a list": (lambda s: [s], NO_STATE_DICT),
    "groups that are none": (lambda s: s.update(param_groups=[5]), NO_STATE_DICT),
    "a group without settings": (
        lambda s: s["param_groups"][0].__delitem__("betas") or s["param_groups"][0].__delitem__("lr"),
        "the state's parameter groups lack betas, lr: they are another optimizer's",
    ),
    "a state missing": (
        lambda s: s["state"][0].__delitem__("exp_avg"),
        "parameter 0: its state holds exp_avg_sq, step, and this optimizer keeps exp_avg, exp_avg_sq, step",
    ),
    "a state that is a number": (
        lambda s: s["state"][0].update(exp_avg=5.0),
        "parameter 0: its state `exp_avg` is 5.0, and no tensor",
    ),
    "a complex state": (
        lambda s: s["state"][0].update(exp_avg=torch.ones(3, dtype=torch.complex64)),
        "parameter 0: its state `exp_avg` is a torch.strided tensor of torch.complex64, and no dense tensor",
    ),
    "a sparse state": (
        lambda s: s["state"][0].update(exp_avg=torch.ones(3).to_sparse()),
        "parameter 0: its state `exp_avg` is a torch.sparse_coo tensor of torch.float32, and no dense tensor",
    ),
    "a step count that is none": (
        lambda s: s["state"][0].update(step=torch.ones(2)),
        r"parameter 0: its state `step` is tensor\(\[1., 1.\]\), and no number",
    ),
    "a state that is no dictionary": (
        lambda s: s["state"].update({0: 5}),
        "parameter 0: its state is 5, and no dictionary",
    ),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_state_dict_is_refused_and_nothing_changes(change: Any, message: str) -> None:
    optimizer = stepped(tw.Adam([one_parameter()]))
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(CheckpointError, match=message):
        optimizer.load_state_dict(broken(change))
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert all(torch.equal(after["state"][0][name], value) for name, value in before["state"][0].items())
    descend(optimizer, 1)


def test_a_saved_number_out_of_range_is_refused_and_nothing_changes() -> None:
    optimizer = stepped(tw.Optimizer([one_parameter()], ADAM))
    saved = copy.deepcopy(optimizer.state_dict())
    saved["param_groups"][0]["beta1"] = 1.5
    with pytest.raises(HyperparameterError, match=r"adam: `beta1` is 1.5; it must lie in \[0, 1\)"):
        optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["beta1"] == 0.9
