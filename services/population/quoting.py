"""Texts and names inside statements, and numbers out of answers."""

import duckdb


def quoted(text: object) -> str:
    """Text for a statement that takes no parameters."""
    return "'" + str(text).replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number that `query` answers with."""
    found = connection.execute(query).fetchone()
    return int(found[0]) if found is not None else 0
