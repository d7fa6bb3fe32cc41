"""Use the database of the records: prepared first, one writer in turn, timed, with own errors.

A fault of the database is raised as RecordsUnavailableError.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from cds_hooks.config.settings import ConfigurationError, ConfigurationProblem
from cds_hooks.records.database import (
    WAIT_SECONDS,
    DatabaseDownError,
    RecordRejectedError,
    RecordsUnavailableError,
    get_error_type,
    get_sqlite_file,
    get_writer,
)
from cds_hooks.records.keyring import Keyring
from cds_hooks.records.migrations import migrate
from cds_hooks.records.prepared_sql import get_insert
from cds_hooks.records.tables import key_used


class Transactions:
    """Of one process; safe for its threads, and for a process forked from it."""

    def __init__(self, engine: Engine, ring: Keyring) -> None:
        self.engine = engine
        self.is_prepared = False
        self._ring = ring
        self._preparing = threading.Lock()
        driver = engine.dialect.loaded_dbapi
        self._database_error: type[Exception] = driver.Error
        self._rejections: tuple[type[Exception], ...] = (driver.IntegrityError, driver.DataError)
        self._process = os.getpid()
        self._lock = threading.Lock()
        # Told of each use: what for, and how many seconds it took; None where it failed.
        self.on_use: Callable[[str, float | None], None] = lambda _work, _seconds: None

    def prepare(self) -> None:
        """Bring the schema up to date and check the keys; until this is done, each use tries it.

        Raises ConfigurationError and RecordsUnavailableError.
        """
        migrate_to("head", self.engine)
        try:
            _check_keys(self.engine, self._ring)
        except SQLAlchemyError as fault:
            raise _make_unavailable_error(fault, self.engine) from fault
        self.is_prepared = True

    def _prepare_late(self) -> None:
        """By one thread, while the others are told that the database is down."""
        if not self._preparing.acquire(blocking=False):
            raise DatabaseDownError("starting")
        try:
            if not self.is_prepared:
                self.prepare()
        except ConfigurationError:
            raise RecordsUnavailableError("keys") from None
        finally:
            self._preparing.release()

    @contextmanager
    def begin(self) -> Iterator[Any]:
        """A driver's cursor in a transaction. Raises RecordsUnavailableError."""
        with self.guard(), self.take_turn():
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                if self.engine.name == "sqlite":
                    cursor.execute("BEGIN IMMEDIATE")
                yield cursor
                connection.commit()
            finally:
                connection.close()  # back to the pool, which rolls back what was not committed

    @contextmanager
    def take_turn(self) -> Iterator[None]:
        """SQLite has one writer at a time; who waits here is woken at once, who waits there sleeps.

        A process forked from this one starts with connections of its own.
        """
        self.reset_after_fork()
        if self.engine.name != "sqlite":
            yield
            return
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise RecordsUnavailableError("locked")
        try:
            yield
        finally:
            self._lock.release()

    def reset_after_fork(self) -> None:
        """A process forked from this one starts with connections of its own."""
        if self._process != os.getpid():
            self.engine.dispose(close=False)
            self._process, self._lock = os.getpid(), threading.Lock()

    @contextmanager
    def guard(self, work: str = "write") -> Iterator[None]:
        """Turns faults of the database into RecordsUnavailableError, and times the work."""
        if not self.is_prepared:
            self._prepare_late()
        try:
            with self.time_work(work):
                yield
        except (SQLAlchemyError, self._database_error) as fault:
            raise self._translate_error(fault) from None

    @contextmanager
    def time_work(self, work: str) -> Iterator[None]:
        began, is_done = time.perf_counter(), False
        try:
            yield
            is_done = True
        finally:
            self.on_use(work, time.perf_counter() - began if is_done else None)

    def _translate_error(self, fault: Exception) -> RecordsUnavailableError:
        cause = getattr(fault, "orig", None) or fault
        never_sent = isinstance(fault, StatementError) and not isinstance(fault, DBAPIError)
        if never_sent or isinstance(cause, self._rejections):
            return RecordRejectedError(get_error_type(fault))
        return RecordsUnavailableError(get_error_type(fault))


def migrate_to(target: str, engine: Engine) -> tuple[str | None, str | None]:
    """Migrates the database, an SQLite file made first where it is missing.

    Returns and raises as `migrate` does, and RecordsUnavailableError for the database.
    """
    file = get_sqlite_file(str(engine.url))
    try:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch(0o600)
        return migrate(engine, target)
    except (SQLAlchemyError, OSError) as fault:
        raise _make_unavailable_error(fault, engine) from fault


def _make_unavailable_error(fault: Exception, engine: Engine) -> RecordsUnavailableError:
    is_down = isinstance(getattr(fault, "orig", None), engine.dialect.loaded_dbapi.OperationalError)
    return (DatabaseDownError if is_down else RecordsUnavailableError)(get_error_type(fault))


def _check_keys(engine: Engine, ring: Keyring) -> None:
    """Remembers the current key. Raises ConfigurationError where one of the past is missing."""
    with get_writer(engine).begin() as connection:
        used = set(connection.execute(select(key_used.c.key_id)).scalars())
        missing = sorted(used - set(ring.ids))
        if missing:
            reason = (
                f"lacks the key {', '.join(missing)} that records here were written with: name "
                "its file here, or purge those records first"
            )
            raise ConfigurationError([ConfigurationProblem("", "records.old_key_files", reason)])
        row = {"key_id": ring.current_id, "since": datetime.now(UTC)}
        new = get_insert(engine)(key_used).values(row).on_conflict_do_nothing()
        connection.execute(new)
