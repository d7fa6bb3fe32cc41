"""Rows to Parquet files, each whole or not there."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import orjson

from services.population.assessing import Written
from services.population.quoting import quoted
from services.population.rows import TABLES

MEMORY = "256MB"  # of the engine, in each process that writes
LONGEST_ROW = 1 << 26


def write_rows(written: Written, out: Path, number: int) -> None:
    """The rows of bucket `number`, a file in the folder of each table that has any.

    Rows stand in the order in which they were written, so that the same input gives the same files.
    """
    for table, lines in written.lines.items():
        if lines:
            _write(lines, TABLES[table], out / table / f"{number:05}.parquet")


def copy_rows(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str], file: Path) -> None:
    """A table of its own in one file."""
    _write(map(orjson.dumps, rows), columns, file)


def _write(lines: Iterable[bytes], columns: Mapping[str, str], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows, draft = file.with_suffix(".ndjson.part"), file.with_suffix(".parquet.part")
    rows.write_bytes(b"\n".join(lines) + b"\n")
    typed = ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in columns.items())
    with duckdb.connect(config={"threads": 1, "memory_limit": MEMORY}) as connection:
        connection.execute(
            f"""COPY (SELECT * FROM read_json(?, format = 'newline_delimited',
                    columns = {{{typed}}}, maximum_object_size = {LONGEST_ROW}))
                TO {quoted(draft)} (FORMAT parquet, COMPRESSION zstd)""",
            [str(rows)],
        )
    rows.unlink()
    publish(draft, file)


def publish(draft: Path, file: Path) -> None:
    """Gives a finished file its name: whoever finds it there finds it whole."""
    with draft.open("rb+") as written:
        os.fsync(written.fileno())
    draft.replace(file)
