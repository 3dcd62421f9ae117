from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.lab.scoring import WORST, Score, score_run, score_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.lab.records import RunRecord


def test_training_is_judged_by_the_test_loss_at_the_end(make_run: Callable[..., RunRecord]) -> None:
    assert score_run(make_run(final={"loss": 0.1, "test_loss": 0.7})) == Score(0.7, 0.0)


def test_a_surface_is_judged_by_the_powers_of_ten_above_its_minimum(make_run: Callable[..., RunRecord]) -> None:
    assert score_run(make_run(final={"gap": 0.01, "mean_log_gap": -1.5})) == Score(-2.0, -1.5)


def test_close_to_the_minimum_is_as_good_as_in_it(make_run: Callable[..., RunRecord]) -> None:
    close, there = (make_run(final={"gap": gap, "mean_log_gap": -1.5}) for gap in (1e-7, 0.0))
    assert score_run(close) == score_run(there) == Score(-6.0, -1.5)


def test_a_run_that_did_not_finish_is_infinitely_bad(make_run: Callable[..., RunRecord]) -> None:
    assert score_run(make_run(outcome="diverged")) == WORST
    assert score_run(make_run(outcome="failed", final={})) == WORST


def test_one_diverged_seed_makes_a_setting_infinitely_bad(make_run: Callable[..., RunRecord]) -> None:
    assert score_runs([make_run(), make_run(outcome="diverged")]) == WORST


def test_a_setting_is_judged_by_the_mean_over_its_seeds(make_run: Callable[..., RunRecord]) -> None:
    runs = [make_run(final={"test_loss": loss}) for loss in (0.25, 0.75)]
    assert score_runs(runs) == Score(0.5, 0.0)
