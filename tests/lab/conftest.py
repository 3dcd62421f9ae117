"""Records to test with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from thalweg.lab.records import ProblemRecord, RaceRecord, RunRecord
from thalweg.lab.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RACE = RaceRecord(
    id=0,
    key="0123",
    created="2026-01-01T00:00:00+00:00",
    finished=None,
    schema_version=1,
    command="thalweg race",
    settings={"optimizers": ["adam", "rprop"]},
    machine={"cpu": "a processor", "system": "a system"},
    versions={"python": "3.11"},
    source=None,
)

RUN = RunRecord(
    problem="digits",
    optimizer="adam",
    chain="chain(adam(), step(0.1))",
    tuned={"lr": 0.1},
    role="tuning",
    trial=0,
    seed=1000,
    data_order="reshuffled",
    budget=10,
    outcome="finished",
    message="",
    started="2026-01-01T00:00:01+00:00",
    seconds=0.5,
    final={"loss": 0.5, "test_loss": 0.6},
    curve={"step": np.array([0.0, 10.0]), "seconds": np.array([0.0, 0.5]), "test_loss": np.array([2.0, 0.6])},
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "races.db") as store:
        yield store


@pytest.fixture
def race(store: Store) -> RaceRecord:
    problems = [
        ProblemRecord(name="digits", kind="training", title="Digits", spec={"n_train": 10}),
        ProblemRecord(name="bowl (1, 2)", kind="surface", title="Bowl", spec={"surface": "bowl"}),
    ]
    return store.begin_race(RACE, problems)


@pytest.fixture
def make_run() -> Callable[..., RunRecord]:
    def make(**changes: Any) -> RunRecord:
        return replace(RUN, **changes)

    return make
