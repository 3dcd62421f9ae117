from __future__ import annotations

import math

from thalweg.lab.statistics import derive_target, first_reached

inf = math.inf


def test_a_target_is_reached_at_the_first_point_at_or_below_it() -> None:
    assert first_reached([3.0, 2.0, 1.0, 2.5], 2.0, at=[0, 10, 20, 30]) == 10.0


def test_a_target_not_reached_takes_for_ever() -> None:
    assert first_reached([3.0, math.nan, 2.5], 2.0, at=[0, 10, 20]) == inf


def test_the_target_is_what_every_seed_of_the_baselines_came_down_to() -> None:
    finals = {"heavy_ball": [0.30, 0.33], "adam": [0.31, 0.32], "rprop": [4.0, 5.0], "nesterov": [0.2, 0.2]}
    assert derive_target(finals) == 0.33


def test_a_baseline_that_diverged_sets_no_target() -> None:
    assert derive_target({"heavy_ball": [0.3, inf], "adam": [0.31, 0.32]}) is None


def test_without_baselines_all_that_never_diverged_set_the_target() -> None:
    assert derive_target({"rprop": [inf, 1.0], "adagrad": [0.4, 0.5]}) == 0.5


def test_nobody_sets_no_target() -> None:
    assert derive_target({}) is None
