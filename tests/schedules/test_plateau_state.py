"""A plateau's state is saved and restored, and nobody shares it by accident."""

# ruff: noqa: ANN401  # what the type checker would refuse, and a user without one may still pass

from __future__ import annotations

import copy
import dataclasses
import io
import json
import math
import pickle
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.errors import CheckpointError
from thalweg.schedules import plateau, warmup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda controller: pickle.loads(pickle.dumps(controller)),  # noqa: S301  # our own bytes
}


def fed(controller: plateau, metrics: Iterable[float]) -> plateau:
    for metric in metrics:
        controller.update(metric)
    return controller


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("seen", [0, 1, 17])
def test_a_restored_controller_goes_on_as_the_saved_one_would(mode: Any, seen: int):
    metrics = list(np.random.default_rng(seen).normal(size=60))
    saved = fed(plateau(0.1, mode=mode, factor=0.5, patience=2, cooldown=2), metrics[:seen])
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    restored = plateau(0.1, mode=mode, factor=0.5, patience=2, cooldown=2)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for metric in metrics[seen:]:
        assert fed(saved, [metric])(0) == fed(restored, [metric])(0)
    assert saved(0) < 0.1


def test_its_state_survives_json():
    controller = fed(plateau(10, patience=0, min_lr=5), [1, 2])
    restored = plateau(10, patience=0, min_lr=5)
    restored.load_state_dict(json.loads(json.dumps(controller.state_dict())))
    assert restored.state_dict() == controller.state_dict()


def test_the_state_is_a_copy_that_later_metrics_do_not_change():
    controller = fed(plateau(0.1, patience=0), [1.0])
    state = controller.state_dict()
    before = dict(state)
    fed(controller, [2.0])
    assert state == before != controller.state_dict()


BAD_STATES: dict[str, tuple[dict[str, Any], str]] = {
    "empty": ({}, "the state holds nothing, and a plateau's holds mode, rate, best"),
    "torch's optimizer": ({"state": {}, "param_groups": []}, "the state holds state, param_groups, and a plateau's"),
    "other mode": ({"mode": "max"}, "the state is of a plateau with mode='max'"),
    "a rate below 0": ({"rate": -0.1}, "the state's `rate` is -0.1"),
    "no number": ({"rate": "0.1"}, "the state's `rate` is '0.1'"),
    "half a look": ({"num_bad_epochs": 1.5}, "the state's `num_bad_epochs` is 1.5"),
    "NaN": ({"best": math.nan}, "the state's `best` is nan"),
}


@pytest.mark.parametrize(("change", "message"), BAD_STATES.values(), ids=BAD_STATES)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change: dict[str, Any], message: str):
    controller = fed(plateau(0.1, patience=0), [1.0, 2.0])
    before = controller.state_dict()
    state = before | change if set(change) <= set(before) and change else change
    with pytest.raises(CheckpointError, match=re.escape(message)):
        controller.load_state_dict(state)
    assert controller.state_dict() == before


@pytest.mark.parametrize("seen", [[], [1.0, 1.0, 1.0]], ids=["fresh", "used"])
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_begins_where_the_original_stands_and_is_apart_from_it(copied: Any, seen: list[float]):
    original = fed(plateau(0.1, factor=0.5, patience=0), seen)
    other = copied(original)
    stands = original.state_dict()
    assert other.state_dict() == stands
    fed(other, [9.0, 9.0])
    assert original.state_dict() == stands
    fed(original, [9.0, 9.0])
    assert original.state_dict() == other.state_dict() != stands


def test_replace_begins_anew():
    used = fed(plateau(0.1, factor=0.5, patience=0), [1.0, 1.0])
    other = dataclasses.replace(used, patience=5)
    assert (other(0), used(0)) == (0.1, 0.05)


def test_controllers_of_equal_settings_are_not_equal():
    one, other = plateau(0.1), plateau(0.1)
    assert one == one  # noqa: PLR0124  # that is the point
    assert one != other
    assert warmup(5) >> one != warmup(5) >> other
    assert len({one, other, one}) == 2


def test_a_controller_of_equal_settings_is_not_taken_for_the_one_in_a_stage():
    used, fresh = fed(plateau(0.1, patience=0), [1.0, 1.0]), plateau(0.1, patience=0)
    stage = tw.decay(used)
    assert stage.replace({"weight": fresh}).numbers["weight"] is fresh
