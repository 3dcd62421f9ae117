"""The drop-ins have torch's arguments, defaults, groups and states by torch's names."""

from __future__ import annotations

import inspect

import pytest
import torch

from descents import SHAPES, descend, one_parameter, parameters
from dropins import (
    NAMES,
    OF_TENSORS,
    OF_TENSORS_WITH_STATE,
    WITH_STATE,
    Settings,
    default_dtype,
    label,
    ours,
    suited,
    theirs,
)

every_name = pytest.mark.parametrize("name", [*NAMES, *OF_TENSORS, "Muon"])


def one_of(name: str) -> torch.Tensor:
    return one_parameter(1.0, 2, 3) if name == "Muon" else one_parameter()


@every_name
def test_the_arguments_are_torchs_in_torchs_order_with_torchs_defaults_and_a_few_of_our_own(name: str) -> None:
    found = inspect.signature(ours(name)).parameters
    expected = inspect.signature(theirs(name)).parameters
    assert list(found)[: len(expected)] == list(expected)
    own = list(found)[len(expected) :]
    assert own == ["nonfinite", "backend", *(["state_dtype"] if name != "Muon" else [])]
    assert all(found[argument].kind is inspect.Parameter.KEYWORD_ONLY for argument in own)
    assert all(found[argument].default == expected[argument].default for argument in expected)
    assert all(found[argument].kind == expected[argument].kind for argument in expected)


@every_name
def test_groups_and_defaults_hold_torchs_entries(name: str) -> None:
    found, expected = ours(name)([one_of(name)]), theirs(name)([one_of(name)])
    assert found.defaults == expected.defaults
    group, other = found.param_groups[0], expected.param_groups[0]
    assert {n: v for n, v in group.items() if n != "params"} == {n: v for n, v in other.items() if n != "params"}


@pytest.mark.parametrize("case", [*WITH_STATE, *OF_TENSORS_WITH_STATE, ("Muon", {})], ids=label)
def test_states_have_torchs_names_shapes_and_dtypes(case: tuple[str, Settings]) -> None:
    name, settings = case
    kinds = []
    for make in (ours(name), theirs(name)):
        with default_dtype(torch.float64):
            optimizer = make(parameters(suited(name, SHAPES)), **settings)
            descend(optimizer, 2)
        states = optimizer.state_dict()["state"]
        kinds.append(
            {
                place: {n: (v.shape, v.dtype) for n, v in state.items() if v is not None}
                for place, state in states.items()
                if state
            }
        )
    assert kinds[0] == kinds[1]


@every_name
def test_the_step_count_follows_the_default_dtype_as_torchs_does(name: str) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        dtypes = []
        for make in (ours(name), theirs(name)):
            parameter = one_of(name)
            optimizer = make([parameter])
            optimizer.step()
            dtypes.append(getattr(optimizer.state[parameter].get("step"), "dtype", None))
    finally:
        torch.set_default_dtype(torch.float32)
    assert dtypes[0] == dtypes[1]


@every_name
def test_a_drop_in_is_an_optimizer_of_torchs_and_prints_under_its_name(name: str) -> None:
    optimizer = ours(name)([one_of(name)])
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert repr(optimizer) == repr(theirs(name)([one_of(name)]))
