"""Decay on a plateau: torch's numbers, a state of its own, and nothing shared by accident."""

# ruff: noqa: ANN401  # what the type checker would refuse, and a user without one may still pass

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import ReduceLROnPlateau

from thalweg.errors import ScheduleError
from thalweg.schedules import constant, cosine, inverse, linear, plateau, robbins_monro, warmup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from thalweg.schedules import Schedule

NOTHING: Any = None


def torchs(start: float, **settings: Any) -> tuple[torch.optim.Optimizer, ReduceLROnPlateau]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=start)
    return optimizer, ReduceLROnPlateau(optimizer, **settings)


def fed(controller: plateau, metrics: Iterable[float]) -> plateau:
    for metric in metrics:
        controller.update(metric)
    return controller


BELOW_NINE_TENTHS = math.nextafter(0.9, 0)
# Few values and coarse thresholds, so that ties, exact thresholds and decays below `eps` come up often.
metric_lists = st.lists(
    st.one_of(
        st.sampled_from([0.0, 0.5, 0.9, BELOW_NINE_TENTHS, 1.0, 1.1, 2.0, -1.0, -0.9, -1.1]),
        st.floats(min_value=-1e6, max_value=1e6),
    ),
    min_size=1,
    max_size=60,
)
settings_dicts = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["min", "max"]),
        "factor": st.sampled_from([0.0, 0.1, 0.3, 0.9]),
        "patience": st.integers(min_value=0, max_value=4),
        "threshold": st.sampled_from([0.0, 1e-4, 0.1, 0.5]),
        "threshold_mode": st.sampled_from(["rel", "abs"]),
        "cooldown": st.integers(min_value=0, max_value=3),
        "min_lr": st.sampled_from([0.0, 0.001, 0.03, 0.1]),
        "eps": st.sampled_from([0.0, 1e-8, 0.01]),
    },
)


@given(st.sampled_from([0.1, 0.3, 1.0]), settings_dicts, metric_lists)
def test_it_gives_torchs_rates_to_the_last_bit(start: float, settings: dict[str, Any], metrics: list[float]):
    ours = plateau(start, **settings)
    optimizer, theirs = torchs(start, **settings)
    for metric in metrics:
        ours.update(metric)
        theirs.step(metric)
        assert ours(0) == optimizer.param_groups[0]["lr"]
        state = ours.state_dict()
        names = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")
        assert [state[name] for name in names] == [getattr(theirs, name) for name in names]


def test_the_random_sequences_do_reach_decays():
    metrics = np.random.default_rng(0).normal(size=400)
    ours = plateau(1.0, factor=0.7, patience=2, cooldown=1, min_lr=1e-3, mode="max")
    optimizer, theirs = torchs(1.0, factor=0.7, patience=2, cooldown=1, min_lr=1e-3, mode="max")
    rates: list[float] = []
    for metric in metrics:
        ours.step(metric)
        theirs.step(metric)
        rates.append(ours(0))
        assert rates[-1] == optimizer.param_groups[0]["lr"]
    assert len(set(rates)) > 15
    assert rates[-1] == 1e-3


EDGES: dict[str, tuple[dict[str, Any], list[float]]] = {
    "a decay by exactly eps": ({"factor": 0.5, "eps": 0.5, "patience": 0}, [1.0, 1.0]),
    "a decay by more": ({"factor": 0.5, "eps": 0.49, "patience": 0}, [1.0, 1.0]),
    "below 0": ({"patience": 0}, [-10.0, -9.9995]),
    "just below a relative threshold": ({"threshold": 0.1, "patience": 0}, [1.0, BELOW_NINE_TENTHS]),
    **{
        f"{mode}, {kind}, from 1 to {metric}": (
            {"mode": mode, "threshold_mode": kind, "threshold": 0.25, "patience": 0},
            [1.0, metric],
        )
        for mode in ("min", "max")
        for kind in ("rel", "abs")
        for metric in (0.7, 0.75, 0.8, 1.0, 1.2, 1.25, 1.3)
    },
}


@pytest.mark.parametrize(("settings", "metrics"), EDGES.values(), ids=EDGES)
def test_on_the_edge_it_does_as_torch_does(settings: dict[str, Any], metrics: list[float]):
    optimizer, theirs = torchs(1.0, **settings)
    for metric in metrics:
        theirs.step(metric)
    assert fed(plateau(1.0, **settings), metrics)(0) == optimizer.param_groups[0]["lr"]


def test_its_defaults_are_torchs():
    _, theirs = torchs(0.1)
    ours = plateau(0.1)
    for name in ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "eps"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert [ours.min_lr] == theirs.min_lrs


def test_an_infinity_on_the_bad_side_is_a_look_without_improvement_as_in_torch():
    metrics = [math.inf, math.inf, 3.0, math.inf, math.inf]
    ours = fed(plateau(1.0, patience=1), metrics)
    optimizer, theirs = torchs(1.0, patience=1)
    for metric in metrics:
        theirs.step(metric)
    assert ours(0) == optimizer.param_groups[0]["lr"] == 0.1 * 0.1


@pytest.mark.parametrize(
    "one", [1, np.float32(1), np.array([1.0]).sum(), torch.tensor(1.0), torch.tensor([1.0])], ids=repr
)
def test_a_metric_is_a_number_of_any_kind(one: Any):
    controller = plateau(0.1)
    controller.update(one)
    assert controller.state_dict()["best"] == 1
    assert type(controller.state_dict()["best"]) is float


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (math.nan, "the metric is NaN, by which nothing can be judged"),
        (torch.tensor(math.nan), "the metric is NaN, by which nothing can be judged"),
        (-math.inf, "the metric is -inf, which no later one could beat"),
        (NOTHING, "the metric is None; it must be a number"),
        ("0.5", "the metric is '0.5'; it must be a number"),
        (torch.zeros(2), "the metric is tensor([0., 0.]); it must be a number"),
        (10**400, "the metric is 1000"),
        (torch.empty((), device="meta"), "the metric is tensor("),
    ],
    ids=["NaN", "a tensor of NaN", "-∞", "nothing", "text", "two numbers", "too great", "no data"],
)
def test_a_metric_that_cannot_be_judged_is_refused_and_changes_nothing(metric: Any, message: str):
    controller = fed(plateau(0.1, patience=0), [1.0])
    before = controller.state_dict()
    with pytest.raises(ScheduleError, match=re.escape(f"plateau(0.1, patience=0): {message}")):
        controller.update(metric)
    assert controller.state_dict() == before


def test_what_can_never_be_beaten_is_the_other_infinity_where_greater_is_better():
    controller = fed(plateau(0.1, mode="max"), [-math.inf, 1.0])
    with pytest.raises(ScheduleError, match="the metric is inf, which no later one could beat"):
        controller.update(math.inf)


ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"factor": 1.0}, "`factor` is 1.0; it must be below 1, or the rate never falls"),
    ({"factor": -0.5}, "`factor` is -0.5; it must be a finite number, 0 or more"),
    ({"patience": -1}, "`patience` is -1; it must be a whole number, 0 or more"),
    ({"patience": 2.5}, "`patience` is 2.5; it must be a whole number, 0 or more"),
    ({"cooldown": -1}, "`cooldown` is -1; it must be a whole number, 0 or more"),
    ({"threshold": -0.1}, "`threshold` is -0.1; it must be a finite number, 0 or more"),
    ({"threshold": 1}, "`threshold` is 1, and nothing falls by so great a part of itself"),
    ({"threshold_mode": "rell"}, "`threshold_mode` is 'rell'; did you mean `rel`?"),
    ({"mode": "maximum"}, "`mode` is 'maximum'; did you mean `max`?"),
    ({"min_lr": 0.2}, "`min_lr` is 0.2; it must be a finite number, 0 or more and at most 0.1"),
    ({"min_lr": [0.01]}, "`min_lr` is [0.01]; it must be a finite number"),
    ({"eps": -1}, "`eps` is -1; it must be a finite number, 0 or more"),
]


@pytest.mark.parametrize(("settings", "message"), ARGUMENTS, ids=[str(settings) for settings, _ in ARGUMENTS])
def test_a_setting_out_of_range_is_refused_by_name(settings: dict[str, Any], message: str):
    with pytest.raises(ScheduleError, match=re.escape(message)):
        plateau(0.1, **settings)


def test_a_threshold_of_one_or_more_has_a_meaning_elsewhere():
    assert fed(plateau(0.1, threshold=2.0, threshold_mode="abs", patience=0), [10.0, 7.0])(0) == 0.1
    assert fed(plateau(0.1, threshold=1.0, mode="max", patience=0), [1.0, 1.9])(0) < 0.1


@pytest.mark.parametrize(
    "typed",
    [
        "plateau(0.1)",
        "plateau(0.1, factor=0.5, patience=3)",
        "plateau(1, mode='max', threshold=0, threshold_mode='abs', cooldown=2, min_lr=0.001, eps=0)",
        "warmup(500) >> plateau(0.1)",
        "cosine(1.0, steps=10) * plateau(0.1)",
        "0.5 * plateau(0.1)",
    ],
)
def test_it_prints_as_it_is_typed_before_and_after_metrics(typed: str):
    schedule = eval(typed, {"plateau": plateau, "warmup": warmup, "cosine": cosine})  # noqa: S307  # what stands above
    assert repr(schedule) == typed
    if isinstance(schedule, plateau):
        assert repr(fed(schedule, [1.0] * 30)) == typed


def test_its_value_is_its_present_rate_whatever_the_step():
    controller = plateau(0.1, factor=0.5, patience=0)
    assert {controller(k) for k in (0, 7, 10**9)} == {0.1}
    fed(controller, [1.0, 1.0])
    assert {controller(k) for k in (0, 7, 10**9)} == {0.05}
    with pytest.raises(ScheduleError, match="`k` is -1"):
        controller(-1)


def test_what_is_composed_of_it_follows_it():
    controller = plateau(0.1, factor=0.5, patience=0)
    schedules: list[tuple[Schedule, float]] = [
        (warmup(4) >> controller, 0.5),
        (0.5 * controller, 0.5),
        (linear(1.0, 0.0, steps=4) * controller, 0.75),
        (constant(0.7, steps=1) >> controller, 1.0),
    ]
    assert [schedule(1) for schedule, _ in schedules] == pytest.approx([0.1 * share for _, share in schedules])
    fed(controller, [1.0, 1.0])
    assert [schedule(1) for schedule, _ in schedules] == pytest.approx([0.05 * share for _, share in schedules])


def test_nothing_follows_it_and_nothing_cuts_it_short():
    with pytest.raises(
        ScheduleError, match=re.escape("plateau(0.1) goes by a metric and never ends, so constant(0.1)")
    ):
        _ = plateau(0.1) >> constant(0.1)
    with pytest.raises(ScheduleError, match=r"nobody knows its value after 100 steps: it cannot be cut short"):
        plateau(0.1).until(100)
    with pytest.raises(ScheduleError, match="never ends, so constant"):
        _ = warmup(5) >> plateau(0.1) >> constant(0.1)


@pytest.mark.parametrize(
    "composed",
    [0.5 * plateau(0.1), warmup(5) >> plateau(0.1), inverse(0.1) * plateau(1.0), 2 * (0.5 * plateau(0.1))],
    ids=repr,
)
def test_nor_what_is_composed_of_it(composed: Schedule):
    goes_by_metric = re.escape(f"{composed!r} goes by a metric, so that nobody knows its value after 100 steps")
    with pytest.raises(ScheduleError, match=goes_by_metric):
        composed.until(100)
    with pytest.raises(ScheduleError, match=r"goes by a metric and never ends, so constant\(0\.1\) cannot come"):
        _ = composed >> constant(0.1)


def test_robbins_and_monros_condition_cannot_be_answered():
    for schedule in (plateau(0.1), warmup(5) >> plateau(0.1), 0.5 * plateau(0.1), inverse(0.1) * plateau(1.0)):
        assert robbins_monro(schedule) == "cannot say"
