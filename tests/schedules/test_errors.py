from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from thalweg.errors import ScheduleError, ThalwegError
from thalweg.schedules import (
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

if TYPE_CHECKING:
    from collections.abc import Callable

# What the type checker would refuse, and a user without one may still pass.
NOTHING: Any = None
TEXT: Any = "0.1"
TRUE: Any = True
FRACTION: Any = 2.5
ARRAY: Any = np.ones(3)
LEARNED: Any = torch.ones((), requires_grad=True)

WHOLE = "it must be a whole number, 1 or more"
FINITE = "it must be a finite number, 0 or more"
POSITIVE = "it must be a finite number, above 0"

ARGUMENTS: list[tuple[Callable[[], object], str]] = [
    (lambda: cosine(0.1, steps=0), f"cosine(0.1, steps=0): `steps` is 0; {WHOLE}"),
    (lambda: cosine(0.1, steps=-5), f"cosine(0.1, steps=-5): `steps` is -5; {WHOLE}"),
    (lambda: linear(0.1, 0.0, steps=NOTHING), f"`steps` is None; {WHOLE}"),
    (lambda: linear(0.1, 0.0, steps=TRUE), f"`steps` is True; {WHOLE}"),
    (lambda: warmup(FRACTION), f"warmup(2.5): `steps` is 2.5; {WHOLE}"),
    (lambda: warmup(0), f"warmup(0): `steps` is 0; {WHOLE}"),
    (lambda: constant(-0.1), f"constant(-0.1): `value` is -0.1; {FINITE}"),
    (lambda: constant(TEXT), f"constant('0.1'): `value` is '0.1'; {FINITE}"),
    (lambda: constant(math.nan), f"`value` is nan; {FINITE}"),
    (lambda: constant(math.inf), f"`value` is inf; {FINITE}"),
    (lambda: constant(10**400), FINITE),
    (lambda: constant(TRUE), f"`value` is True; {FINITE}"),
    (lambda: constant(ARRAY), FINITE),
    (lambda: constant(LEARNED), "`value` is a tensor that requires grad, and no gradient reaches it from here"),
    (lambda: constant(0.1, steps=0), f"`steps` is 0; {WHOLE}"),
    (lambda: linear(-1, 0, steps=3), f"linear(-1, 0, steps=3): `start` is -1; {FINITE}"),
    (lambda: linear(1, -1, steps=3), f"`end` is -1; {FINITE}"),
    (lambda: polynomial(0.1, steps=3, power=0), f"`power` is 0; {POSITIVE}"),
    (lambda: exponential(0.1, factor=0), f"`factor` is 0; {POSITIVE}"),
    (lambda: exponential(0.1, factor=-0.9), f"`factor` is -0.9; {POSITIVE}"),
    (lambda: geometric(0.1, 0.0, steps=3), f"`end` is 0.0; {POSITIVE}"),
    (lambda: step_decay(0.1, every=0), f"`every` is 0; {WHOLE}"),
    (lambda: step_decay(0.1, every=3, factor=-1), f"`factor` is -1; {POSITIVE}"),
    (lambda: multi_step(0.1, at=(3, 2)), "`at` must name each step later than the one before"),
    (lambda: multi_step(0.1, at=(3, 3)), "`at` must name each step later than the one before"),
    (lambda: multi_step(0.1, at=(3,), factor=0), f"`factor` is 0; {POSITIVE}"),
    (lambda: multi_step(0.1, at=(0,)), f"`at[0]` is 0; {WHOLE}"),
    (lambda: multi_step(0.1, at=TEXT), "`at` is '0.1'; it must be a list of steps"),
    (lambda: multi_step(0.1, at=NOTHING), "`at` is None; it must be a list of steps"),
    (lambda: inverse(0.1, timescale=0), f"`timescale` is 0; {POSITIVE}"),
    (lambda: cosine(0.1, steps=3, floor=0.2), f"`floor` is 0.2; {FINITE} and at most 0.1"),
    (lambda: sgdr(0.1, first=0), f"`first` is 0; {WHOLE}"),
    (lambda: sgdr(0.1, first=3, growth=FRACTION), f"`growth` is 2.5; {WHOLE}"),
    (lambda: one_cycle(0.1, steps=1), "`steps` is 1; it must be a whole number, 2 or more"),
    (lambda: one_cycle(0.1, steps=9, rise=0), f"`rise` is 0; {POSITIVE} and at most 1"),
    (lambda: one_cycle(0.1, steps=9, rise=1.1), f"`rise` is 1.1; {POSITIVE} and at most 1"),
    (lambda: one_cycle(0.1, steps=9, div=0.5), "`div` is 0.5; it must be a finite number, 1 or more"),
    (
        lambda: warmup_stable_decay(0.1, steps=10, warmup=6, decay=5),
        (
            "warmup_stable_decay(0.1, steps=10, warmup=6, decay=5): `warmup` and `decay` take 11 steps "
            "together, more than the 10 there are; shorten one of them"
        ),
    ),
    (lambda: custom(NOTHING), "custom(None): this is no function of the step"),
    (lambda: custom(abs, steps=0), f"custom(abs, steps=0): `steps` is 0; {WHOLE}"),
]

COMPOSITIONS: list[tuple[Callable[[], object], str]] = [
    (lambda: inverse(0.1).until(0), f"inverse(0.1).until(0): `steps` is 0; {WHOLE}"),
    (lambda: -0.5 * inverse(0.1), f"-0.5 * inverse(0.1): `factor` is -0.5; {FINITE}"),
    (lambda: math.nan * inverse(0.1), f"`factor` is nan; {FINITE}"),
    (
        lambda: exponential(0.1, factor=0.9) >> cosine(0.1, steps=3),
        (
            "exponential(0.1, factor=0.9) never ends, so cosine(0.1, steps=3) cannot come after it; "
            "give it an end: exponential(0.1, factor=0.9).until(1000)"
        ),
    ),
    (
        lambda: inverse(0.1) * constant(0.1) >> constant(0.1),
        "give it an end: (inverse(0.1) * constant(0.1)).until(1000)",
    ),
    (lambda: 2 * inverse(0.1) >> constant(0.1), "give it an end: (2 * inverse(0.1)).until(1000)"),
    (
        lambda: warmup(5) >> sgdr(0.1, first=3) >> constant(0.1),
        "sgdr(0.1, first=3) never ends, so constant(0.1) cannot come after it",
    ),
    (lambda: warmup(5) >> FRACTION, "2.5 is no schedule and no function of the step; write constant(2.5)"),
    (lambda: warmup(5) >> TEXT, "'0.1' is no schedule and no function of the step"),
    (lambda: constant(0.1) * TEXT, "'0.1' is no schedule and no function of the step"),
    (
        lambda: 0.1 * warmup(5) >> constant(0.1),
        "warmup(5) has no value to multiply; multiply what follows it",
    ),
    (lambda: warmup(5) * constant(0.1), "warmup(5) has no value to multiply; multiply what follows it"),
    (lambda: warmup(5).until(3), "warmup(5) has no value until something follows it"),
]

CALLS: list[tuple[Callable[[], object], str]] = [
    (
        lambda: warmup(5)(0),
        "warmup(5) has no value until something follows it: warmup(5) >> constant(0.1)",
    ),
    (
        lambda: (constant(0.1, steps=3) >> warmup(5))(0),
        (
            "constant(0.1, steps=3) >> warmup(5) has no value until something follows it: "
            "constant(0.1, steps=3) >> warmup(5) >> constant(0.1)"
        ),
    ),
    (
        lambda: cosine(0.1, steps=3)(-1),
        "cosine(0.1, steps=3): `k` is -1; it must be a whole number, 0 or more",
    ),
    (lambda: cosine(0.1, steps=3)(FRACTION), "`k` is 2.5; it must be a whole number, 0 or more"),
    (lambda: (warmup(2) >> constant(0.1))(-1), "`k` is -1; it must be a whole number, 0 or more"),
    (
        lambda: exponential(0.1, factor=10)(1000),
        "exponential(0.1, factor=10) is inf when 1000 steps are done; a setting must stay finite",
    ),
    (lambda: custom(lambda _: math.nan)(3), "is nan when 3 steps are done; a setting must stay finite"),
]

WRONG = ARGUMENTS + COMPOSITIONS + CALLS


@pytest.mark.parametrize(("mistake", "message"), WRONG, ids=[message for _, message in WRONG])
def test_a_mistake_is_a_schedule_error_that_says_so(mistake: Callable[[], object], message: str):
    with pytest.raises(ScheduleError, match=re.escape(message)) as caught:
        mistake()
    assert isinstance(caught.value, ThalwegError)
    assert isinstance(caught.value, ValueError)


def test_a_message_about_a_number_names_no_bound_that_is_not_there():
    with pytest.raises(ScheduleError, match=re.escape(FINITE) + "$"):
        constant(-1)
