"""The embedded database that figures are computed in."""

from pathlib import Path

import duckdb


def bounded(connection: duckdb.DuckDBPyConnection, folder: Path, memory: str) -> None:
    """Keeps `connection` within `memory`: what is more goes to `folder`. It fetches nothing."""
    connection.execute(f"SET memory_limit = '{memory}'")
    connection.execute("SET temp_directory = $folder", {"folder": str(folder)})
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
