"""What a functional optimizer refuses, and says."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.errors import ChainError, GradientError, HyperparameterError, ParameterError, UnknownNameError

PARAMS = {"a": torch.ones(2, 3), "b": torch.ones(4)}
GRADIENTS = {"a": torch.ones(2, 3), "b": torch.ones(4)}
ADAM = tw.chain(tw.adam(), tw.step(0.1))


def steps_once(chain: Any, params: Any = PARAMS, gradients: Any = GRADIENTS, **numbers: Any) -> None:
    inner = tw.functional(chain)
    inner.step(params, gradients, inner.init(params), **numbers)


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        ({"chain": tw.adam()}, ChainError, "functional() takes a chain, and got adam(); write `functional(chain("),
        (
            {"chain": tw.chain(tw.muon(), tw.step(0.1))},
            ChainError,
            "chain stage 1, muon(): is no formula over elements",
        ),
        (
            {"params": torch.ones(3)},
            ParameterError,
            "the parameters are a Tensor, and must be a dictionary, a tuple or",
        ),
        (
            {"params": nn.Linear(2, 1)},
            ParameterError,
            "a Linear, and must be a dictionary, a tuple or a list of tensors",
        ),
        ({"params": {}}, ParameterError, "there are no parameters to step"),
        (
            {"params": {"a": torch.ones(3, dtype=torch.int64)}},
            ParameterError,
            "`a` is of dtype torch.int64, and must be",
        ),
        ({"params": [1.0]}, ParameterError, "parameter 0 is a float, and must be a tensor of real numbers"),
        ({"gradients": {"a": torch.ones(2, 3)}}, ParameterError, "the gradients lack b; give one for each parameter"),
        ({"gradients": GRADIENTS | {"c": 1}}, ParameterError, "the gradients have c, which is no parameter"),
        ({"gradients": [torch.ones(2, 3)]}, ParameterError, "the gradients are 1, and there are 2 parameters"),
        ({"gradients": torch.ones(2)}, ParameterError, "the gradients are a Tensor, and must be a dictionary or a seq"),
        (
            {"gradients": GRADIENTS | {"b": torch.ones(3)}},
            ParameterError,
            "`b` has the shape (4,), and its gradient (3,)",
        ),
        ({"gradients": GRADIENTS | {"b": 1.0}}, GradientError, "the gradient of `b` is a float, and must be a dense"),
        (
            {"gradients": GRADIENTS | {"b": torch.ones(4).to_sparse()}},
            GradientError,
            "the gradient of `b` is sparse, and must be a dense tensor, or None",
        ),
        ({"beta": 0.9}, HyperparameterError, "has no number `beta`; did you mean `beta2` or `beta1`?"),
        ({"beta1": 1.5}, HyperparameterError, "`beta1` is 1.5; it must lie in [0, 1)"),
        (
            {"lr": "fast"},
            HyperparameterError,
            "`learning_rate` is 'fast'; it must be a number in [0, ∞), or a schedule",
        ),
        ({"lr": lambda _: -1.0}, HyperparameterError, "`learning_rate` is -1.0; it must lie in [0, ∞)"),
        (
            {"lr": torch.ones(3)},
            HyperparameterError,
            "`lr` has the shape (3,), and `b` (4,); give one number, or a shape",
        ),
        ({"lr": {"a": 0.1}}, ParameterError, "the values of `lr` lack b; give one for each parameter, by its name"),
        ({"lr": [0.1]}, ParameterError, "the values of `lr` are 1, and there are 2 parameters"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_an_error_that_says_so(given: dict[str, Any], error: Any, sentence: str) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        steps_once(**{"chain": ADAM, **given})


def test_a_tensor_is_not_held_to_the_range_of_its_number() -> None:
    inner = tw.functional(tw.chain(tw.gradient_descent(), tw.step(0.1)))
    moved, _ = inner.step([torch.zeros(2)], [torch.ones(2)], inner.init([torch.zeros(2)]), lr=torch.tensor(-0.5))
    assert moved[0].tolist() == [0.5, 0.5]


def test_one_state_for_the_model_takes_no_numbers_that_differ() -> None:
    chain = tw.chain(tw.prodigy(), tw.step(1.0))
    with pytest.raises(HyperparameterError, match=r"`lr` is given for each parameter, and chain.* keeps one `\w+` for"):
        steps_once(chain, lr={"a": 1.0, "b": 0.5})
    chain = tw.chain(tw.dog(), tw.step(1.0))
    steps_once(chain, lr={"a": 1.0, "b": 0.5})  # it has its rate outside of what it keeps


def test_a_coarse_state_takes_no_number_for_each_element() -> None:
    inner = tw.functional(tw.chain(tw.ldog(), tw.step(1.0)))
    params = {"a": torch.ones(2, 3)}
    with pytest.raises(HyperparameterError, match="`r` has one value a tensor, and depends on a number that is given"):
        inner.step(params, params, inner.init(params), r_rel=torch.full((2, 3), 0.1))


def test_the_state_of_another_chain_is_refused() -> None:
    state = tw.functional(tw.chain(tw.heavy_ball(), tw.step(0.1))).init(PARAMS)
    with pytest.raises(ParameterError, match="the state of `a` lacks m; make it with `init`"):
        tw.functional(ADAM).step(PARAMS, GRADIENTS, state)


def test_a_chain_without_a_point_of_evaluation_has_none_to_give() -> None:
    inner = tw.functional(ADAM)
    with pytest.raises(ChainError, match="evaluation sees the parameter where it is; put an average behind the step"):
        inner.evaluation_point(PARAMS, inner.init(PARAMS))


def test_roles_must_be_known_where_stages_choose_by_them() -> None:
    chain = tw.chain(tw.adam(), tw.decay(0.1, skip="bias"), tw.step(0.1))
    with pytest.raises(ChainError, match="selects by the role `bias`"):
        steps_once(chain)
    with pytest.raises(ParameterError, match="`roles` says nothing of `b`"):
        tw.functional(chain, roles={"a": "matrix"}).init(PARAMS)
    with pytest.raises(UnknownNameError, match="`c` matches no parameter"):
        tw.functional(chain, roles={"a": "matrix", "c": "bias"}).init(PARAMS)


def test_it_prints_as_it_is_typed() -> None:
    assert repr(tw.functional(ADAM)) == "functional(chain(adam(), step(0.1)))"
    assert repr(tw.functional(ADAM, maximize=True)) == "functional(chain(adam(), step(0.1)), maximize=True)"
