"""How a record becomes a database row, and a record again: plain conversions, nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from thalweg.lab.curves import pack_curve, unpack_curve
from thalweg.lab.records import ChoiceRecord, ProblemRecord, RaceRecord, RunRecord
from thalweg.lab.tables import SCHEMA_VERSION, ProblemRow, RaceRow, RunRow

if TYPE_CHECKING:
    from thalweg.lab.records import Json, Kind, Outcome, Role
    from thalweg.lab.tables import ChoiceRow, JsonObject


def plain(values: Mapping[str, Json]) -> dict[str, Any]:
    """A JSON object of plain lists and dicts; JSON has no infinity and no NaN, so that these become words."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Json) -> Any:  # noqa: ANN401  (what JSON holds is what it holds)
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case Mapping():
            return plain(value)
        case str():
            return value
        case Sequence():
            return [_plain(item) for item in value]
        case _:
            return value


def _floats(values: JsonObject) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def race_of(row: RaceRow) -> RaceRecord:
    """The race that a row holds."""
    return RaceRecord(
        id=row.id,
        key=row.key,
        created=row.created,
        finished=row.finished,
        schema_version=row.schema_version,
        command=row.command,
        settings=row.settings,
        machine=row.machine,
        versions=row.versions,
        source=row.source,
    )


def problem_of(row: ProblemRow) -> ProblemRecord:
    """The problem that a row holds."""
    return ProblemRecord(name=row.name, kind=cast("Kind", row.kind), title=row.title, spec=row.spec)


def run_of(row: RunRow, problem: str) -> RunRecord:
    """The run that a row holds."""
    return RunRecord(
        problem=problem,
        optimizer=row.optimizer,
        chain=row.chain,
        tuned=_floats(row.tuned),
        role=cast("Role", row.role),
        trial=row.trial,
        seed=row.seed,
        data_order=row.data_order,
        budget=row.budget,
        outcome=cast("Outcome", row.outcome),
        message=row.message,
        started=row.started,
        seconds=row.seconds,
        final=_floats(row.final),
        curve=unpack_curve(row.curve),
    )


def choice_of(row: ChoiceRow, problem: str) -> ChoiceRecord:
    """The choice that a row holds."""
    return ChoiceRecord(
        problem=problem,
        optimizer=row.optimizer,
        trial=row.trial,
        tuned=_floats(row.tuned),
        score=row.score,
        final_score=row.final_score,
        on_edge=row.on_edge,
        trials=row.trials,
        extensions=row.extensions,
        why=row.why,
    )


def race_row(race: RaceRecord) -> RaceRow:
    """The row that a new race is kept in; the database gives it its id."""
    return RaceRow(
        key=race.key,
        created=race.created,
        finished=race.finished,
        schema_version=SCHEMA_VERSION,
        command=race.command,
        settings=plain(race.settings),
        machine=plain(race.machine),
        versions=plain(race.versions),
        source=None if race.source is None else plain(race.source),
    )


def problem_row(problem: ProblemRecord, race_id: int) -> ProblemRow:
    """The row that a problem is kept in."""
    return ProblemRow(
        race_id=race_id, name=problem.name, kind=problem.kind, title=problem.title, spec=plain(problem.spec)
    )


def run_row(run: RunRecord, race_id: int, problem_id: int) -> RunRow:
    """The row that a run is kept in."""
    return RunRow(
        race_id=race_id,
        problem_id=problem_id,
        optimizer=run.optimizer,
        chain=run.chain,
        tuned=plain(run.tuned),
        role=run.role,
        trial=run.trial,
        seed=run.seed,
        data_order=run.data_order,
        budget=run.budget,
        outcome=run.outcome,
        message=run.message,
        started=run.started,
        seconds=run.seconds,
        final=plain(run.final),
        curve=pack_curve(run.curve),
    )
