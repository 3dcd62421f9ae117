"""The schedules against the closed forms of their sources."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.schedules import (
    Schedule,
    constant,
    cosine,
    custom,
    exponential,
    geometric,
    inverse,
    linear,
    multi_step,
    one_cycle,
    polynomial,
    sgdr,
    step_decay,
    warmup,
    warmup_stable_decay,
)


def values(schedule: Schedule, steps: int) -> list[float]:
    return [schedule(k) for k in range(steps)]


def test_linear_decay_is_deck_as_then_constant():
    tau, first, last = 20, 0.3, 0.003
    schedule = linear(first, last, steps=tau)
    for k in range(30):
        b = min(k / tau, 1)
        assert schedule(k) == pytest.approx((1 - b) * first + b * last, rel=1e-14)
    assert schedule(tau) == schedule(10**9) == last


def test_exponential_decay_multiplies_by_b_at_every_step():
    schedule, b = exponential(0.3, factor=0.8), 0.8
    for k in range(1, 50):
        assert schedule(k) == pytest.approx(b * schedule(k - 1), rel=1e-12)
        assert schedule(k) == pytest.approx(b**k * 0.3, rel=1e-12)


def test_cosine_is_deck_as():
    n = 17
    schedule = cosine(0.3, steps=n)
    for k in range(n):
        assert schedule(k) == pytest.approx(0.5 * (1 + math.cos(k / n * math.pi)) * 0.3, rel=1e-13)
    assert schedule(0) == 0.3
    assert schedule(n) == 0


def test_step_decay_divides_by_ten_every_so_many_steps():
    assert values(step_decay(1.0, every=3), 7) == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])


def test_inverse_is_one_over_k_with_k_from_one():
    assert values(inverse(1.0), 5) == [1 / k for k in range(1, 6)]
    assert values(inverse(1.0, power=0.5), 5) == pytest.approx([1 / math.sqrt(k) for k in range(1, 6)])


def test_the_timescale_of_inverse_is_where_it_has_fallen_to_a_half():
    assert inverse(0.6, timescale=100)(100) == pytest.approx(0.3)


def test_a_geometric_schedule_falls_by_one_factor_and_ends_where_it_says():
    schedule = geometric(0.1, 1e-4, steps=30)
    ratios = np.divide(values(schedule, 31)[1:], values(schedule, 31)[:-1])
    np.testing.assert_allclose(ratios, 1e-3 ** (1 / 30), rtol=1e-12)
    assert schedule(0) == 0.1
    assert schedule(30) == schedule(31) == 1e-4


def test_a_polynomial_schedule_ends_at_its_end():
    schedule = polynomial(0.9, steps=4, power=2, end=0.1)
    assert values(schedule, 6) == pytest.approx([0.9, 0.1 + 0.8 * 9 / 16, 0.3, 0.1 + 0.8 / 16, 0.1, 0.1])


def test_a_multi_step_schedule_has_its_new_value_from_the_step_named():
    assert values(multi_step(8.0, at=(2, 3, 5), factor=0.5), 7) == [8, 8, 4, 2, 2, 1, 1]


def test_sgdr_restarts_at_its_peak_after_10_30_70_steps_when_cycles_double():
    # Loshchilov and Hutter 2016: T_0 = 10, T_mult = 2.
    schedule = sgdr(0.05, first=10)
    rates = values(schedule, 151)
    assert [k for k, rate in enumerate(rates) if rate == 0.05] == [0, 10, 30, 70, 150]
    assert schedule(20) == pytest.approx(0.025)
    assert schedule(69) == pytest.approx(0.05 * (1 + math.cos(math.pi * 39 / 40)) / 2)


def test_sgdr_answers_at_once_for_a_step_far_away():
    assert 0 <= sgdr(0.1, first=1, growth=1000)(10**15) <= 0.1
    assert sgdr(0.1, first=2, growth=1)(10**15) == 0.1


def test_one_cycle_starts_low_peaks_and_ends_next_to_nothing():
    schedule = one_cycle(1.0, steps=1000)
    rates = values(schedule, 1001)
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == rates[300] == 1.0
    assert rates[-1] == pytest.approx(1 / 25 / 1e4)
    assert np.all(np.diff(rates[:301]) > 0)
    assert np.all(np.diff(rates[300:]) < 0)


def test_one_cycle_may_rise_to_its_very_end():
    assert one_cycle(1.0, steps=10, rise=1.0)(10) == 1.0


@pytest.mark.parametrize(("warm", "decay"), [(10, 20), (0, 5), (3, 47), (10, 40)])
def test_warmup_stable_decay_is_what_it_is_composed_of(warm: int, decay: int):
    whole = warmup_stable_decay(0.1, steps=50, warmup=warm, decay=decay, floor=0.01)
    parts: list[Schedule] = [warmup(warm)] if warm else []
    if stable := 50 - warm - decay:
        parts.append(constant(0.1, steps=stable))
    composed, *rest = [*parts, linear(0.1, 0.01, steps=decay)]
    for part in rest:
        composed = composed >> part
    assert values(whole, 60) == pytest.approx(values(composed, 60), rel=1e-14)
    assert whole.length == composed.length == 50


def test_a_warmup_wastes_no_step_at_zero_and_its_last_is_at_full_height():
    schedule = warmup(500) >> cosine(3e-4, steps=10_000)
    assert schedule(0) == pytest.approx(3e-4 / 500)
    assert schedule(249) == pytest.approx(1.5e-4)
    assert schedule(499) == 3e-4
    assert schedule(500) == 3e-4
    assert schedule(5_500) == pytest.approx(1.5e-4)
    assert schedule(10_500) == schedule(99_999) == 0


def test_a_warmup_rises_to_the_first_value_of_what_follows_whatever_it_is():
    assert (warmup(2) >> one_cycle(1.0, steps=10))(1) == pytest.approx(1 / 25)
    assert (warmup(2) >> warmup(2) >> constant(1.0))(1) == 0.5
    assert (constant(1.0, steps=2) >> warmup(2) >> constant(3.0))(2) == 1.5


ENDLESS: list[Schedule] = [
    constant(0.1),
    exponential(0.1, factor=0.9),
    step_decay(0.1, every=3),
    multi_step(0.1, at=(3, 5)),
    inverse(0.1),
    sgdr(0.1, first=3),
]
FINITE: list[Schedule] = [
    constant(0.1, steps=7),
    linear(0.1, 0.05, steps=7),
    cosine(0.1, steps=7, floor=0.01),
    polynomial(0.1, steps=7, power=3, end=0.02),
    geometric(0.1, 1e-4, steps=7),
    one_cycle(0.1, steps=7),
    warmup_stable_decay(0.1, steps=7, warmup=2, decay=3),
    custom(lambda k: 1.0 / (k + 1), steps=7),
]


@pytest.mark.parametrize("schedule", FINITE, ids=repr)
def test_a_finished_schedule_stays_where_it_ends(schedule: Schedule):
    assert schedule.length == 7
    assert schedule(7) == schedule(8) == schedule(10**6)
    assert schedule(6) != schedule(7) or type(schedule).__name__ == "constant"


@pytest.mark.parametrize("schedule", ENDLESS, ids=repr)
def test_an_endless_schedule_has_no_length_until_it_is_cut(schedule: Schedule):
    assert schedule.length is None
    short = schedule.until(4)
    assert short.length == 4
    assert [short(k) for k in range(6)] == [schedule(min(k, 4)) for k in range(6)]


@pytest.mark.parametrize("first", FINITE, ids=repr)
@pytest.mark.parametrize("then", [*FINITE, *ENDLESS], ids=repr)
def test_what_follows_starts_to_count_at_zero_when_the_first_is_over(first: Schedule, then: Schedule):
    both = first >> then
    assert values(both, 7) == values(first, 7)
    assert [both(7 + k) for k in range(12)] == values(then, 12)
    assert both.length == (None if then.length is None else 14)


def test_composition_in_time_does_not_care_about_brackets():
    a, b, c = linear(0.1, 0.2, steps=3), warmup(2), cosine(0.1, steps=4)
    assert (a >> b) >> c == a >> (b >> c)


def test_a_factor_scales_and_a_product_multiplies_step_by_step():
    a, b = linear(0.1, 0.2, steps=3), exponential(2.0, factor=0.5)
    assert values(3 * a, 5) == [3 * value for value in values(a, 5)]
    assert a * 3 == 3 * a
    assert values(a * b, 5) == pytest.approx(np.multiply(values(a, 5), values(b, 5)))
    assert (a * b).length is None
    assert (a * cosine(1.0, steps=9)).length == 9
    assert (np.float64(3.0) * a)(2) == pytest.approx(3 * a(2))


def test_a_plain_function_may_stand_in_a_composition():
    def saw(k: int) -> float:
        return 0.1 + k % 3

    schedule = warmup(2) >> saw
    assert values(schedule, 6) == pytest.approx([0.05, 0.1, 0.1, 1.1, 2.1, 0.1])
    assert values(saw * constant(2.0), 3) == pytest.approx([0.2, 2.2, 4.2])
    assert values(constant(2.0) * saw, 3) == pytest.approx([0.2, 2.2, 4.2])
    assert repr(schedule).endswith("saw)")


@given(
    st.sampled_from([*FINITE, *ENDLESS]),
    st.sampled_from([*FINITE, *ENDLESS]),
    st.integers(min_value=0, max_value=10**7),
)
def test_a_schedule_is_a_pure_function_of_the_step(a: Schedule, b: Schedule, k: int):
    schedule = a.until(5) >> 0.5 * (a * b)
    value = schedule(k)
    assert isinstance(value, float)
    assert value >= 0
    assert schedule(k) == value


@pytest.mark.parametrize("k", [np.int64(3), np.uint8(3), True + 2], ids=repr)
def test_any_whole_number_may_be_the_step(k: Any):  # noqa: ANN401 - that is the point
    assert linear(0.0, 1.0, steps=4)(k) == 0.75
