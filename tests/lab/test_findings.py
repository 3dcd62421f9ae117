from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from thalweg.lab.findings import findings
from thalweg.lab.records import ChoiceRecord
from thalweg.lab.standings import arrivals, final_values, standings, target_of, under_tuned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thalweg.lab.records import ProblemRecord, RaceRecord, RunRecord
    from thalweg.lab.store import Store

inf = math.inf
FIRST = [0.21, 0.22, 0.20, 0.21, 0.22]
CLOSE = [0.22, 0.21, 0.21, 0.20, 0.22]
LAST = [0.44, 0.46, 0.45, 0.44, 0.45]


@pytest.fixture
def digits(store: Store, race: RaceRecord) -> ProblemRecord:
    return store.problems(race)[0]


@pytest.fixture
def bowl(store: Store, race: RaceRecord) -> ProblemRecord:
    return store.problems(race)[1]


@pytest.fixture
def train(store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]) -> Callable[..., None]:
    def run(optimizer: str, losses: Sequence[float]) -> None:
        store.add_runs(
            race,
            [
                make_run(
                    optimizer=optimizer,
                    role="final",
                    seed=seed,
                    outcome="finished" if math.isfinite(loss) else "diverged",
                    final={"loss": loss, "test_loss": loss},
                    curve={
                        "step": np.array([0.0, 10.0, 20.0]),
                        "seconds": np.array([0.0, 0.5, 1.0]),
                        "test_loss": np.array([2.3, (2.3 + loss) / 2, loss]),
                    },
                )
                for seed, loss in enumerate(losses)
            ],
        )

    return run


@pytest.fixture
def descend(store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]) -> Callable[..., None]:
    def run(optimizer: str, steps: Sequence[float]) -> None:
        store.add_runs(
            race,
            [
                make_run(
                    problem="bowl (1, 2)",
                    optimizer=optimizer,
                    role="final",
                    seed=seed,
                    budget=100,
                    seconds=2.0,
                    final={
                        "loss": 0.0,
                        "gap": 0.0 if math.isfinite(taken) else 0.25,
                        "mean_log_gap": -6 + min(taken, 600) / 100,
                        "steps_to_target": taken,
                    },
                )
                for seed, taken in enumerate(steps)
            ],
        )

    return run


def choose(store: Store, race: RaceRecord, optimizer: str, **changes: object) -> None:
    settings: dict[str, object] = {
        "problem": "digits",
        "trial": 1,
        "tuned": {"lr": 0.1},
        "score": 0.2,
        "final_score": 0.2,
        "on_edge": False,
        "trials": 3,
        "extensions": 0,
        "why": "",
    }
    store.put_choice(race, ChoiceRecord(optimizer=optimizer, **(settings | changes)))


def texts(store: Store, race: RaceRecord, tone: str = "result") -> list[str]:
    return [finding.text for finding in findings(store, race) if finding.tone == tone]


def test_a_race_without_finals_has_found_nothing(store: Store, race: RaceRecord) -> None:
    assert findings(store, race) == ()


def test_a_tie_for_the_lowest_loss_is_called_one(store: Store, race: RaceRecord, train: Callable[..., None]) -> None:
    for name, losses in (("adam", FIRST), ("nesterov", CLOSE), ("adagrad", LAST)):
        train(name, losses)
    (said,) = texts(store, race)
    assert said.startswith("digits: adam and nesterov tie for the lowest test loss (0.212 [0.20")
    assert said.endswith(", 5 seeds); adagrad is last, at 2.11 times the lowest")


def test_a_single_winner_is_called_one(store: Store, race: RaceRecord, train: Callable[..., None]) -> None:
    train("adam", FIRST)
    train("adagrad", LAST)
    (said,) = texts(store, race)
    assert said.startswith("digits: adam has the lowest test loss (0.212 [")


def test_where_all_tie_nobody_is_last(store: Store, race: RaceRecord, train: Callable[..., None]) -> None:
    train("adam", FIRST)
    train("nesterov", CLOSE)
    (said,) = texts(store, race)
    assert said.endswith("5 seeds)")


def test_who_diverged_is_last(store: Store, race: RaceRecord, train: Callable[..., None]) -> None:
    train("adam", FIRST)
    train("rprop", [inf, 0.3, 0.3, 0.3, 0.3])
    (said,) = texts(store, race)
    assert said.endswith("; rprop diverged")
    choose(store, race, "adam")
    choose(store, race, "rprop")
    assert texts(store, race, "warning") == ["digits: rprop diverged on 1 of 5 fresh seeds"]


def test_a_race_that_nobody_survived_says_so(store: Store, race: RaceRecord, train: Callable[..., None]) -> None:
    train("adam", [inf, 0.2])
    assert texts(store, race) == ["digits: every optimizer diverged on some seed"]


def test_who_diverged_at_every_rate_is_ranked_last_and_warned_of(
    store: Store, race: RaceRecord, digits: ProblemRecord, train: Callable[..., None]
) -> None:
    train("adam", FIRST)
    choose(store, race, "adam")
    choose(store, race, "rprop", trial=None, tuned={}, score=inf, final_score=None, on_edge=True)
    assert final_values(store, race, digits, "test_loss")["rprop"] == [inf] * 5
    assert [(s.name, s.place) for s in standings(store, race, digits)] == [("adam", 1), ("rprop", 2)]
    assert texts(store, race, "warning") == ["digits: rprop diverged at every rate tried"]


def test_a_rate_on_the_edge_is_warned_of(store: Store, race: RaceRecord, train: Callable[..., None]) -> None:
    train("adam", FIRST)
    choose(store, race, "adam", on_edge=True)
    assert texts(store, race, "warning") == ["digits: the best rate of adam is still on the edge of what was tried"]


def test_a_method_that_loses_to_one_it_contains_is_under_tuned(
    store: Store, race: RaceRecord, digits: ProblemRecord, train: Callable[..., None]
) -> None:
    for name, losses in (("gradient_descent", FIRST), ("heavy_ball", LAST), ("nesterov", CLOSE)):
        train(name, losses)
        choose(store, race, name)
    assert texts(store, race, "warning") == [
        "digits: heavy_ball lost to gradient_descent, a special case of it: under-tuned"
    ]
    contains = {"heavy_ball": ("gradient_descent",), "adamw": ("adam",)}
    (found,) = under_tuned(store, race, digits, contains)
    assert (found.optimizer, found.contained) == ("heavy_ball", "gradient_descent")
    assert found.behind == pytest.approx(np.exp(np.mean(np.log(LAST)) - np.mean(np.log(FIRST))) - 1)


def test_only_seeds_that_all_have_run_count(
    store: Store, race: RaceRecord, digits: ProblemRecord, train: Callable[..., None]
) -> None:
    train("adam", FIRST)
    train("nesterov", CLOSE[:3])
    assert final_values(store, race, digits, "test_loss") == {"adam": FIRST[:3], "nesterov": CLOSE[:3]}


def test_on_a_surface_the_quickest_is_named_with_its_steps(
    store: Store, race: RaceRecord, descend: Callable[..., None]
) -> None:
    descend("nesterov", [50, 52, 51, 50, 52])
    descend("adam", [90, 92, 91, 90, 92])
    descend("rprop", [inf, inf, inf, inf, inf])
    assert texts(store, race) == [
        (
            "bowl (1, 2): nesterov comes down quickest: within 1e-06 of the lowest minimum after 51 [50, 52] steps, "
            "from 5 of 5 starts; 2 of 3 optimizers get there from all"
        )
    ]


def test_on_a_surface_that_nobody_solves_the_lowest_is_named_with_its_gap(
    store: Store, race: RaceRecord, descend: Callable[..., None]
) -> None:
    for name in ("nesterov", "adam", "rprop"):
        descend(name, [inf, inf])
    assert texts(store, race) == [
        (
            "bowl (1, 2): all 3 optimizers tie for the lowest, and yet 0.25 [0.25, 0.25] above the lowest minimum; "
            "0 of 2 starts lead adam there"
        )
    ]


def test_surfaces_come_before_networks_and_warnings_last(
    store: Store, race: RaceRecord, train: Callable[..., None], descend: Callable[..., None]
) -> None:
    train("adam", FIRST)
    descend("adam", [50, 51])
    choose(store, race, "adam", on_edge=True)
    found = findings(store, race)
    assert [(finding.kind, finding.tone) for finding in found] == [
        ("surface", "result"),
        ("training", "result"),
        ("training", "warning"),
    ]


def test_the_target_is_what_the_baselines_came_down_to(
    store: Store, race: RaceRecord, digits: ProblemRecord, train: Callable[..., None]
) -> None:
    train("adam", FIRST)
    train("adagrad", LAST)
    assert target_of(store, race, digits) == 0.22
    found = arrivals(store, race, digits)
    assert found["adam"].steps == (20.0,) * 5
    assert found["adam"].seconds == (1.0,) * 5
    assert found["adagrad"].steps == (inf,) * 5


def test_a_target_that_all_start_at_is_none(
    store: Store, race: RaceRecord, digits: ProblemRecord, train: Callable[..., None]
) -> None:
    train("adam", [2.3, 2.4])
    assert target_of(store, race, digits) is None
    assert arrivals(store, race, digits) == {}


def test_on_a_surface_arrival_is_within_the_target_gap(
    store: Store, race: RaceRecord, bowl: ProblemRecord, descend: Callable[..., None]
) -> None:
    descend("adam", [50, inf])
    assert target_of(store, race, bowl) == 1e-6
    assert arrivals(store, race, bowl)["adam"].steps == (50.0, inf)
    assert arrivals(store, race, bowl)["adam"].seconds == (1.0, inf)
