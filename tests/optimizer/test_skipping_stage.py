"""The stage that leaves out steps is the option of the optimizer, with a limit to how many in a row."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import one_parameter
from thalweg.errors import ChainError, HyperparameterError, NonFiniteGradientError

if TYPE_CHECKING:
    from pathlib import Path

    from thalweg.optimizer.layout import Backend

backends = pytest.mark.parametrize("backend", ["numba", "reference"])
NAN, INFINITY = float("nan"), float("inf")
RULE = (tw.adam(), tw.step(0.1))


def called(optimizer: torch.optim.Optimizer, *values: float) -> None:
    (parameter,) = optimizer.param_groups[0]["params"]
    for value in values:
        parameter.grad = torch.tensor([1.0, value, 2.0])
        optimizer.step()


@backends
def test_it_is_the_option(backend: Backend) -> None:
    by_stage, by_option = one_parameter(), one_parameter()
    optimizers = (
        tw.Optimizer([by_stage], tw.chain(tw.skip_nonfinite(), *RULE), backend=backend),
        tw.Optimizer([by_option], tw.chain(*RULE), nonfinite="skip", backend=backend),
    )
    for optimizer in optimizers:
        called(optimizer, 1.0, NAN, 2.0, INFINITY, INFINITY, -1.0)
        assert optimizer.skipped == 3
        assert optimizer.param_groups[0]["steps"] == 3
    assert torch.equal(by_stage, by_option)


@backends
def test_one_too_many_in_a_row_is_an_error_and_nothing_has_moved(backend: Backend) -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([("w", parameter)], tw.chain(tw.skip_nonfinite(at_most=2), *RULE), backend=backend)
    called(optimizer, NAN, NAN, 1.0, NAN, NAN)
    before = parameter.detach().clone()
    with pytest.raises(
        NonFiniteGradientError, match=r"gradient of `w` .* too many in a row have been left out; .*`at_"
    ):
        called(optimizer, NAN)
    assert torch.equal(parameter, before)
    assert optimizer.param_groups[0]["steps"] == 1
    called(optimizer, 1.0)
    optimizer.param_groups[0]["at_most"] = 1
    called(optimizer, NAN)
    with pytest.raises(NonFiniteGradientError):
        called(optimizer, NAN)


def test_how_many_were_left_out_in_a_row_is_saved(tmp_path: Path) -> None:
    def fresh() -> tw.Optimizer:
        return tw.Optimizer([("w", one_parameter())], tw.chain(tw.skip_nonfinite(at_most=2), *RULE))

    optimizer = fresh()
    called(optimizer, 1.0, NAN, NAN)
    loaded, filled = fresh(), fresh()
    loaded.load_state_dict(optimizer.state_dict())
    tw.save(optimizer, tmp_path / "o.safetensors")
    tw.load(filled, tmp_path / "o.safetensors")
    for resumed in (loaded, filled, copy.deepcopy(optimizer)):
        with pytest.raises(NonFiniteGradientError, match="too many"):
            called(resumed, NAN)


def test_a_bad_batch_leaves_the_sum_of_the_others_alone() -> None:
    parameter = one_parameter(0.0)
    optimizer = tw.Optimizer([parameter], tw.chain(tw.skip_nonfinite(), tw.accumulate(2), tw.step(1.0)))
    called(optimizer, 1.0, NAN, 3.0)
    assert parameter.tolist() == [-1, -2, -2]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([tw.clip(1.0), tw.skip_nonfinite()], r"stage 2, skip_nonfinite\(\): looks at gradients as they come in"),
        ([tw.accumulate(), tw.skip_nonfinite()], r"behind accumulate\(\) there are none; put it first"),
        ([tw.skip_nonfinite(skip="bias")], "for all parameters of the chain"),
    ],
)
def test_it_stands_first_and_for_all(stages: list[Any], message: str) -> None:
    with pytest.raises(ChainError, match=message):
        tw.chain(*stages, *RULE)


def test_it_is_for_all_groups_and_contradicts_propagation() -> None:
    first, second = one_parameter(), one_parameter()
    skips, plain = tw.chain(tw.skip_nonfinite(), *RULE), tw.chain(*RULE)
    groups = [{"params": [first]}, {"params": [second], "chain": plain}]
    with pytest.raises(ChainError, match=r"leaves out whole calls of `step`, and chain\(adam\(\).* does not have it"):
        tw.Optimizer(groups, skips)
    with pytest.raises(HyperparameterError, match="nonfinite='propagate' contradict each other"):
        tw.Optimizer([first], skips, nonfinite="propagate")
    optimizer = tw.Optimizer([first], skips)
    optimizer.step()
    optimizer.param_groups[0]["chain"] = plain
    with pytest.raises(NonFiniteGradientError):
        called(optimizer, NAN)
