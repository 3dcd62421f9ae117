"""A state keyed by parameter name goes to the parameter of that name, exactly, or it is said what does not fit."""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import RULES, SHAPES, descend, optimizer_of, parameters
from dropins import CASES, Settings, label, ours

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

ADAM = tw.chain(tw.adam(), tw.step(0.1))
NAMES = tuple(f"layer{at}.weight" for at in range(len(SHAPES)))


def named(tensors: Sequence[Tensor], names: Sequence[str] = NAMES) -> list[tuple[str, Tensor]]:
    return list(zip(names, tensors, strict=True))


def copied(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


def gradients(to: dict[str, Tensor], step: int) -> None:
    """Gradients that depend on name and step alone."""
    for name, parameter in to.items():
        random = torch.Generator().manual_seed(1000 * step + sum(map(ord, name)))
        parameter.grad = torch.randn(parameter.shape, generator=random, dtype=torch.float64).to(parameter.dtype)


def steps(optimizer: tw.Optimizer, to: dict[str, Tensor], which: range) -> dict[str, Tensor]:
    for step in which:
        gradients(to, step)
        optimizer.step()
    return {name: parameter.detach().clone() for name, parameter in to.items()}


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def resumes(build: Callable[[list[tuple[str, Tensor]]], tw.Optimizer], dtype: torch.dtype = torch.float32) -> bool:
    """Whether a run that is resumed arrives, to the last bit, where one that was not stopped does."""
    whole, first = (dict(named(parameters(dtype=dtype))) for _ in range(2))
    expected = steps(build(list(whole.items())), whole, range(6))
    stopped = build(list(first.items()))
    steps(stopped, first, range(3))
    second = {name: parameter.detach().clone().requires_grad_() for name, parameter in first.items()}
    resumed = build(list(second.items()))
    report = tw.load_named_state(resumed, tw.named_state(stopped))
    assert report.fits
    assert report.loaded == tuple(second)
    return same(steps(resumed, second, range(3, 6)), expected)


@pytest.mark.parametrize("rule", RULES)
def test_a_resumed_run_goes_on_to_the_last_bit(rule: str) -> None:
    assert resumes(lambda params: optimizer_of(rule, params))


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_resumed_run_of_a_drop_in_goes_on_to_the_last_bit(case: tuple[str, Settings]) -> None:
    name, settings = case
    assert resumes(lambda params: ours(name)(params, **settings))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_resumed_run_goes_on_in_every_dtype(dtype: torch.dtype) -> None:
    assert resumes(lambda params: tw.Optimizer(params, ADAM), dtype)


def test_a_schedule_goes_on_where_it_stood() -> None:
    chain = tw.chain(tw.adam(), tw.step(tw.warmup(2) >> tw.cosine(0.1, steps=4)))
    assert resumes(lambda params: tw.Optimizer(params, chain))


def test_reordered_and_regrouped_parameters_keep_their_own_state() -> None:
    whole, first = (dict(named(parameters())) for _ in range(2))
    expected = steps(tw.Optimizer(list(whole.items()), ADAM), whole, range(6))
    stopped = tw.Optimizer(list(first.items()), ADAM)
    steps(stopped, first, range(3))
    second = {name: first[name].detach().clone().requires_grad_() for name in reversed(first)}
    params = list(second.items())
    resumed = tw.Optimizer([{"params": params[:2]}, {"params": params[2:]}], ADAM)
    tw.load_named_state(resumed, tw.named_state(stopped))
    found = steps(resumed, second, range(3, 6))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_group_of_another_name_takes_the_state_and_keeps_its_name() -> None:
    first = tw.Adam([{"params": named(parameters()), "name": "before"}], lr=0.2)
    descend(first, 2)
    second = tw.Adam([{"params": named(parameters()), "name": "after"}])
    tw.load_named_state(second, tw.named_state(first))
    assert (second.param_groups[0]["name"], second.param_groups[0]["lr"]) == ("after", 0.2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_state_keeps_its_dtype_whatever_its_parameters_is(dtype: torch.dtype) -> None:
    parameter = torch.zeros(5, dtype=torch.bfloat16, requires_grad=True)
    value = (torch.rand(5, dtype=torch.float64) * 3e-3).to(dtype)
    first, second = (tw.Optimizer([("w", parameter)], ADAM) for _ in range(2))
    first.state[parameter] = {"step": torch.tensor(3.0), "m": value, "v": value}
    tw.load_named_state(second, tw.named_state(first))
    loaded = second.state[parameter]["m"]
    assert loaded.dtype == dtype
    assert torch.equal(loaded, value)


def test_loading_takes_copies() -> None:
    params = parameters()
    first, second = (tw.Adam(named(p)) for p in (params, copied(params)))
    descend(first, 1)
    saved = tw.named_state(first)
    before = copy.deepcopy(saved)
    tw.load_named_state(second, saved)
    descend(second, 1)
    for name, state in before["state"].items():
        assert all(torch.equal(saved["state"][name][key], value) for key, value in state.items())


def test_a_named_state_goes_through_torchs_own_files_without_pickled_classes() -> None:
    first = tw.Adam(named(parameters()), lr=torch.tensor(0.125), betas=(0.5, 0.75))
    descend(first, 2)
    file = io.BytesIO()
    torch.save({"optimizer": tw.named_state(first)}, file)
    file.seek(0)
    second = tw.Adam(named(parameters()))
    tw.load_named_state(second, torch.load(file, weights_only=True)["optimizer"])
    assert second.param_groups[0]["betas"] == (0.5, 0.75)
    assert torch.equal(second.param_groups[0]["lr"], torch.tensor(0.125))


def test_a_parameter_that_was_never_stepped_begins_anew_as_it_would_have() -> None:
    tensors = parameters([(2,), (2,)])
    first, second = (tw.Adam(named(copied(tensors), ("a", "b"))) for _ in range(2))
    first.param_groups[0]["params"][1].grad = torch.ones(2, dtype=torch.float64)
    first.step()
    descend(second, 3)
    assert tw.load_named_state(second, tw.named_state(first)).loaded == ("a", "b")
    assert list(tw.named_state(second)["state"]) == ["b"]
    assert list(second.state_dict()["state"]) == [1]


def test_skipped_steps_are_counted_on() -> None:
    first = tw.Optimizer(named(parameters()), ADAM, nonfinite="skip")
    first.param_groups[0]["params"][0].grad = torch.full((3, 4), torch.nan, dtype=torch.float64)
    first.step()
    second = tw.Optimizer(named(parameters()), ADAM, nonfinite="skip")
    tw.load_named_state(second, tw.named_state(first))
    assert second.skipped == 1
