"""The catalogue says of every rule what a reader needs, and names the nearest rule for a name that it lacks."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import RULES
from thalweg.errors import UnknownNameError

if TYPE_CHECKING:
    from thalweg.formula import Stage

every_rule = pytest.mark.parametrize("name", RULES)


@every_rule
def test_a_rule_says_its_title_source_use_and_the_origin_of_every_default(name: str) -> None:
    rule = tw.rules.get(name)
    assert rule.name == name
    assert rule is getattr(tw, name)
    assert rule.title
    assert any(character.isdigit() for character in rule.source), "a source has a year"
    assert rule.doc.endswith(".")
    assert rule.notes["when"].endswith(".")
    numbers = {hyper.name for hyper in rule.hyperparameters.values() if not hyper.is_option}
    assert numbers <= rule.notes.keys()
    if any(hyper.is_option for hyper in rule.hyperparameters.values()):
        options = {choice for h in rule.hyperparameters.values() for choice in h.choices if isinstance(choice, str)}
        assert all(option in rule.notes["dialect"] or option == "outside" for option in options)


@every_rule
def test_a_default_lies_in_its_range(name: str) -> None:
    rule = tw.rules.get(name)
    for hyper in rule.hyperparameters.values():
        hyper.check(hyper.default, name)


@every_rule
def test_a_rule_is_the_same_object_after_copying_and_pickling(name: str) -> None:
    rule = tw.rules.get(name)
    assert copy.deepcopy(rule) is rule
    assert pickle.loads(pickle.dumps(rule)) is rule  # noqa: S301  # our own bytes


@pytest.mark.parametrize(
    ("wrong", "near"), [("adm", "`adam`"), ("heavyball", "`heavy_ball`"), ("RMSProp_momentum", "`rmsprop_momentum`")]
)
def test_an_unknown_rule_is_refused_with_the_nearest_name(wrong: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"there is no rule `{wrong}`; did you mean .*{near}"):
        tw.rules.get(wrong)


def test_a_name_like_no_other_is_refused_with_all_names() -> None:
    with pytest.raises(UnknownNameError, match="known are: adabelief, adadelta, adafactor, adagrad, adam"):
        tw.rules.get("zzz")


@pytest.mark.parametrize(
    ("stage", "states"),
    [
        (tw.gradient_descent(), []),
        (tw.adam(), ["m", "v"]),
        (tw.adam(amsgrad=True), ["m", "v", "v_max"]),
        (tw.rmsprop(), ["r"]),
        (tw.rmsprop(centred=True), ["r", "mean"]),
        (tw.rprop(), ["g_prev", "delta"]),
        (tw.rprop(form="rprop+"), ["g_prev", "delta", "move"]),
        (tw.delta_bar_delta(), ["gain", "g_bar"]),
        (tw.delta_bar_delta(agreement="velocity"), ["gain", "v"]),
    ],
    ids=repr,
)
def test_only_the_states_that_a_form_uses_are_kept(stage: Stage, states: list[str]) -> None:
    parameter = torch.ones(3, requires_grad=True)
    parameter.grad = torch.ones(3)
    optimizer = tw.Optimizer(
        [parameter], tw.chain(stage) if stage.rule.name == "rprop" else tw.chain(stage, tw.step(0.1))
    )
    optimizer.step()
    assert list(optimizer.state[parameter]) == ["step", *states]
