"""Where the records of races are kept: a SQLite file, or any database that SQLAlchemy has a URL for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from thalweg.errors import StoreError, did_you_mean
from thalweg.lab.rows import (
    choice_of,
    plain,
    problem_of,
    problem_row,
    race_of,
    race_row,
    run_of,
    run_row,
)
from thalweg.lab.storefile import connect, for_writing, reason_of
from thalweg.lab.tables import ChoiceRow, ProblemRow, RaceRow, RunRow

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path
    from types import TracebackType

    from sqlalchemy import Engine

    from thalweg.lab.records import ChoiceRecord, ProblemRecord, RaceRecord, Role, RunRecord


def open_store(url_or_path: str | Path, *, create: bool = True) -> Store:
    """Open the store at a path or a database URL; a missing one is made, unless `create` is False.

    Raises `StoreVersionError` for a store that a newer Thalweg wrote, `StoreError` for anything else that
    is no store.
    """
    engine, name = connect(url_or_path, create=create)
    return Store(engine, name)


class Store:
    """The records of all races in one database.

    Every writing method is one transaction: it is in the store whole or not at all.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self._engine = engine

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def races(self) -> tuple[RaceRecord, ...]:
        """All races, the oldest first."""
        with self._reading() as session:
            return tuple(race_of(row) for row in session.scalars(select(RaceRow).order_by(RaceRow.id)))

    def latest_race(self) -> RaceRecord:
        """The race that was begun last; a `StoreError` if there is none yet."""
        races = self.races()
        if not races:
            raise StoreError(f"the store {self.name} holds no race yet; run `thalweg race --store {self.name}` first")
        return races[-1]

    def problems(self, race: RaceRecord) -> tuple[ProblemRecord, ...]:
        """The problems of a race, in the order in which it was asked for."""
        with self._reading() as session:
            query = select(ProblemRow).where(ProblemRow.race_id == race.id).order_by(ProblemRow.id)
            return tuple(problem_of(row) for row in session.scalars(query))

    def runs(
        self,
        race: RaceRecord,
        *,
        problem: str | None = None,
        optimizer: str | None = None,
        role: Role | None = None,
    ) -> tuple[RunRecord, ...]:
        """The runs of a race, by problem, optimizer, role, trial and seed; only those asked for."""
        query = (
            select(RunRow, ProblemRow.name)
            .join(ProblemRow, RunRow.problem_id == ProblemRow.id)
            .where(RunRow.race_id == race.id)
            .order_by(ProblemRow.id, RunRow.optimizer, RunRow.role, RunRow.trial, RunRow.seed)
        )
        if problem is not None:
            query = query.where(ProblemRow.name == problem)
        if optimizer is not None:
            query = query.where(RunRow.optimizer == optimizer)
        if role is not None:
            query = query.where(RunRow.role == role)
        with self._reading() as session:
            return tuple(run_of(row, name) for row, name in session.execute(query))

    def choices(self, race: RaceRecord, *, problem: str | None = None) -> tuple[ChoiceRecord, ...]:
        """What tuning chose in a race, by problem and optimizer."""
        query = (
            select(ChoiceRow, ProblemRow.name)
            .join(ProblemRow, ChoiceRow.problem_id == ProblemRow.id)
            .where(ChoiceRow.race_id == race.id)
            .order_by(ProblemRow.id, ChoiceRow.optimizer)
        )
        if problem is not None:
            query = query.where(ProblemRow.name == problem)
        with self._reading() as session:
            return tuple(choice_of(row, name) for row, name in session.execute(query))

    def begin_race(self, race: RaceRecord, problems: Iterable[ProblemRecord]) -> RaceRecord:
        """Write a new race and its problems; the race comes back with the id it got."""
        with self._writing() as session:
            row = race_row(race)
            session.add(row)
            session.flush()
            for problem in problems:
                session.add(problem_row(problem, row.id))
                session.flush()  # one by one, so that their ids keep their order
            return race_of(row)

    def finish_race(self, race: RaceRecord, finished: str) -> None:
        """Write when a race ended."""
        with self._writing() as session:
            _ = session.execute(update(RaceRow).where(RaceRow.id == race.id).values(finished=finished))

    def add_runs(self, race: RaceRecord, runs: Iterable[RunRecord]) -> None:
        """Write runs that have ended, all in one transaction."""
        with self._writing() as session:
            ids = self._problem_ids(session, race)
            for run in runs:
                session.add(run_row(run, race.id, _id_of(ids, run.problem)))

    def put_choice(self, race: RaceRecord, choice: ChoiceRecord) -> None:
        """Write what tuning chose, in place of an earlier choice for the same optimizer and problem."""
        with self._writing() as session:
            problem_id = _id_of(self._problem_ids(session, race), choice.problem)
            query = select(ChoiceRow).where(
                ChoiceRow.race_id == race.id,
                ChoiceRow.problem_id == problem_id,
                ChoiceRow.optimizer == choice.optimizer,
            )
            row = session.scalars(query).one_or_none()
            if row is None:
                row = ChoiceRow(race_id=race.id, problem_id=problem_id, optimizer=choice.optimizer)
                session.add(row)
            row.trial = choice.trial
            row.tuned = plain(choice.tuned)
            row.score = choice.score
            row.final_score = choice.final_score
            row.on_edge = choice.on_edge
            row.trials = choice.trials
            row.extensions = choice.extensions
            row.why = choice.why

    @contextmanager
    def _reading(self) -> Generator[Session]:
        try:
            with Session(self._engine) as session, session.begin():
                yield session
        except SQLAlchemyError as error:
            raise StoreError(f"cannot read the store {self.name}: {reason_of(error)}") from error

    @contextmanager
    def _writing(self) -> Generator[Session]:
        try:
            with Session(for_writing(self._engine)) as session, session.begin():
                yield session
        except IntegrityError as error:
            raise StoreError(
                f"the store {self.name} holds this already ({reason_of(error)}); another process is running "
                "the same race: let it finish, or give this one another store"
            ) from error
        except SQLAlchemyError as error:
            raise StoreError(
                f"cannot write to the store {self.name}: {reason_of(error)}; what was written before is safe"
            ) from error

    @staticmethod
    def _problem_ids(session: Session, race: RaceRecord) -> dict[str, int]:
        query = select(ProblemRow.name, ProblemRow.id).where(ProblemRow.race_id == race.id)
        return dict(session.execute(query).all())


def _id_of(ids: dict[str, int], problem: str) -> int:
    if problem not in ids:
        raise StoreError(f"the race has no problem `{problem}`; {did_you_mean(problem, ids)}")
    return ids[problem]
