"""What is still to be run of one optimizer's race on one problem, given what has been run.

Nothing but the records decides: a race that was cut off goes on where it was, and comes to the same records.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.lab.entries import SurfaceReference
from thalweg.lab.scoring import Score, score_runs
from thalweg.lab.tuning import EXTENSION, Extension, best_trial, choose, more_trials

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from thalweg.lab.contenders import Contender
    from thalweg.lab.entries import Reference
    from thalweg.lab.grid import Grid
    from thalweg.lab.records import ChoiceRecord, Role, RunRecord


@dataclass(frozen=True)
class Task:
    """What one worker does in one go: one training run, or on a surface all runs of some trials and seeds."""

    problem: Reference
    contender: str
    role: Role
    trials: tuple[tuple[int, float], ...]
    seeds: tuple[int, ...]
    steps: int

    @property
    def size(self) -> int:
        """How many runs it will have been."""
        return len(self.trials) * len(self.seeds) + self.draws_path

    @property
    def draws_path(self) -> bool:
        """Whether the named start's own trajectory is among them."""
        return self.role == "final" and isinstance(self.problem, SurfaceReference)


@dataclass(frozen=True, kw_only=True)
class Contest:
    """One optimizer on one problem: its grid, its seeds, its budget."""

    problem: Reference
    contender: Contender
    grid: Grid
    tuning_seeds: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: int
    extension: Extension = EXTENSION

    @property
    def size(self) -> int:
        """How many runs it has, if the grid need not be extended."""
        path = isinstance(self.problem, SurfaceReference)
        return self.grid.trials * len(self.tuning_seeds) + len(self.seeds) + path


def tasks_left(contest: Contest, runs: Sequence[RunRecord]) -> tuple[Task, ...]:
    """The tasks that can be run now; none once the contest is over. Run them, and ask again."""
    tuning = _by_trial(runs, "tuning")
    trials = range(contest.grid.trials)
    while True:
        missing = _missing(contest, "tuning", trials, contest.tuning_seeds, tuning)
        if missing:
            return missing
        scores = _scores(tuning, trials)
        more = more_trials(scores, contest.grid, contest.extension)
        if not more:
            break
        trials = range(min(*trials, *more), max(*trials, *more) + 1)
    best = best_trial(scores) if contest.contender.tuned else 0  # what is fixed is run, whatever became of it
    finals = _by_trial(runs, "final")
    return () if best is None else _missing(contest, "final", (best,), contest.seeds, finals)


def choice_of(contest: Contest, runs: Sequence[RunRecord]) -> ChoiceRecord | None:
    """What tuning chose, or None while it still goes on."""
    left = tasks_left(contest, runs)
    if any(task.role == "tuning" for task in left):
        return None
    tuning = _by_trial(runs, "tuning")
    finals = [run for run in runs if run.role == "final"]
    final_score = None if left or not finals else score_runs(finals).value
    scores = _scores(tuning, tuning)
    return choose(contest.problem.name, contest.contender, contest.grid, scores, final_score=final_score)


def _missing(
    contest: Contest,
    role: Role,
    trials: Sequence[int],
    seeds: Sequence[int],
    runs: dict[int, dict[int, RunRecord]],
) -> tuple[Task, ...]:
    left = [(trial, seed) for trial in trials for seed in seeds if seed not in runs.get(trial, {})]
    rates = {trial: contest.grid.rate(trial) for trial in trials}

    def task(chosen: Sequence[int], drawn: Sequence[int]) -> Task:
        pairs = tuple((trial, rates[trial]) for trial in chosen)
        return Task(contest.problem, contest.contender.name, role, pairs, tuple(drawn), contest.steps)

    if not isinstance(contest.problem, SurfaceReference):
        return tuple(task((trial,), (seed,)) for trial, seed in left)
    # What one task of a surface runs is written at once, so that of one trial all seeds are there, or none.
    trials_left = tuple(dict.fromkeys(trial for trial, _ in left))
    return (task(trials_left, seeds),) if left else ()


def _by_trial(runs: Iterable[RunRecord], role: Role) -> dict[int, dict[int, RunRecord]]:
    found: dict[int, dict[int, RunRecord]] = defaultdict(dict)
    for run in runs:
        if run.role == role:
            found[run.trial][run.seed] = run
    return found


def _scores(runs: dict[int, dict[int, RunRecord]], trials: Iterable[int]) -> dict[int, Score]:
    return {trial: score_runs(runs[trial].values()) for trial in trials}
