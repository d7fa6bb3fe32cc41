"""Connections to the database of the records: SQLite for one machine, PostgreSQL for several."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

POOL_SIZE = 16  # connections kept open: one for each thread of a worker
WAIT_SECONDS = 2  # for a lock or a connection; then the call is refused rather than late
# A server that is gone without a word, as libpq waits for it; the URL may say otherwise.
POSTGRESQL_TIMEOUTS = {
    "connect_timeout": str(WAIT_SECONDS),
    "tcp_user_timeout": "5000",  # milliseconds
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "2",
}


class RecordsUnavailableError(Exception):
    """The database cannot be used. Its text is the kind of fault, never what was being written."""

    code = "RecordsUnavailable"  # of the kind in log lines


class DatabaseDownError(RecordsUnavailableError):
    """It does not answer, and may again."""

    code = "DatabaseDown"


class RecordRejectedError(RecordsUnavailableError):
    """The database can be used, and does not take this record: no use trying again."""

    code = "RecordRejected"


def get_error_type(fault: Exception) -> str:
    """The kind of a database fault; its message may quote the row."""
    return type(getattr(fault, "orig", None) or fault).__name__


def make_engine(url: str) -> Engine:
    """The engine for `url`. Nothing is opened yet."""
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(query={**POSTGRESQL_TIMEOUTS, **parsed.query})
    engine = create_engine(
        parsed,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        pool_timeout=WAIT_SECONDS,
        pool_pre_ping=parsed.get_backend_name() != "sqlite",  # a server may have restarted
        hide_parameters=True,  # no exception quotes a row
    )
    if engine.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _prepare_postgresql)
    return engine


def get_sqlite_file(url: str) -> Path | None:
    """The file of an SQLite database; None for PostgreSQL."""
    parsed = make_url(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def get_writer(engine: Engine) -> Engine:
    """`engine` for transactions that write: they queue for SQLite's one writer from their start.

    One that began by reading would fail at its first write if another had written meanwhile.
    """
    return engine.execution_options(writes=True)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """synchronous=NORMAL: a killed process loses nothing that was committed.

    A loss of power can lose the last seconds, and corrupts nothing. FULL would prevent that by
    flushing to the disk in every call. That doubles the cost of a record where flushing is fast,
    and bounds a service with one writer to a few hundred calls a second where it is slow. Whoever
    must not lose seconds to a loss of power uses PostgreSQL.
    """
    connection.isolation_level = None  # transactions begin where _begin_sqlite says
    connection.execute(f"PRAGMA busy_timeout = {int(WAIT_SECONDS * 1000)}")
    _enable_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    """A call that cannot have its lock soon is refused, as on SQLite."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'")
    connection.commit()


def _enable_wal(connection: Any) -> None:
    """WAL: readers and one writer side by side. The database file remembers it.

    SQLite does not wait with busy_timeout here: of workers that make a new database together, one
    may be told that it is locked.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
