"""In which order a race's tasks are run: problem by problem, and after a search what it asks for.

First of all comes one task of each problem, so that soon something is known about how long the rest will
take.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from thalweg.lab.contest import choice_of, tasks_left
from thalweg.lab.progress import TaskBegun, TaskEnded, Tuned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thalweg.lab.contest import Contest, Task
    from thalweg.lab.progress import Listener
    from thalweg.lab.records import RaceRecord, RunRecord
    from thalweg.lab.store import Store
    from thalweg.lab.workers import Workers


class Schedule:
    """The tasks of a race that are known and not yet begun, and the runs that it has already."""

    def __init__(self, contests: Sequence[Contest], runs: Sequence[RunRecord]) -> None:
        self._contests = {(contest.problem.name, contest.contender.name): contest for contest in contests}
        self._runs: dict[tuple[str, str], list[RunRecord]] = {pair: [] for pair in self._contests}
        for run in runs:
            self._runs[run.problem, run.optimizer].append(run)
        self._queue: deque[Task] = deque()
        self._open: dict[tuple[str, str], int] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        for pair in self._contests:
            self._queue.extend(self._known(pair))
        # What a search asks for is put in front of the queue, but not in front of these:
        self._first = list({task.problem.name: task for task in reversed(self._queue)}.values())
        for task in self._first:
            self._queue.remove(task)
        self._pace = _Pace()

    @property
    def done(self) -> int:
        """How many runs are in the store."""
        return sum(map(len, self._runs.values()))

    @property
    def total(self) -> int:
        """How many runs there will be, as far as is known."""
        return sum(self._sizes.values())

    def run(self, store: Store, race: RaceRecord, crew: Workers, progress: Listener) -> None:
        """Have every task run, and write what comes back."""
        for pair in self._contests:  # a race killed between its last run and its choice has one to write
            self._write_choice(pair, store, race, progress)
        while self._first or self._queue or crew.busy:
            while (self._first or self._queue) and crew.idle:
                task = self._first.pop() if self._first else self._queue.popleft()
                crew.begin(task)
                progress(TaskBegun(problem=task.problem.name, optimizer=task.contender, role=task.role, runs=task.size))
            task, runs = crew.ended()
            store.add_runs(race, runs)
            self._take(task, runs, store, race, progress)

    def _take(
        self, task: Task, runs: tuple[RunRecord, ...], store: Store, race: RaceRecord, progress: Listener
    ) -> None:
        pair = (task.problem.name, task.contender)
        self._runs[pair] += runs
        self._open[pair] -= 1
        over = self._open[pair] == 0
        if over:  # what a search turns out to need comes before the next search
            self._queue.extendleft(reversed(self._known(pair)))
        self._pace.note(task)
        progress(
            TaskEnded(
                problem=task.problem.name,
                optimizer=task.contender,
                role=task.role,
                runs=len(runs),
                diverged=sum(run.outcome == "diverged" for run in runs),
                failed=sum(run.outcome == "failed" for run in runs),
                done=self.done,
                total=self.total,
                elapsed=self._pace.elapsed,
                remaining=self._pace.remaining(self._left()),
            )
        )
        if over:
            self._write_choice(pair, store, race, progress)

    def _known(self, pair: tuple[str, str]) -> tuple[Task, ...]:
        """The tasks of a contest that can be run now, counted in."""
        contest, runs = self._contests[pair], self._runs[pair]
        left = tasks_left(contest, runs)
        self._open[pair] = len(left)
        finals = contest.size - contest.grid.trials * len(contest.tuning_seeds)
        to_come = finals if any(task.role == "tuning" for task in left) else 0
        self._sizes[pair] = len(runs) + sum(task.size for task in left) + to_come
        return left

    def _left(self) -> dict[str, int]:
        left: dict[str, int] = defaultdict(int)
        for pair, size in self._sizes.items():
            left[pair[0]] += size - len(self._runs[pair])
        return left

    def _write_choice(self, pair: tuple[str, str], store: Store, race: RaceRecord, progress: Listener) -> None:
        choice = choice_of(self._contests[pair], self._runs[pair])
        if choice is not None:
            store.put_choice(race, choice)
            progress(Tuned(choice=choice))


class _Pace:
    """How long runs take, by problem, and so how long the rest will."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._last = self._begin
        self._seconds: dict[str, float] = defaultdict(float)
        self._runs: dict[str, int] = defaultdict(int)

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._begin

    def note(self, task: Task) -> None:
        """A task has ended: the time since the one before it was spent on it, whoever else was at work."""
        moment = time.perf_counter()
        self._seconds[task.problem.name] += moment - self._last
        self._runs[task.problem.name] += task.size
        self._last = moment

    def remaining(self, left: dict[str, int]) -> float | None:
        """The seconds that so many runs will take; a problem not yet met is thought as slow as the others."""
        if not self._runs:
            return None
        usual = sum(self._seconds.values()) / sum(self._runs.values())
        paces = {name: self._seconds[name] / self._runs[name] for name in self._runs}
        return sum(count * paces.get(problem, usual) for problem, count in left.items())
