from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from thalweg.errors import ProblemError, RaceError, StoreError, UnknownNameError
from thalweg.lab import race as race_module
from thalweg.lab import workers as workers_module
from thalweg.lab.program import compile_race
from thalweg.lab.progress import RaceBegun, RaceEnded, TaskBegun, TaskEnded, Tuned
from thalweg.lab.race import Race, run_race
from thalweg.lab.store import Store, open_store
from thalweg.lab.surface_runs import run_on_surface

if TYPE_CHECKING:
    from thalweg.lab.contest import Task
    from thalweg.lab.progress import Progress
    from thalweg.lab.records import RaceRecord, RunRecord

FILE = str(Path(__file__).with_name("tiny_problem.py"))

SMALL = Race(
    problems=("booth", FILE),
    optimizers=("gradient_descent", "adam"),
    trials=3,
    tuning_seeds=2,
    seeds=2,
    steps=25,
)

LONG = 120.0
"""Seconds: what takes so long has gone wrong, however busy the machine is."""

TINY = replace(SMALL, problems=("booth",), optimizers=("gradient_descent", "adam"))


def without_clock(run: RunRecord) -> tuple[object, ...]:
    curve = {name: values.tolist() for name, values in run.curve.items() if name != "seconds"}
    return replace(run, started="", seconds=0.0, final=dict(run.final)), curve


def everything(store: Store) -> tuple[object, ...]:
    """All that a store holds of its one race, but for times."""
    (race,) = store.races()
    timeless = replace(race, id=0, created="", finished="", command="")
    return timeless, store.problems(race), [without_clock(run) for run in store.runs(race)], store.choices(race)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = open_store(tmp_path_factory.mktemp("whole") / "races.db")
    run_race(SMALL, store, workers=1)
    return store


def test_every_optimizer_gets_its_trials_its_finals_and_its_choice(whole: Store) -> None:
    race = whole.latest_race()
    for problem in whole.problems(race):
        for optimizer in SMALL.optimizers:
            runs = whole.runs(race, problem=problem.name, optimizer=optimizer)
            (choice,) = [c for c in whole.choices(race, problem=problem.name) if c.optimizer == optimizer]
            tuning = [run for run in runs if run.role == "tuning"]
            assert len(tuning) == choice.trials * 2
            assert {run.seed for run in tuning} == {1000, 1001}
            finals = [(run.role, run.seed, run.trial) for run in runs if run.role != "tuning"]
            path = [("path", 0, choice.trial)] if problem.kind == "surface" else []
            assert finals == [("final", 0, choice.trial), ("final", 1, choice.trial), *path]
            assert choice.final_score is not None


def test_no_run_is_judged_on_a_seed_that_its_setting_was_chosen_on(whole: Store) -> None:
    race = whole.latest_race()
    tuned = {run.seed for run in whole.runs(race, role="tuning")}
    assert not tuned & {run.seed for run in whole.runs(race, role="final")}


def test_a_race_records_what_was_asked_for(whole: Store) -> None:
    race = whole.latest_race()
    assert race.settings["optimizers"] == list(SMALL.optimizers)
    assert race.settings["problems"] == ["booth", "line", "brittle"]
    assert race.settings["chains"]["adam"] == "chain(adam(), step(0.001))"
    assert race.settings["grids"]["booth"]["adam"] == [0.000316, 0.001, 0.00316]
    assert race.settings["seeds"]["line"] == {"tuning": [1000, 1001], "final": [0, 1]}
    assert race.settings["steps"] == dict.fromkeys(["booth", "line", "brittle"], 25)
    assert race.source is not None
    assert race.source["file"] == "tiny_problem.py"
    assert race.finished is not None
    assert [problem.spec["steps"] for problem in whole.problems(race)] == [25] * 3


def test_a_model_that_breaks_on_the_way_is_recorded_and_stops_nobody(whole: Store) -> None:
    runs = whole.runs(whole.latest_race(), problem="brittle")
    assert {run.outcome for run in runs} == {"finished", "failed"}
    assert {run.outcome for run in runs if run.role == "final"} == {"finished"}


def test_a_finished_race_is_not_run_again(whole: Store) -> None:
    events: list[Progress] = []
    before = everything(whole)
    race = run_race(SMALL, whole, workers=1, progress=events.append)
    assert race == whole.latest_race()
    total = len(whole.runs(race))
    assert events == [RaceBegun(done=total, total=total, workers=0)]
    assert everything(whole) == before


SCRIPT = """
import os, signal, sys
from thalweg.lab import workers
from thalweg.lab.race import Race, run_race
from thalweg.lab.store import open_store

{more}

if __name__ == "__main__":
    race = Race(
        problems={race.problems!r}, optimizers={race.optimizers!r},
        trials={race.trials}, tuning_seeds={race.tuning_seeds}, seeds={race.seeds}, steps={race.steps},
    )
    run_race(race, open_store(sys.argv[1]), workers={workers}, progress=listen)
"""
KILLED_WITH_A_TASK_IN_ITS_HANDS = """
tasks = []
run_task = workers.run_task

def run_and_die(task):
    runs = run_task(task)
    tasks.append(task)
    if len(tasks) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return runs

workers.run_task = run_and_die

def listen(event):
    pass
"""
KILLED_WHILE_OTHERS_WORK = """
def listen(event):
    if getattr(event, "done", 0) >= 25:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("workers", "killed", "enough"), [(1, KILLED_WITH_A_TASK_IN_ITS_HANDS, 2), (2, KILLED_WHILE_OTHERS_WORK, 25)]
)
def test_a_race_killed_at_any_moment_comes_to_the_same_records_when_resumed(
    whole: Store, tmp_path: Path, workers: int, killed: str, enough: int
) -> None:
    path = tmp_path / "races.db"
    script = tmp_path / "killed.py"
    script.write_text(SCRIPT.format(race=SMALL, more=killed, workers=workers))
    process = subprocess.run([sys.executable, script, path], check=False)
    assert process.returncode == -signal.SIGKILL
    with open_store(path) as store:
        found = len(store.runs(store.latest_race()))
        assert enough <= found < len(whole.runs(whole.latest_race()))
        assert store.latest_race().finished is None
        threads = store.latest_race().settings["threads"]
        run_race(SMALL, store, workers=1)
        assert [race.settings["threads"] for race in store.races()] == [threads]
        (_, *resumed), (_, *expected) = everything(store), everything(whole)
        assert resumed == expected


def test_workers_do_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import multiprocessing, os, sys, time\n"
        "from thalweg.lab.workers import _prepare\n"
        "def idle(): _prepare(1); print(os.getpid(), flush=True); time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.get_context('spawn').Process(target=idle).start(); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(timeout=LONG)


def test_progress_counts_every_run_once(tmp_path: Path) -> None:
    events: list[Progress] = []
    with open_store(tmp_path / "races.db") as store:
        race = run_race(TINY, store, workers=1, progress=events.append, command="thalweg race booth")
        runs = store.runs(race)
        assert race.command == "thalweg race booth"
        assert events[0] == RaceBegun(done=0, total=2 * (3 * 2 + 2 + 1), workers=1)
        ended = [event for event in events if isinstance(event, TaskEnded)]
        begun = [event for event in events if isinstance(event, TaskBegun)]
        assert [event.done for event in ended] == list(np.cumsum([event.runs for event in begun]))
        assert (ended[-1].done, ended[-1].total, ended[-1].remaining) == (len(runs), len(runs), 0.0)
        chosen = [event.choice for event in events if isinstance(event, Tuned)]
        assert all(choice in chosen for choice in store.choices(race))
        assert isinstance(events[-1], RaceEnded)
        assert events[-1].runs == len(runs)


def test_ctrl_c_leaves_what_was_run_and_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Task] = []

    def interrupted(task: Task) -> tuple[RunRecord, ...]:
        calls.append(task)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run_on_surface(task)

    monkeypatch.setattr(workers_module, "run_task", interrupted)
    with open_store(tmp_path / "races.db") as store:
        with pytest.raises(KeyboardInterrupt, match=r"interrupted; 6 of 18 runs are in .*races\.db: the same command"):
            run_race(TINY, store, workers=1)
        assert len(store.runs(store.latest_race())) == 6
        monkeypatch.undo()
        run_race(TINY, store, workers=1)
        assert len(store.races()) == 1
        assert store.latest_race().finished is not None


def test_ctrl_c_is_not_lost_while_a_task_is_handed_over() -> None:
    with pytest.raises(KeyboardInterrupt), workers_module._interrupts_held():
        signal.raise_signal(signal.SIGINT)


LISTENING = """
def listen(event):
    if type(event).__name__ == "TaskBegun":
        print("a task has begun", flush=True)
"""


def test_ctrl_c_ends_the_workers_too(tmp_path: Path) -> None:
    script = tmp_path / "interrupted.py"
    endless = replace(TINY, problems=("quadratic",), steps=2_000_000)
    script.write_text(SCRIPT.format(race=endless, more=LISTENING, workers=2))
    with subprocess.Popen(
        [sys.executable, script, tmp_path / "races.db"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "a task has begun\n"
        children = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert len(children) >= 2
    assert process.returncode != 0
    assert "interrupted; 0 of 18 runs are in" in said
    for child in children:
        child.wait(timeout=LONG)


def test_a_worker_that_dies_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "_prepare", os._exit)  # before it imports PyTorch: with a status for threads
    with (
        open_store(tmp_path / "races.db") as store,
        pytest.raises(RaceError, match=r"a worker process died, .* run the same command again to go on, with fewer"),
    ):
        run_race(TINY, store, workers=2)


def test_a_store_that_cannot_be_written_stops_the_race(tmp_path: Path) -> None:
    with open_store(tmp_path / "races.db") as store:
        race: RaceRecord = run_race(TINY, store, workers=1)
        with store._engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM run")
            connection.exec_driver_sql("UPDATE race SET finished = NULL")
            connection.exec_driver_sql(
                "CREATE TRIGGER full BEFORE INSERT ON run BEGIN SELECT RAISE(FAIL, 'no room'); END"
            )
        with pytest.raises(StoreError, match="no room"):
            run_race(TINY, store, workers=1)
        assert store.runs(race) == ()


def test_other_settings_are_another_race() -> None:
    keys = {
        compile_race(race).key
        for race in [
            TINY,
            replace(TINY, trials=4),
            replace(TINY, seeds=3),
            replace(TINY, tuning_seeds=3),
            replace(TINY, steps=26),
            replace(TINY, start=(1.0, 2.0)),
            replace(TINY, problems=("matyas",)),
            replace(TINY, optimizers=("adam",)),
        ]
    }
    assert len(keys) == 8


def test_a_changed_problem_file_is_another_race(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(Path(FILE).read_text())
    race = replace(SMALL, problems=(str(file),))
    before = compile_race(race).key
    assert compile_race(race).key == before
    file.write_text(Path(FILE).read_text() + "\n# changed\n")
    assert compile_race(race).key != before


def test_other_versions_begin_the_race_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path / "races.db") as store:
        run_race(TINY, store, workers=1)
        monkeypatch.setattr(race_module, "describe_versions", lambda: {"torch": "another"})
        run_race(TINY, store, workers=1)
        assert [race.versions.get("torch") == "another" for race in store.races()] == [False, True]


def test_without_numbers_each_kind_of_problem_has_its_own() -> None:
    race = Race(problems=("booth", FILE), optimizers=("adam",))
    settings = compile_race(race).settings
    assert settings["trials"] == {"surface": 13, "training": 7}
    assert settings["steps"] == {"booth": 1000, "line": 30, "brittle": 30}
    assert settings["seeds"]["booth"] == {"tuning": [1000, 1001, 1002], "final": list(range(10))}


def test_a_problems_own_rates_are_where_its_tuning_begins(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(Path(FILE).read_text().replace("steps=30,\n)", "steps=30, rates={'adam': (0.1, 10.0)},\n)"))
    race = replace(SMALL, problems=(str(file),))
    grids = compile_race(race).settings["grids"]
    assert grids["line"]["adam"] == [0.1, 1.0, 10.0]
    assert grids["line"]["gradient_descent"] == [0.0316, 0.1, 0.316]


@pytest.mark.parametrize(
    ("race", "error", "message"),
    [
        (replace(TINY, trials=0), RaceError, "a race needs at least 1 of trials, not 0"),
        (replace(TINY, seeds=-1), RaceError, "a race needs at least 1 of seeds, not -1"),
        (replace(TINY, tuning_seeds=0), RaceError, "a race needs at least 1 of tuning_seeds, not 0"),
        (replace(TINY, steps=0), RaceError, "a race needs at least 1 of steps, not 0"),
        (replace(TINY, seeds=1001), RaceError, "a race has at most 1000 seeds, not 1001"),
        (replace(TINY, problems=()), RaceError, "a race needs at least one problem"),
        (replace(TINY, optimizers=()), RaceError, "a race needs at least one optimizer"),
        (replace(TINY, optimizers=("adam", "adam")), RaceError, "the optimizer `adam` is named twice"),
        (replace(TINY, problems=("booth", "booth")), RaceError, "the problem `booth` is named twice"),
        (replace(TINY, optimizers=("adm",)), UnknownNameError, "there is no optimizer `adm` to race"),
        (replace(TINY, problems=("boot",)), UnknownNameError, "there is no surface or training problem `boot`"),
        (replace(TINY, problems=("none.py",)), ProblemError, "there is no file `none.py`"),
    ],
)
def test_a_race_that_cannot_be_run_says_why(race: Race, error: type[Exception], message: str, tmp_path: Path) -> None:
    with open_store(tmp_path / "races.db") as store:
        with pytest.raises(error, match=message):
            run_race(race, store, workers=1)
        assert store.races() == ()


def test_no_worker_is_too_few(tmp_path: Path) -> None:
    with open_store(tmp_path / "races.db") as store, pytest.raises(RaceError, match="at least 1 worker, not 0"):
        run_race(TINY, store, workers=0)
