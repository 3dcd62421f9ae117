from __future__ import annotations

import math
from typing import TYPE_CHECKING

from thalweg.lab.statistics import sensitivity

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.lab.records import RunRecord


def test_each_rate_tells_its_final_loss_and_how_many_runs_diverged(make_run: Callable[..., RunRecord]) -> None:
    runs = [
        make_run(tuned={"lr": 0.1}, seed=1, final={"test_loss": 0.3}),
        make_run(tuned={"lr": 0.01}, seed=1, final={"test_loss": 0.7}),
        make_run(tuned={"lr": 0.1}, seed=2, final={"test_loss": 0.5}),
        make_run(tuned={"lr": 1.0}, seed=1, final={"test_loss": 0.1}, outcome="diverged"),
        make_run(tuned={"lr": 1.0}, seed=2, final={}, outcome="failed"),
    ]
    low, middle, high = sensitivity(runs, measure="test_loss")
    assert (low.rate, low.final.value, low.seeds, low.diverged) == (0.01, 0.7, 1, 0)
    assert (middle.rate, middle.final.value, middle.seeds, middle.diverged) == (0.1, 0.4, 2, 0)
    assert (high.rate, high.final.value, high.seeds, high.diverged) == (1.0, math.inf, 2, 2)


def test_a_chain_with_nothing_to_tune_has_no_sensitivity(make_run: Callable[..., RunRecord]) -> None:
    assert sensitivity([make_run(tuned={})], measure="test_loss") == ()
