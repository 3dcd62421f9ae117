"""A stage is a rule with checked settings: inert, comparable, printed as it is typed."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from thalweg.errors import HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.formula import Stage


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        (tw.adam(), "adam()"),
        (tw.adam(0.8), "adam(0.8)"),
        (tw.adam(beta2=0.95, eps=1e-6), "adam(beta2=0.95, eps=1e-06)"),
        (tw.adam(0.8, amsgrad=True), "adam(0.8, amsgrad=True)"),
        (tw.rprop(form="irprop-"), "rprop(form='irprop-')"),
        (tw.adam(beta1=tw.constant(0.5)), "adam(beta1=constant(0.5))"),
        (tw.heavy_ball(1 / 3), "heavy_ball(0.3333333333333333)"),
        (tw.heavy_ball(0), "heavy_ball(0)"),
    ],
)
def test_a_stage_prints_as_it_is_typed(stage: Stage, text: str) -> None:
    assert repr(stage) == text
    assert str(stage) == text
    assert eval(text, vars(tw)) == stage  # noqa: S307  # what is printed can be typed again


def test_stages_with_the_same_settings_are_equal() -> None:
    assert tw.adam(0.8) == tw.adam(beta1=0.8)
    assert tw.adam(0.8) != tw.adam(0.7)
    assert tw.adam() != tw.adamw()
    assert len({tw.adam(0.8), tw.adam(beta1=0.8)}) == 1


def test_a_stage_survives_copying_and_pickling() -> None:
    stage = tw.adam(0.8, amsgrad=True)
    assert copy.deepcopy(stage) == stage
    assert pickle.loads(pickle.dumps(stage)) == stage  # noqa: S301  # our own bytes


def test_a_stage_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        tw.adam().typed = ()  # pyright: ignore[reportAttributeAccessIssue]


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a negative number": (lambda: tw.adam(eps=-1e-8), r"adam: `eps` is -1e-08; it must lie in \[0, ∞\)"),
    "a beta of 1": (lambda: tw.adam(beta2=1.0), r"adam: `beta2` is 1.0; it must lie in \[0, 1\)"),
    "an integer beta of 1": (lambda: tw.heavy_ball(1), r"heavy_ball: `beta` is 1; it must lie in \[0, 1\)"),
    "NaN": (lambda: tw.adam(float("nan")), r"adam: `beta1` is nan; it must lie in \[0, 1\)"),
    "an infinite number": (lambda: tw.rprop(float("inf")), r"rprop: `delta0` is inf; it must lie in \(0, ∞\)"),
    "a string": (lambda: tw.adam("0.9"), r"adam: `beta1` is '0.9'; it must be a number in \[0, 1\), or a schedule"),
    "a boolean": (lambda: tw.adam(eps=True), r"adam: `eps` is True; it must be a number in \[0, ∞\), or a schedule"),
    "a list": (lambda: tw.adam(eps=[1.0]), r"adam: `eps` is \[1.0\]; it must be a number"),
    "several numbers": (
        lambda: tw.adam(eps=torch.ones(2)),
        r"adam: `eps` is tensor\(\[1., 1.\]\); it must be a number",
    ),
    "a tensor whose gradient would be lost": (
        lambda: tw.adam(torch.tensor(0.9, requires_grad=True)),
        r"adam: `beta1` is a tensor that requires grad, .* back-propagate through `thalweg.functional\(…\).step`",
    ),
    "None": (lambda: tw.adam(eps=None), "adam: `eps` is None; give a number"),
    "an unknown option": (
        lambda: tw.rprop(form="rprop"),
        r"rprop: `form` is 'rprop'; choose one of 'rprop-', 'rprop\+', 'irprop-'",
    ),
    "no option": (lambda: tw.adam(amsgrad=None), "adam: `amsgrad` is None; choose one of False, True"),
    "an unknown name": (lambda: tw.adam(beta_1=0.9), r"adam\(\) has no hyper-parameter `beta_1`; did you mean `beta1`"),
    "a name of a rule that has none": (
        lambda: tw.gradient_descent(lr=0.1),
        r"gradient_descent\(\) has no hyper-parameter `lr`; ",
    ),
    "two positions": (lambda: tw.adam(0.9, 0.99), r"adam\(\) takes 1 positional argument, and got 2; name the others"),
    "a position where there is none": (lambda: tw.gradient_descent(0.1), r"gradient_descent\(\) takes 0 positional"),
    "one name twice": (lambda: tw.adam(0.9, beta1=0.9), r"adam\(\) got `beta1` twice, by position and by name"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_names_itself_and_its_range(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(HyperparameterError, match=message):
        make()


def test_a_number_without_effect_in_this_form_is_refused_and_not_ignored() -> None:
    chain = tw.chain(tw.heavy_ball(dampening=0.5), tw.step(0.1))
    with pytest.raises(
        HyperparameterError,
        match=r"chain stage 1, heavy_ball\(dampening=0.5\): `dampening` has no effect in this form of the rule",
    ):
        chain.trace()
