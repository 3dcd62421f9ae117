from __future__ import annotations

import math
import multiprocessing
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import update
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from thalweg.errors import StoreError, StoreVersionError
from thalweg.lab.records import ChoiceRecord
from thalweg.lab.store import Store, open_store
from thalweg.lab.tables import RaceRow, RunRow, StoreRow, Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from thalweg.lab.records import RaceRecord, RunRecord

CHOICE = ChoiceRecord(
    problem="digits",
    optimizer="adam",
    trial=3,
    tuned={"lr": 0.1},
    score=0.6,
    final_score=None,
    on_edge=False,
    trials=7,
    extensions=0,
    why="the best of 7 rates",
)


def test_what_was_written_is_read_again(store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]) -> None:
    run = make_run()
    store.add_runs(race, [run])
    store.put_choice(race, CHOICE)
    with open_store(store.name, create=False) as again:
        assert again.races() == (race,)
        assert again.latest_race() == race
        assert [problem.name for problem in again.problems(race)] == ["digits", "bowl (1, 2)"]
        (found,) = again.runs(race)
        assert found == run
        assert found.curve.keys() == run.curve.keys()
        assert all(np.array_equal(found.curve[name], run.curve[name]) for name in run.curve)
        assert again.choices(race) == (CHOICE,)


def test_runs_can_be_asked_for_by_problem_optimizer_and_role(
    store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]
) -> None:
    runs = [
        make_run(problem=problem, optimizer=optimizer, role=role)
        for problem in ("digits", "bowl (1, 2)")
        for optimizer in ("adam", "rprop")
        for role in ("final", "tuning")
    ]
    store.add_runs(race, runs)
    assert store.runs(race) == tuple(runs)
    assert store.runs(race, problem="digits") == tuple(runs[:4])
    assert store.runs(race, optimizer="rprop", role="final") == (runs[2], runs[6])


def test_infinities_survive(store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]) -> None:
    run = make_run(outcome="diverged", final={"loss": math.inf, "gap": -math.inf})
    store.add_runs(race, [run])
    store.put_choice(race, replace(CHOICE, trial=None, tuned={}, score=math.inf))
    assert store.runs(race) == (run,)
    assert store.choices(race)[0].score == math.inf


def test_curves_cannot_be_changed_by_accident(
    store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]
) -> None:
    store.add_runs(race, [make_run()])
    with pytest.raises(ValueError, match="read-only"):
        store.runs(race)[0].curve["step"][0] = 1.0


def test_a_second_choice_replaces_the_first(store: Store, race: RaceRecord) -> None:
    store.put_choice(race, CHOICE)
    store.put_choice(race, replace(CHOICE, final_score=0.7))
    assert store.choices(race, problem="digits") == (replace(CHOICE, final_score=0.7),)
    assert store.choices(race, problem="bowl (1, 2)") == ()


def test_runs_that_end_together_are_written_together_or_not_at_all(
    store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]
) -> None:
    with pytest.raises(StoreError):
        store.add_runs(race, [make_run(), make_run(problem="nowhere")])
    assert store.runs(race) == ()


def test_a_run_of_an_unknown_problem_is_refused(
    store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]
) -> None:
    with pytest.raises(StoreError, match=r"the race has no problem `digit`; did you mean `digits`?"):
        store.add_runs(race, [make_run(problem="digit")])


def test_the_same_run_twice_means_that_somebody_else_runs_the_same_race(
    store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]
) -> None:
    store.add_runs(race, [make_run()])
    with pytest.raises(
        StoreError, match=r"holds this already .* another process is running the same race: let it finish"
    ):
        store.add_runs(race, [make_run()])


def test_a_race_that_ended_says_when(store: Store, race: RaceRecord) -> None:
    store.finish_race(race, "2026-01-02T00:00:00+00:00")
    assert store.latest_race().finished == "2026-01-02T00:00:00+00:00"


def test_a_store_without_races_says_how_to_get_one(store: Store) -> None:
    with pytest.raises(StoreError, match=r"holds no race yet; run `thalweg race --store .*` first"):
        store.latest_race()


def test_a_missing_store_is_not_made_for_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no store at .*races\.db; run `thalweg race --store"):
        open_store(tmp_path / "races.db", create=False)
    assert not (tmp_path / "races.db").exists()


def test_a_store_is_made_with_the_folders_it_lies_in(tmp_path: Path) -> None:
    open_store(tmp_path / "a" / "b" / "races.db").close()
    assert (tmp_path / "a" / "b" / "races.db").is_file()


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is a folder, not a store; name the file in it, such as .*races\.db"):
        open_store(tmp_path)


def test_a_store_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot make the folder"):
        open_store(tmp_path / "file" / "deeper" / "races.db")


def test_a_text_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "races.db").write_text("not a database, but long enough to be taken for one" * 40)
    with pytest.raises(StoreError, match=r"cannot open the store .*: file is not a database"):
        open_store(tmp_path / "races.db")


def test_somebody_elses_database_is_no_store(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "theirs.db") as connection:
        connection.execute("CREATE TABLE birds (name TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="is a database, but not a store of Thalweg's; name another file"):
        open_store(tmp_path / "theirs.db")
    with sqlite3.connect(tmp_path / "theirs.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("birds",)]
    connection.close()


@pytest.mark.parametrize("row", [StoreRow, RaceRow])
def test_a_store_made_by_a_newer_version_is_refused(store: Store, race: RaceRecord, row: type[Table]) -> None:
    with store._engine.begin() as connection:
        connection.execute(update(row).values(schema_version=7))
    with pytest.raises(StoreVersionError, match=r"was written by a newer Thalweg \(its schema is 7, ours 1\); upgrade"):
        open_store(store.name)


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(StoreError, match="is neither a file's path nor a database URL"):
        open_store("://nonsense")


def test_a_database_without_its_driver_is_refused() -> None:
    with pytest.raises(StoreError, match="no driver for the store oracle"):
        open_store("oracle://nobody@nowhere/none")


def test_a_password_is_not_repeated_in_a_message() -> None:
    with pytest.raises(StoreError) as caught:
        open_store("oracle://nobody:secret@nowhere/none")
    assert "secret" not in str(caught.value)


def test_a_full_disk_is_one_sentence_and_loses_nothing_written_before(
    store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]
) -> None:
    store.add_runs(race, [make_run()])
    store.close()
    full = open_store(store.name)
    noise = np.random.default_rng(0).normal(size=200_000)
    with full._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(
        StoreError, match=r"cannot write to the store .*: database or disk is full; what was written before is safe"
    ):
        full.add_runs(race, [make_run(seed=2, curve={"step": noise})])
    assert full.runs(race) == (make_run(),)
    full.close()


def test_a_read_only_store_can_be_read_and_says_that_it_cannot_be_written(
    store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]
) -> None:
    store.add_runs(race, [make_run()])
    with open_store(f"sqlite:///file:{store.name}?mode=ro&uri=true", create=False) as locked:
        assert locked.runs(race) == (make_run(),)
        with pytest.raises(StoreError, match=r"cannot write to the store .*: attempt to write a readonly database"):
            locked.add_runs(race, [make_run(seed=2)])


def test_a_damaged_curve_is_one_sentence(store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]) -> None:
    store.add_runs(race, [make_run()])
    with store._engine.begin() as connection:
        connection.execute(update(RunRow).values(curve=b"broken"))
    with pytest.raises(StoreError, match=r"a run's curve cannot be read .* the store is damaged"):
        store.runs(race)


def test_a_store_of_a_dropped_table_is_one_sentence(store: Store, race: RaceRecord) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE choice")
    with pytest.raises(StoreError, match=r"cannot read the store .*: no such table: choice"):
        store.choices(race)


def write_many(path: str, race: RaceRecord, run: RunRecord, first: int) -> None:
    with open_store(path) as store:
        for seed in range(first, first + 25):
            store.add_runs(race, [replace(run, seed=seed)])


def test_two_processes_write_into_one_store_without_losing_anything(
    store: Store, race: RaceRecord, make_run: Callable[..., RunRecord]
) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(store.name, race, make_run(), 100 * i)) for i in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(store.runs(race)) == 50


def test_the_file_is_in_wal_mode_and_keeps_its_foreign_keys(store: Store) -> None:
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 30_000


def test_the_tables_can_be_made_in_postgresql() -> None:
    made = [str(CreateTable(table).compile(dialect=postgresql.dialect())) for table in Table.metadata.sorted_tables]
    assert any("curve BYTEA NOT NULL" in statement for statement in made)
    assert any("settings JSON NOT NULL" in statement for statement in made)
