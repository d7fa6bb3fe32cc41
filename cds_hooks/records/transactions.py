"""Work with the database: in turn, timed, its faults told as RecordsUnavailableError."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from cds_hooks.config.settings import ConfigurationError
from cds_hooks.records.database import (
    WAIT_SECONDS,
    DatabaseDownError,
    RecordRejectedError,
    RecordsUnavailableError,
    get_error_type,
)


class Transactions:
    """Of one process; safe for its threads, and for a process forked from it."""

    def __init__(self, engine: Engine, prepare: Callable[[], None]) -> None:
        """`prepare` makes the database fit; until it has, each session tries that first."""
        self.engine = engine
        self.is_prepared = False
        self._prepare = prepare
        self._preparing = threading.Lock()
        driver = engine.dialect.loaded_dbapi
        self._database_error: type[Exception] = driver.Error
        self._rejections: tuple[type[Exception], ...] = (driver.IntegrityError, driver.DataError)
        self._process = os.getpid()
        self._lock = threading.Lock()
        # Told of each use: what for, and how many seconds it took; None where it failed.
        self.on_use: Callable[[str, float | None], None] = lambda _work, _seconds: None

    def _prepare_late(self) -> None:
        """By one thread, while the others are told that the database is down."""
        if not self._preparing.acquire(blocking=False):
            raise DatabaseDownError("starting")
        try:
            if not self.is_prepared:
                self._prepare()
                self.is_prepared = True
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
