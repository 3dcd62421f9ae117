from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from thalweg.schedules import (
    constant,
    cosine,
    custom,
    exponential,
    inverse,
    linear,
    multi_step,
    one_cycle,
    polynomial,
    robbins_monro,
    sgdr,
    step_decay,
    warmup,
    warmup_stable_decay,
)

if TYPE_CHECKING:
    from collections.abc import Callable

YES = [
    inverse(0.1),  # deck A's example, α_k = 1/k
    inverse(0.1, power=0.51),
    inverse(0.1, power=0.75, timescale=1000),
    warmup(100) >> inverse(0.1),
    linear(0.1, 0.01, steps=100) >> inverse(0.01),
    0.5 * inverse(0.1),
    inverse(1.0, power=0.25) * inverse(0.1, power=0.5),
    inverse(0.1) * constant(3.0),
    inverse(0.1) * multi_step(1.0, at=(10, 20)),
    inverse(0.1) * exponential(1.0, factor=1.0),
    inverse(0.1) * sgdr(1.0, first=10),
    inverse(0.1) * sgdr(1.0, first=10, growth=1),
    inverse(0.1) * cosine(1.0, steps=100, floor=0.1),
    inverse(0.1) * sgdr(1.0, first=3, floor=0.1) * sgdr(1.0, first=7, floor=0.1),
    inverse(0.1) * sgdr(1.0, first=1, growth=1) * sgdr(1.0, first=7),
]
NO = [
    constant(0.1),  # never settles: Σα² = ∞
    constant(0.0),
    inverse(0.1, power=0.5),  # Σα² = Σ1/k = ∞
    inverse(0.1, power=1.01),  # Σα < ∞: may stop short
    inverse(0.0),
    exponential(0.1, factor=0.999),
    exponential(0.1, factor=1.001),
    exponential(0.1, factor=1.0),
    step_decay(0.1, every=1000),
    multi_step(0.1, at=(10,)),
    cosine(0.1, steps=100),
    cosine(0.1, steps=100, floor=0.01),
    linear(0.1, 0.0, steps=100),
    polynomial(0.1, steps=100),
    one_cycle(0.1, steps=100),
    warmup_stable_decay(0.1, steps=100, warmup=10, decay=10),
    sgdr(0.1, first=10),
    inverse(0.1).until(10**6),
    0 * inverse(0.1),
    inverse(0.1) * linear(1.0, 0.0, steps=10),
    inverse(0.1) * exponential(1.0, factor=0.999),
    inverse(0.1) * exponential(1.0, factor=0.5) * exponential(1.0, factor=1.5),
    inverse(0.1) * exponential(1.0, factor=0.5) * exponential(1.0, factor=1 - 1e-12),
    inverse(1.0) * inverse(1.0),
    inverse(0.1, power=0.25) * inverse(0.1, power=0.25),
    custom(abs).until(10),
]
CANNOT_SAY: list[Callable[[int], float]] = [
    custom(lambda k: 0.1 / (k + 1)),
    lambda k: 0.1 / (k + 1),
    warmup(10) >> custom(abs),
    0.5 * custom(abs),
    custom(abs) * inverse(0.1),
    inverse(0.1) * exponential(1.0, factor=0.1) * exponential(1.0, factor=10.0),
    inverse(0.1) * (sgdr(1.0, first=3) * sgdr(1.0, first=7)),
    warmup(10),
]


@pytest.mark.parametrize("schedule", YES, ids=lambda schedule: repr(schedule).split(" at 0x")[0])
def test_these_meet_robbins_and_monros_condition(schedule: Callable[[int], float]):
    assert robbins_monro(schedule) == "yes"


@pytest.mark.parametrize("schedule", NO, ids=lambda schedule: repr(schedule).split(" at 0x")[0])
def test_these_do_not_meet_robbins_and_monros_condition(schedule: Callable[[int], float]):
    assert robbins_monro(schedule) == "no"


@pytest.mark.parametrize("schedule", CANNOT_SAY, ids=lambda schedule: repr(schedule).split(" at 0x")[0])
def test_about_these_nothing_can_be_said(schedule: Callable[[int], float]):
    assert robbins_monro(schedule) == "cannot say"


def test_a_product_with_something_that_ends_at_zero_is_zero_whatever_the_other_is():
    assert robbins_monro(custom(abs) * linear(1.0, 0.0, steps=10)) == "no"


def test_the_partial_sums_agree_for_a_yes_with_warm_restarts():
    # Σα grows without bound (by a like amount in each doubling), Σα² stops growing.
    schedule = inverse(1.0) * sgdr(1.0, first=1)
    rates = np.array([schedule(k) for k in range(2**14)])
    doublings = [slice(2**i, 2 ** (i + 1)) for i in range(8, 14)]
    sums = np.array([rates[d].sum() for d in doublings])
    squares = np.array([np.square(rates[d]).sum() for d in doublings])
    assert np.all(sums > 0.3)
    assert np.all(squares[1:] < 0.55 * squares[:-1])
