"""Keep records in a folder while the database is down.

One file for each record, whole or not there: written beside, flushed to the disk, then renamed.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from cds_hooks.config.settings import ConfigurationError, ConfigurationProblem
from cds_hooks.records.database import (
    DatabaseDownError,
    RecordRejectedError,
    RecordsUnavailableError,
)
from cds_hooks.records.transactions import Transactions

RECORD_SUFFIX = ".json"
DRAFT_SUFFIX = ".draft"
BROKEN_SUFFIX = ".broken"  # what cannot be brought in stays, for somebody to look at
DRAFT_SECONDS = 3600  # what is older was begun by a process that is gone
TOKEN_FOLDER = "used"  # folder of empty files, one for each token, in folders by the minute it ends  # noqa: S105  # a folder
LOCK_FILE = ".lock"
# With a spool, a database that failed is left to the maintenance: calls need not wait for it.
BACKOFF_SECONDS = 15
# What a file that is no record of ours makes of reading it.
BROKEN_RECORD_ERRORS = (RecordRejectedError, ValueError, TypeError, KeyError, AttributeError)


class DrainResult(NamedTuple):
    """How many records were stored, and how many unreadable files were set aside."""

    stored: int = 0
    broken: int = 0


class Spool:
    """A folder of this machine; its workers share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tokens = folder / TOKEN_FOLDER

    def prepare(self) -> None:
        """Raises OSError where the folder cannot be made or written."""
        self._tokens.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / LOCK_FILE).touch(0o600)
        probe = self.folder / f".{uuid4()}{DRAFT_SUFFIX}"
        probe.touch(0o600)
        probe.unlink()

    def write_record(self, record: dict[str, Any]) -> None:
        """Returns when `record` is on the disk. Raises OSError."""
        name = f"{time.time_ns():020}-{uuid4()}"  # their order is that of the calls
        draft, file = self.folder / f".{name}{DRAFT_SUFFIX}", self.folder / f"{name}{RECORD_SUFFIX}"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as written:
                written.write(orjson.dumps(record))
                written.flush()
                os.fsync(written.fileno())
            draft.rename(file)
            self._flush()
        except OSError:
            draft.unlink(missing_ok=True)
            file.unlink(missing_ok=True)
            raise

    def _flush(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def drain(self, take_in: Callable[[dict[str, Any]], bool]) -> DrainResult:
        """Gives each record that waits to `take_in`, the oldest first, in one process at a time.

        `take_in` says whether the record was new. A file goes when its record is in the database;
        a process that dies in between has it taken in again, which changes nothing. What is no
        record is set aside and holds up nobody. Raises what else `take_in` raises.
        """
        came = aside = 0
        with self._lock() as alone:
            for file in sorted(self.folder.glob(f"*{RECORD_SUFFIX}")) if alone else ():
                try:
                    came += take_in(_read_record(file))
                except FileNotFoundError:
                    continue  # somebody took it away
                except BROKEN_RECORD_ERRORS:
                    file.rename(file.with_suffix(BROKEN_SUFFIX))
                    aside += 1
                else:
                    file.unlink(missing_ok=True)
        return DrainResult(came, aside)

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        handle = os.open(self.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)  # which ends the lock, as the end of the process does

    def count_records(self) -> int:
        """How many records wait. Raises OSError."""
        with os.scandir(self.folder) as entries:
            return sum(entry.name.endswith(RECORD_SUFFIX) for entry in entries)

    def use_token(self, tenant: str, digest: str, until: datetime) -> bool:
        """Whether the token was not used before, by any process of this machine. Raises OSError."""
        file = self._tokens / _format_minute(until) / _name_token_file(tenant, digest)
        try:
            file.touch(0o600, exist_ok=False)
        except FileExistsError:
            return False
        except FileNotFoundError:  # the first that ends in this minute
            file.parent.mkdir(exist_ok=True, mode=0o700)
            return self.use_token(tenant, digest, until)
        return True

    def forget_tokens(self, before: datetime) -> None:
        """Forgets tokens that ended before `before`, and what was never written to its end."""
        for folder in self._tokens.iterdir():
            if folder.name < _format_minute(before):
                shutil.rmtree(folder, ignore_errors=True)
        for draft in self.folder.glob(f".*{DRAFT_SUFFIX}"):
            with suppress(FileNotFoundError):
                if draft.stat().st_mtime < time.time() - DRAFT_SECONDS:
                    draft.unlink()


def prepare_spool(folder: Path | None) -> Spool | None:
    if folder is None:
        return None
    spool = Spool(folder)
    try:
        spool.prepare()
    except OSError as fault:
        reason = f"cannot be written: {fault.strerror}"
        raise ConfigurationError(
            [ConfigurationProblem(str(folder), "records.spool", reason)]
        ) from None
    return spool


def _read_record(file: Path) -> dict[str, Any]:
    """Raises ValueError for what cannot be read."""
    try:
        record: dict[str, Any] = orjson.loads(file.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise ValueError(type(fault).__name__) from None
    return record


def _format_minute(at: datetime) -> str:
    return f"{int(at.timestamp() // 60):012}"


def _name_token_file(tenant: str, digest: str) -> str:
    return hashlib.blake2b(f"{tenant}\0{digest}".encode(), digest_size=24).hexdigest()


class SpoolFallback:
    """What to do while the database is down: write to the spool, where there is one."""

    def __init__(self, spool: Spool | None, transactions: Transactions) -> None:
        self.spool = spool
        self._transactions = transactions
        self._backoff_until = 0.0

    @contextmanager
    def back_off(self) -> Iterator[None]:
        """With a spool, no call waits for a database that another call found down just now.

        Raises RecordsUnavailableError.
        """
        if time.monotonic() < self._backoff_until:
            raise DatabaseDownError("resting")
        try:
            yield
        except RecordRejectedError:
            raise
        except RecordsUnavailableError:
            if self.spool is not None:
                self._backoff_until = time.monotonic() + BACKOFF_SECONDS
            raise

    def try_again(self) -> None:
        """Lets the next call try the database."""
        self._backoff_until = 0.0

    def write(self, record: dict[str, Any], error: RecordsUnavailableError) -> None:
        """Puts a record into the spool; raises `error` where there is none, or no use in it."""
        if self.spool is None or isinstance(error, RecordRejectedError):
            raise error
        with self._transactions.time_work("spool"):
            try:
                self.spool.write_record(record)
            except OSError as fault:
                raise RecordsUnavailableError(f"spool: {type(fault).__name__}") from None
