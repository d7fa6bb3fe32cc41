"""Log lines into the tables that every figure is computed from.

DuckDB reads the files in one pass, however large they are, and spills to disk what memory does not
hold. A line is never trusted: one that is no event of ours is counted and left.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from services.reports.duckdb_tools import detect_compression, limit_connection
from services.reports.tables import CREATE_TABLES, DROP_TABLES, LINE_SHAPE, UNWRAP_QUERY

MEMORY_LIMIT = "512MB"  # what is more goes to disk
MAX_LINE_BYTES = 4 * 1024 * 1024
POLL_SECONDS = 0.1  # between two looks at how far a file is read

ProgressCallback = Callable[[float], None]  # told the part that is read, 0 to 1


class UnreadableLogError(Exception):
    """A file that cannot be read. Says which and why, never what stands in it."""


@dataclass(frozen=True, slots=True)
class ReportWindow:
    """What a report is about; None is no limit. Days are UTC's; both are in it.

    A topic is of cards, what was withheld and what was answered; calls have none.
    """

    since: date | None = None
    until: date | None = None
    tenant: str | None = None
    service: str | None = None
    topic: str | None = None

    def as_variables(self) -> dict[str, object]:
        after = None if self.until is None else self.until + timedelta(days=1)
        return {
            "since": self.since,
            "before": after,
            "tenant": self.tenant,
            "service": self.service,
            "topic": self.topic,
        }


@contextmanager
def open_events(
    files: Iterable[str],
    window: ReportWindow,
    reasons: Iterable[str] | None = None,
    progress: ProgressCallback = lambda _part: None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of the files' events, gone afterwards. "-" is standard input.

    `reasons` are the override reasons that may be named; None where the lines were made by a
    service, which names no others. Raises UnreadableLogError.
    """
    with TemporaryDirectory(prefix="cobalamin-report-") as temporary:
        folder = Path(temporary)
        paths = [_keep_copy(file, folder) for file in _remove_repeats(files)]
        with duckdb.connect(folder / "report.duckdb") as connection:
            _configure_engine(connection, folder)
            _read_files(connection, paths, folder / "file", progress)
            _create_tables(connection, window, reasons)
            yield connection


def _configure_engine(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    limit_connection(connection, folder, MEMORY_LIMIT)
    connection.execute("SET enable_progress_bar = true")  # else there is no query_progress()
    connection.execute("SET enable_progress_bar_print = false")


def _remove_repeats(files: Iterable[str]) -> Iterable[str]:
    """Each file once, however often and by whatever path it is named."""
    return {file if file == "-" else os.path.realpath(file): file for file in files}.values()


def _keep_copy(file: str, folder: Path) -> Path:
    """A file that can be read twice: standard input and pipes are kept until the report is made."""
    path = Path(file)
    if file != "-" and not path.is_fifo():
        return path
    copy_path = folder / f"kept-{len(list(folder.iterdir()))}"
    with copy_path.open("wb") as copy:
        if file == "-":
            shutil.copyfileobj(sys.stdin.buffer, copy)
        else:
            with path.open("rb") as pipe:
                shutil.copyfileobj(pipe, copy)
    return copy_path


def _find_compression(path: Path) -> str:
    """As the engine calls it."""
    try:
        return detect_compression(path) or "none"
    except OSError as error:
        raise UnreadableLogError(f"{path}: {error.strerror}") from None


def _read_files(
    connection: duckdb.DuckDBPyConnection,
    paths: list[Path],
    alias: Path,
    progress: ProgressCallback,
) -> None:
    compressions = [_find_compression(path) for path in paths]
    sizes = [path.stat().st_size for path in paths]
    total, bytes_read = max(sum(sizes), 1), 0
    connection.execute(f"CREATE TABLE line (read STRUCT({LINE_SHAPE}), moment TIMESTAMP)")
    connection.execute("CREATE TABLE unread (lines BIGINT)")
    with ThreadPoolExecutor(1) as threads:
        for path, compression, size in zip(paths, compressions, sizes, strict=True):
            # To the engine, a name may be a pattern of names, or an address.
            alias.unlink(missing_ok=True)
            alias.symlink_to(path.resolve())
            reading = threads.submit(_read_file, connection, alias, path, compression)
            for part in _track_reading(connection, reading):
                progress((bytes_read + part * size) / total)
            bytes_read += size
            progress(bytes_read / total)


def _track_reading(
    connection: duckdb.DuckDBPyConnection, reading: "Future[None]"
) -> Iterator[float]:
    """How much of a file is read, until it is."""
    while True:
        try:
            reading.result(timeout=POLL_SECONDS)
        except TimeoutError:
            yield min(max(connection.query_progress(), 0.0) / 100, 1.0)
        except KeyboardInterrupt:
            connection.interrupt()
            raise
        else:
            return


def _read_file(
    connection: duckdb.DuckDBPyConnection, alias: Path, path: Path, compression: str
) -> None:
    # A line is one column: no separator is in it, nothing quotes, and what is no UTF-8 is left.
    lines = f"""
        read_csv($path, columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false,
            delim = '\x1f', quote = '', escape = '', strict_mode = false,
            compression = '{compression}', max_line_size = {MAX_LINE_BYTES},
            ignore_errors = true, store_rejects = true, rejects_table = 'reject',
            rejects_scan = 'reject_scan', rejects_limit = 0)
    """
    try:
        connection.execute(
            f"INSERT INTO line {UNWRAP_QUERY.format(lines=lines)}", {"path": str(alias)}
        )
        connection.execute(
            "INSERT INTO unread SELECT count(DISTINCT (scan_id, file_id, line)) FROM reject"
        )
        connection.execute("DROP TABLE reject")
        connection.execute("DROP TABLE reject_scan")
    except duckdb.Error as error:
        raise UnreadableLogError(f"{path}: {type(error).__name__}") from None


def _create_tables(
    connection: duckdb.DuckDBPyConnection, window: ReportWindow, reasons: Iterable[str] | None
) -> None:
    """One table for each kind of event, of what lies in the window."""
    known_reasons = None if reasons is None else sorted(reasons)
    for name, value in {**window.as_variables(), "reasons": known_reasons}.items():
        connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
    for statement in CREATE_TABLES:
        connection.execute(statement)
    for statement in DROP_TABLES:
        connection.execute(statement)
