from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oracles import MODEL_ORACLES, NEEDS_GRADIENT_FUNCTION, NEEDS_LOSS, ORACLES
from oracles.gradients import START, gradients
from thalweg import rules

if TYPE_CHECKING:
    from oracles.protocol import Array

Key = tuple[str, str]

START_AT_THEIR_RATE = {key for key in ORACLES if key[0] == "rprop" or key == ("delta_bar_delta", "jacobs")}
ONLY_LOOK_AT_FIRST = {("adopt", "clipped")}
# Rules of their own in the catalogue, which are dialects of one family among the model's oracles.
DIALECTS_OF_A_FAMILY = {
    "d_adapt_adam": ("d_adaptation", "adam"),
    "d_adapt_sgd": ("d_adaptation", "sgd"),
    "ldog": ("dog", "per_tensor"),
    "schedule_free_adamw": ("schedule_free", "adamw"),
    "schedule_free_sgd": ("schedule_free", "sgd"),
}


def test_every_rule_has_an_oracle():
    assert set(rules.catalogue()) - set(DIALECTS_OF_A_FAMILY) <= {rule for rule, _ in ORACLES | MODEL_ORACLES}
    assert set(DIALECTS_OF_A_FAMILY) <= set(rules.catalogue())
    assert set(DIALECTS_OF_A_FAMILY.values()) <= set(MODEL_ORACLES)


def test_every_oracle_of_one_tensor_has_its_rule():
    assert {rule for rule, _ in ORACLES} <= set(rules.catalogue())


@pytest.mark.parametrize("key", ORACLES, ids="-".join)
def test_an_oracle_names_its_formula_and_source_and_takes_hyperparameters_by_name(key: Key):
    oracle = ORACLES[key]
    assert oracle.__doc__
    kinds = [p.kind for p in list(inspect.signature(oracle).parameters.values())[2:]]
    assert set(kinds) <= {inspect.Parameter.KEYWORD_ONLY}


def take(key: Key, oracle: Any, g: Array) -> Array:  # noqa: ANN401 - two take more than a gradient
    if key in NEEDS_GRADIENT_FUNCTION:
        return oracle.step(lambda _: g)
    if key in NEEDS_LOSS:
        return oracle.step(g, 1.0)
    return oracle.step(g)


@pytest.mark.parametrize("key", ORACLES, ids="-".join)
def test_an_oracle_moves_downhill_and_leaves_its_callers_arrays_alone(key: Key):
    start, g = np.abs(START), np.abs(gradients(1, zeros=False)[0])
    given_start, given_g = start.copy(), g.copy()
    oracle = ORACLES[key](start, 0.01)
    p = take(key, oracle, g)
    assert p.dtype == np.float64
    assert np.all(p == given_start if key in ONLY_LOOK_AT_FIRST else p < given_start)
    p[:] = np.nan
    after = take(key, oracle, g)
    assert np.all(after < given_start)
    np.testing.assert_array_equal(start, given_start)
    np.testing.assert_array_equal(g, given_g)


@pytest.mark.parametrize("key", sorted(set(ORACLES) - {("adam", "amsgrad")}), ids="-".join)
def test_an_oracle_stays_finite_where_gradients_are_zero(key: Key):
    oracle = ORACLES[key](START, 0.01)
    path = [take(key, oracle, g) for g in gradients()]
    assert np.all(np.isfinite(path))


@pytest.mark.parametrize("key", [key for key in ORACLES if key not in START_AT_THEIR_RATE], ids="-".join)
def test_an_oracle_asks_its_schedule_for_the_steps_done_from_zero(key: Key):
    asked: list[int] = []

    def schedule(k: int) -> float:
        asked.append(k)
        return 0.01

    setting = {"eta": schedule} if key == ("adamw", "paper") else {"lr": schedule}
    oracle = ORACLES[key](START, **setting)
    for g in gradients(4, zeros=False):
        take(key, oracle, g)
    assert asked == [0, 1, 2, 3]
