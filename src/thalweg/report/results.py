"""What a race's records say about one problem, sorted for the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from thalweg.errors import ReportError, UnknownNameError, did_you_mean
from thalweg.lab.spending import unit_of
from thalweg.lab.standings import measure_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.lab.records import ChoiceRecord, Json, ProblemRecord, RaceRecord, Role, RunRecord
    from thalweg.lab.store import Store


@dataclass(frozen=True, kw_only=True)
class Results:
    """One problem with its runs and choices. `optimizers` are those that were asked for, in that order."""

    problem: ProblemRecord
    optimizers: tuple[str, ...]
    runs: tuple[RunRecord, ...]
    choices: Mapping[str, ChoiceRecord]

    @property
    def unit(self) -> str:
        """What is counted along the axes: steps, unless some of its runs spent otherwise than one a step."""
        return unit_of(self.of("final"))

    @property
    def judged(self) -> str:
        """The measure at the end that places are given by."""
        return measure_of(self.problem)

    def of(self, role: Role, optimizer: str | None = None) -> tuple[RunRecord, ...]:
        """The runs of one role, of one optimizer or of all."""
        return tuple(run for run in self.runs if run.role == role and optimizer in {None, run.optimizer})

    def path(self, optimizer: str) -> RunRecord | None:
        """The named start's own trajectory, if there is one."""
        return next(iter(self.of("path", optimizer)), None)


def read_results(store: Store, race: RaceRecord) -> tuple[Results, ...]:
    """Everything that a race has recorded, problem by problem."""
    results: list[Results] = []
    asked = names_in(race.settings.get("optimizers"))
    for problem in store.problems(race):
        runs = store.runs(race, problem=problem.name)
        optimizers = dict.fromkeys((*asked, *(run.optimizer for run in runs)))
        choices = {choice.optimizer: choice for choice in store.choices(race, problem=problem.name)}
        results.append(Results(problem=problem, optimizers=tuple(optimizers), runs=runs, choices=choices))
    return tuple(results)


def measure_name(measure: str) -> str:
    """A measure in words.

    >>> measure_name("test_loss"), measure_name("top5_accuracy")
    ('test loss', 'top5 accuracy')
    """
    names = {"loss": "minibatch loss", "train_loss": "training loss"}
    return names.get(measure, measure.replace("_", " "))


def names_in(value: object) -> tuple[str, ...]:
    """The names in a recorded list, or the keys of a recorded table; none if it is neither."""
    return tuple(map(str, value)) if isinstance(value, list | tuple | dict) else ()


def table_in(value: object) -> dict[str, Json]:
    """A recorded table; an empty one if it is something else."""
    return cast("dict[str, Json]", value) if isinstance(value, dict) else {}


def find_results(results: tuple[Results, ...], name: str) -> Results:
    """The results on the problem of this name."""
    for candidate in results:
        if candidate.problem.name == name:
            return candidate
    names = [candidate.problem.name for candidate in results]
    if not names:
        raise ReportError(f"the race has no problem `{name}`, nor any other; run `thalweg race` first")
    raise UnknownNameError(f"the race has no problem `{name}`; {did_you_mean(name, names)}")
