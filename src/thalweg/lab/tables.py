"""How the records lie in a database: five tables, of types that every database has."""

from __future__ import annotations

# SQLAlchemy evaluates the annotations of its models, so Mapping stays a real import.
from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA_VERSION = 1

JsonObject = Mapping[str, Any]


class Table(DeclarativeBase):
    """The root of the tables."""

    type_annotation_map = {JsonObject: JSON, str: Text}  # noqa: RUF012  (SQLAlchemy reads a plain class attribute)


class StoreRow(Table):
    """The one row that says which version of the tables this database holds."""

    __tablename__ = "thalweg"

    id: Mapped[int] = mapped_column(primary_key=True)
    schema_version: Mapped[int]


class RaceRow(Table):
    """One race."""

    __tablename__ = "race"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(index=True)
    created: Mapped[str]
    finished: Mapped[str | None]
    schema_version: Mapped[int]
    command: Mapped[str]
    settings: Mapped[JsonObject]
    machine: Mapped[JsonObject]
    versions: Mapped[JsonObject]
    source: Mapped[JsonObject | None]


class ProblemRow(Table):
    """One problem of one race."""

    __tablename__ = "problem"
    __table_args__ = (UniqueConstraint("race_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    race_id: Mapped[int] = mapped_column(ForeignKey("race.id", ondelete="CASCADE"))
    name: Mapped[str]
    kind: Mapped[str]
    title: Mapped[str]
    spec: Mapped[JsonObject]


class RunRow(Table):
    """One run, written whole when it ends."""

    __tablename__ = "run"
    __table_args__ = (UniqueConstraint("race_id", "problem_id", "optimizer", "trial", "seed", "role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    race_id: Mapped[int] = mapped_column(ForeignKey("race.id", ondelete="CASCADE"))
    problem_id: Mapped[int] = mapped_column(ForeignKey("problem.id", ondelete="CASCADE"))
    optimizer: Mapped[str]
    chain: Mapped[str]
    tuned: Mapped[JsonObject]
    role: Mapped[str]
    trial: Mapped[int]
    seed: Mapped[int]
    data_order: Mapped[str | None]
    budget: Mapped[int]
    outcome: Mapped[str]
    message: Mapped[str]
    started: Mapped[str]
    seconds: Mapped[float]
    final: Mapped[JsonObject]
    curve: Mapped[bytes]


class ChoiceRow(Table):
    """What tuning chose for one optimizer on one problem."""

    __tablename__ = "choice"
    __table_args__ = (UniqueConstraint("race_id", "problem_id", "optimizer"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    race_id: Mapped[int] = mapped_column(ForeignKey("race.id", ondelete="CASCADE"))
    problem_id: Mapped[int] = mapped_column(ForeignKey("problem.id", ondelete="CASCADE"))
    optimizer: Mapped[str]
    trial: Mapped[int | None]
    tuned: Mapped[JsonObject]
    score: Mapped[float]
    final_score: Mapped[float | None]
    on_edge: Mapped[bool]
    trials: Mapped[int]
    extensions: Mapped[int]
    why: Mapped[str]
