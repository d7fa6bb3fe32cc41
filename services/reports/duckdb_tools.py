"""DuckDB: memory limits, quoting, and the compression of a file by how it begins."""

from pathlib import Path

import duckdb


def limit_connection(connection: duckdb.DuckDBPyConnection, folder: Path, memory: str) -> None:
    """Keeps `connection` within `memory`: what is more goes to `folder`. It fetches nothing."""
    connection.execute(f"SET memory_limit = '{memory}'")
    connection.execute("SET temp_directory = $folder", {"folder": str(folder)})
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")


def quote_text(text: object) -> str:
    """Text for a statement that takes no parameters."""
    return "'" + str(text).replace("'", "''") + "'"


def quote_identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def fetch_number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number that `query` answers with."""
    row = connection.execute(query).fetchone()
    return int(row[0]) if row is not None else 0


MAGIC_NUMBERS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def detect_compression(file: Path) -> str | None:
    """ "gzip" or "zstd"; None for neither. Raises OSError."""
    with file.open("rb") as stream:
        begins = stream.read(4)
    return next((name for magic, name in MAGIC_NUMBERS.items() if begins.startswith(magic)), None)
