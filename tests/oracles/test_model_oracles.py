"""What holds for every oracle of a model's tensors, whichever rule it is."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oracles import MODEL_MATRICES_ONLY, MODEL_NEEDS_GRADIENT_FUNCTION, MODEL_ORACLES
from oracles.gradients import MODEL, model_gradients

if TYPE_CHECKING:
    from collections.abc import Callable

    from oracles.protocol import Array

Key = tuple[str, str]

ONLY_LOOKS_AT_FIRST = {("soap", "of_code")}
KEYS = pytest.mark.parametrize("key", MODEL_ORACLES, ids="-".join)


def tensors(key: Key) -> slice:
    """Which of the model's tensors the oracle can take."""
    return slice(2) if key in MODEL_MATRICES_ONLY else slice(3)


def make(key: Key, p0: list[Array], lr: float | Callable[[int], float] = 0.01) -> Any:  # noqa: ANN401 - any oracle
    ones = [np.ones_like(p) for p in p0]
    extra = {"bootstrap": [(ones, ones)] * 10} if key[0] == "vsgd" else {}
    return MODEL_ORACLES[key](p0, lr, **extra)


def take(key: Key, oracle: Any, g: list[Array]) -> list[Array]:  # noqa: ANN401 - some take more than gradients
    ones = [np.ones_like(g_i) for g_i in g]
    if key[0] == "entropy_sgd":
        return oracle.step(lambda _: g, [[np.zeros_like(g_i) for g_i in g]] * 3)
    if key in MODEL_NEEDS_GRADIENT_FUNCTION:
        return oracle.step(lambda _: g)
    if key[0] in {"vsgd", "esgd", "sophia", "psgd"}:
        return oracle.step(g, ones)
    return oracle.step(g)


@KEYS
def test_an_oracle_names_its_formula_and_source_and_takes_hyperparameters_by_name(key: Key):
    oracle = MODEL_ORACLES[key]
    assert oracle.__doc__
    kinds = [p.kind for p in list(inspect.signature(oracle).parameters.values())[2:]]
    assert set(kinds) <= {inspect.Parameter.KEYWORD_ONLY}


@KEYS
def test_an_oracle_goes_downhill_and_leaves_its_callers_arrays_alone(key: Key):
    start, g = MODEL[tensors(key)], model_gradients(1, zeros=False)[0][tensors(key)]
    given_start, given_g = [p.copy() for p in start], [x.copy() for x in g]
    oracle = make(key, start)
    first = take(key, oracle, g)
    assert [p.shape for p in first] == [p.shape for p in start]
    assert {p.dtype for p in first} == {np.dtype(np.float64)}
    downhill = sum(np.sum(x * (p - p0)) for x, p, p0 in zip(g, first, start, strict=True))
    assert downhill == 0 if key in ONLY_LOOKS_AT_FIRST else downhill < 0
    kept = [p.copy() for p in first]
    for p in first:
        p[:] = np.nan
    second = take(key, oracle, g)
    assert sum(np.sum(x * (p - p0)) for x, p, p0 in zip(g, second, kept, strict=True)) < 0
    for now, given in zip([*start, *g], [*given_start, *given_g], strict=True):
        np.testing.assert_array_equal(now, given)


@KEYS
def test_an_oracle_stays_finite_where_gradients_are_zero(key: Key):
    oracle = make(key, MODEL[tensors(key)])
    for g in model_gradients(40):
        assert all(np.all(np.isfinite(p)) for p in take(key, oracle, g[tensors(key)]))


@KEYS
def test_an_oracle_stands_still_while_no_gradient_has_differed_from_zero(key: Key):
    start = [np.zeros_like(p) for p in MODEL[tensors(key)]]
    oracle = make(key, start)
    for _ in range(2):
        for p, p0 in zip(take(key, oracle, [np.zeros_like(p) for p in start]), start, strict=True):
            np.testing.assert_array_equal(p, p0)


@KEYS
def test_an_oracle_asks_its_schedule_for_the_steps_done_from_zero(key: Key):
    asked: list[int] = []

    def schedule(k: int) -> float:
        asked.append(k)
        return 0.01

    oracle = make(key, MODEL[tensors(key)], schedule)
    for g in model_gradients(4, zeros=False):
        take(key, oracle, g[tensors(key)])
    assert asked == [0, 1, 2, 3]
