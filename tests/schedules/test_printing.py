"""A schedule prints as it is typed, and what it prints is the schedule again."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg import schedules
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

NAMES = {name: getattr(schedules, name) for name in schedules.__all__}

AS_TYPED = [
    "constant(0.1)",
    "constant(1, steps=10)",
    "linear(0.1, 0.001, steps=100)",
    "polynomial(0.1, steps=100)",
    "polynomial(0.1, steps=100, power=0.9, end=0.01)",
    "exponential(0.1, factor=0.99)",
    "geometric(0.1, 0.0001, steps=100)",
    "step_decay(0.1, every=30)",
    "step_decay(0.1, every=30, factor=0.5)",
    "multi_step(0.1, at=(30, 60), factor=0.2)",
    "multi_step(0.1, at=(30,))",
    "inverse(0.1)",
    "inverse(0.1, power=0.5, timescale=100)",
    "cosine(0.0003, steps=10000)",
    "cosine(0.0003, steps=10000, floor=1e-05)",
    "sgdr(0.1, first=10)",
    "sgdr(0.1, first=10, growth=1, floor=0.001)",
    "one_cycle(0.1, steps=100)",
    "one_cycle(0.1, steps=100, rise=0.4, div=10, final_div=1000.0)",
    "warmup_stable_decay(0.1, steps=100, warmup=10, decay=20)",
    "warmup(500)",
    "warmup(500) >> cosine(0.0003, steps=10000)",
    "warmup(5) >> constant(0.1, steps=10) >> linear(0.1, 0, steps=5)",
    "0.1 * cosine(0.1, steps=10)",
    "0.1 * (0.5 * cosine(0.1, steps=10))",
    "0.1 * (warmup(5) >> cosine(0.1, steps=10))",
    "warmup(5) >> 0.1 * cosine(0.1, steps=10)",
    "constant(0.1) * cosine(1.0, steps=10) * inverse(1.0)",
    "(0.1 * constant(0.1)) * cosine(1.0, steps=10)",
    "constant(0.1) * (0.1 * cosine(1.0, steps=10))",
    "0.1 * (constant(0.1) * cosine(1.0, steps=10))",
    "constant(0.1) * (warmup(5) >> cosine(1.0, steps=10))",
    "(warmup(5) >> constant(0.1)) * cosine(1.0, steps=10)",
    "inverse(0.1).until(1000) >> constant(0.001)",
    "(warmup(5) >> inverse(0.1)).until(1000)",
    "(0.1 * inverse(0.1)).until(1000)",
    "(inverse(0.1) * constant(0.1)).until(1000)",
    "inverse(0.1).until(1000).until(10)",
    "0.1 * inverse(0.1).until(1000)",
]


@pytest.mark.parametrize("text", AS_TYPED)
def test_a_schedule_prints_as_it_is_typed(text: str):
    schedule = eval(text, NAMES)  # noqa: S307 - the texts are those above
    assert repr(schedule) == text
    assert str(schedule) == text
    assert eval(repr(schedule), NAMES) == schedule  # noqa: S307 - likewise


POSITIVE = st.floats(min_value=1e-12, max_value=1e6)
COUNT = st.integers(min_value=1, max_value=10**6)
PLAIN = st.one_of(
    st.builds(constant, POSITIVE),
    st.builds(linear, POSITIVE, POSITIVE, steps=COUNT),
    st.builds(geometric, POSITIVE, POSITIVE, steps=COUNT),
    st.builds(cosine, POSITIVE, steps=COUNT),
    st.builds(polynomial, POSITIVE, steps=COUNT, power=POSITIVE),
    st.builds(exponential, POSITIVE, factor=POSITIVE),
    st.builds(step_decay, POSITIVE, every=COUNT, factor=POSITIVE),
    st.builds(multi_step, POSITIVE, at=st.sets(COUNT, min_size=1).map(sorted)),
    st.builds(inverse, POSITIVE, power=POSITIVE, timescale=POSITIVE),
    st.builds(sgdr, POSITIVE, first=COUNT, growth=COUNT),
    st.builds(one_cycle, POSITIVE, steps=COUNT.map(lambda n: n + 1)),
    st.builds(lambda peak, n: warmup_stable_decay(peak, steps=2 * n, warmup=n, decay=n), POSITIVE, COUNT),
)
ANY = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.builds(lambda a, n: a.until(n), inner, COUNT),
        st.builds(lambda a, n, b: a.until(n) >> b, inner, COUNT, inner),
        st.builds(lambda n, a: warmup(n) >> a, COUNT, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda c, a: c * a, POSITIVE, inner),
    ),
    max_leaves=6,
)


@given(ANY)
def test_what_a_schedule_prints_is_the_schedule_again(schedule: Schedule):
    again = eval(repr(schedule), NAMES)  # noqa: S307 - what Hypothesis has composed above
    assert again == schedule
    assert repr(again) == repr(schedule)


@given(ANY)
def test_a_schedule_survives_pickling_and_copying_and_can_be_a_key(schedule: Schedule):
    assert pickle.loads(pickle.dumps(schedule)) == schedule  # noqa: S301 - its own
    assert copy.deepcopy(schedule) == schedule
    assert hash(schedule) == hash(copy.deepcopy(schedule))


def test_numpys_numbers_print_as_plain_ones():
    steps: Any = np.int64(10)
    floor: Any = np.float32(0.05)
    schedule = cosine(np.float64(0.1), steps=steps, floor=floor)
    assert repr(schedule) == "cosine(0.1, steps=10, floor=0.05000000074505806)"
    assert repr(np.float64(0.5) * schedule).startswith("0.5 * cosine(")


def test_a_function_of_the_users_prints_its_name():
    assert repr(custom(abs)) == "custom(abs)"
    assert repr(custom(abs, steps=3)) == "custom(abs, steps=3)"


def test_a_schedule_cannot_be_changed():
    with pytest.raises(AttributeError):
        setattr(cosine(0.1, steps=10), "steps", 3)  # noqa: B010 - the type checker knows that it cannot
