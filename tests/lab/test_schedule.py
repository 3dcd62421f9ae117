from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from thalweg.lab import contenders
from thalweg.lab.contest import Contest
from thalweg.lab.entries import SurfaceReference
from thalweg.lab.grid import Grid
from thalweg.lab.progress import TaskBegun, TaskEnded
from thalweg.lab.records import ProblemRecord
from thalweg.lab.schedule import Schedule
from thalweg.lab.workers import Workers

if TYPE_CHECKING:
    from thalweg.lab.progress import Progress
    from thalweg.lab.records import RaceRecord
    from thalweg.lab.store import Store

BOOTH = Contest(
    problem=SurfaceReference("booth", (-5.0, 8.0), "booth"),
    contender=contenders.get("gradient_descent"),
    grid=Grid(0.001, 10.0, 2),
    tuning_seeds=(1000,),
    seeds=(0,),
    steps=5,
)
MATYAS = replace(BOOTH, problem=SurfaceReference("matyas", (5.0, -4.0), "matyas"))


def run(store: Store, race: RaceRecord, *contests: Contest) -> tuple[Schedule, list[Progress]]:
    problems = [ProblemRecord(name=name, kind="surface", title=name, spec={}) for name in ("booth", "matyas")]
    race = store.begin_race(replace(race, key="another"), problems)
    schedule = Schedule(contests, store.runs(race))
    events: list[Progress] = []
    with Workers(1, threads=1) as crew:
        schedule.run(store, race, crew, events.append)
    return schedule, events


def test_one_task_of_each_problem_comes_first_then_problem_by_problem(store: Store, race: RaceRecord) -> None:
    adam = contenders.get("adam")
    contests = [BOOTH, replace(BOOTH, contender=adam), MATYAS, replace(MATYAS, contender=adam)]
    _, events = run(store, race, *contests)
    begun = [event for event in events if isinstance(event, TaskBegun)]
    assert [(task.problem, task.optimizer) for task in begun][:2] == [
        ("booth", "gradient_descent"),
        ("matyas", "gradient_descent"),
    ]
    assert [task.problem for task in begun if task.optimizer == "adam"][:2] == ["booth", "booth"]


def test_the_total_grows_with_a_search_that_goes_on(store: Store, race: RaceRecord) -> None:
    # 0.001 and 0.01 are both too small for five steps, so that the search goes on above
    schedule, events = run(store, race, BOOTH)
    totals = [event.total for event in events if isinstance(event, TaskEnded)]
    assert totals[0] == 2 + 2 + 2  # the grid, its extension, a final run and the path
    assert totals == sorted(totals)
    assert schedule.done == schedule.total == totals[-1]


def test_the_time_that_remains_falls_to_nothing(store: Store, race: RaceRecord) -> None:
    _, events = run(store, race, BOOTH, MATYAS)
    ended = [event for event in events if isinstance(event, TaskEnded)]
    assert all(event.remaining is not None for event in ended)
    assert ended[-1].remaining == 0.0
    assert [event.elapsed for event in ended] == sorted(event.elapsed for event in ended)
