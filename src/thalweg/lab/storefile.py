"""How a store's database is found, made, checked and connected to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event, func, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from thalweg.errors import StoreError, StoreVersionError
from thalweg.lab.tables import SCHEMA_VERSION, RaceRow, StoreRow, Table

if TYPE_CHECKING:
    from sqlite3 import Connection as SQLiteConnection

    from sqlalchemy import URL, Connection, Engine

BUSY_TIMEOUT_MS = 30_000


def connect(url_or_path: str | Path, *, create: bool) -> tuple[Engine, str]:
    """An engine whose database holds our tables in our version, and the name by which messages call it."""
    url, name = _parse(url_or_path)
    path = _sqlite_path(url)
    if path is not None:
        _check_path(path, create=create)
    try:
        engine = create_engine(url)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(f"no driver for the store {name} ({error}); install one, or give a file's path") from error
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        _check_tables(engine, name, create=create)
    except SQLAlchemyError as error:
        engine.dispose()
        raise StoreError(f"cannot open the store {name}: {reason_of(error)}") from error
    except StoreError:
        engine.dispose()
        raise
    return engine, name


def _parse(url_or_path: str | Path) -> tuple[URL, str]:
    text = str(url_or_path)
    try:
        url = make_url(text if "://" in text else f"sqlite:///{Path(text).expanduser()}")
    except ArgumentError as error:
        raise StoreError(
            f"`{text}` is neither a file's path nor a database URL; a URL looks like postgresql://user@host/name"
        ) from error
    return url, text if "://" not in text else url.render_as_string(hide_password=True)


def _sqlite_path(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"} or "uri" in url.query:
        return None
    return Path(str(url.database))


def _check_path(path: Path, *, create: bool) -> None:
    if path.is_dir():
        raise StoreError(f"{path} is a folder, not a store; name the file in it, such as {path / 'races.db'}")
    if path.exists():
        return
    if not create:
        raise StoreError(f"there is no store at {path}; run `thalweg race --store {path}` first, or check the path")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make the folder {path.parent} for the store: {error.strerror}; choose another path"
        ) from error


def reason_of(error: SQLAlchemyError) -> str:
    """What the database itself says, without SQLAlchemy's frame around it."""
    return str(getattr(error, "orig", None) or error)


def for_writing(engine: Engine) -> Engine:
    """The engine, for transactions that take the lock for writing at once.

    A SQLite transaction that reads first and asks for the lock later is refused, timeout or not, when
    another process wrote in between.
    """
    return engine.execution_options(thalweg_begin="BEGIN IMMEDIATE")


def _set_up_sqlite(connection: SQLiteConnection, _record: object) -> None:
    # Python's driver would leave table definitions outside of transactions; `_begin_sqlite` begins each instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        _ = cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    _ = connection.exec_driver_sql(str(options.get("thalweg_begin", "BEGIN")))


def _check_tables(engine: Engine, name: str, *, create: bool) -> None:
    with for_writing(engine).begin() if create else engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        if not tables and create:
            Table.metadata.create_all(connection)
            _ = connection.execute(insert(StoreRow).values(id=1, schema_version=SCHEMA_VERSION))
            return
    if StoreRow.__tablename__ not in tables:
        raise StoreError(f"{name} is a database, but not a store of Thalweg's; name another file, or a new one")
    with engine.connect() as connection:
        found = connection.scalar(select(func.max(StoreRow.schema_version))) or 0
        newest = (
            connection.scalar(select(func.max(RaceRow.schema_version))) or 0 if RaceRow.__tablename__ in tables else 0
        )
    if max(found, newest) > SCHEMA_VERSION:
        raise StoreVersionError(
            f"the store {name} was written by a newer Thalweg (its schema is {max(found, newest)}, "
            f"ours {SCHEMA_VERSION}); upgrade with `pip install --upgrade thalweg`, or name another store"
        )
