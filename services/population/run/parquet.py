"""Write Parquet files, each whole or not there, in a folder that one run holds a lock on."""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import orjson

from services.population.rows import TABLES
from services.population.run.assess import BucketOutput
from services.reports.duckdb_tools import quote_text


@contextmanager
def lock_folder(folder: Path, name: str, error: Exception) -> Iterator[None]:
    """Hold the lock `name` in `folder`. Raises `error` where another process has it, OSError."""
    handle = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise error from None
        yield
    finally:
        os.close(handle)


MEMORY_LIMIT = "256MB"  # of the engine, in each process that writes
MAX_ROW_BYTES = 1 << 26


def write_rows(output: BucketOutput, out: Path, number: int) -> None:
    """Write the rows of bucket `number`: a file in the folder of each table that has any.

    Rows stand in the order in which they were written, so that the same input gives the same files.
    """
    for table, lines in output.lines.items():
        if lines:
            _write_parquet(lines, TABLES[table], out / table / f"{number:05}.parquet")


def write_table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str], file: Path) -> None:
    """Write a table into one Parquet file."""
    _write_parquet(map(orjson.dumps, rows), columns, file)


def _write_parquet(lines: Iterable[bytes], columns: Mapping[str, str], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows, draft = file.with_suffix(".ndjson.part"), file.with_suffix(".parquet.part")
    rows.write_bytes(b"\n".join(lines) + b"\n")
    typed = ", ".join(f"{quote_text(name)}: {quote_text(kind)}" for name, kind in columns.items())
    with duckdb.connect(config={"threads": 1, "memory_limit": MEMORY_LIMIT}) as connection:
        connection.execute(
            f"""COPY (SELECT * FROM read_json(?, format = 'newline_delimited',
                    columns = {{{typed}}}, maximum_object_size = {MAX_ROW_BYTES}))
                TO {quote_text(draft)} (FORMAT parquet, COMPRESSION zstd)""",
            [str(rows)],
        )
    rows.unlink()
    publish(draft, file)


def publish(draft: Path, file: Path) -> None:
    """Give a finished file its final name, after it is synced to disk."""
    with draft.open("rb+") as handle:
        os.fsync(handle.fileno())
    draft.replace(file)
