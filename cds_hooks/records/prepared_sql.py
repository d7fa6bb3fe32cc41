"""SQL compiled once at start and run by the driver.

SQLAlchemy's own execution costs as much again as all the rest of a call's record.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Select, Table
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

BoundParameters = Sequence[Any] | Mapping[str, Any]  # as the driver wants its parameters


def get_insert(engine: Engine) -> Any:
    """The `insert` that knows the conflicts of this database."""
    return postgresql_insert if engine.name == "postgresql" else sqlite_insert


class PreparedInsert:
    """One row into a table; with `once`, a row that is there already stays as it is."""

    def __init__(self, table: Table, engine: Engine, *, once: bool = False) -> None:
        statement = get_insert(engine)(table)
        compiled = (statement.on_conflict_do_nothing() if once else statement).compile(engine)
        self.sql = str(compiled)
        self._positional = compiled.positional
        dialect = engine.dialect
        self._columns = [
            (column.name, column.type.dialect_impl(dialect).bind_processor(dialect))
            for column in table.columns
        ]

    def bind(self, row: Mapping[str, Any]) -> BoundParameters:
        bound = {name: to(row[name]) if to else row[name] for name, to in self._columns}
        return tuple(bound.values()) if self._positional else bound

    def run(self, cursor: Any, row: Mapping[str, Any]) -> bool:
        """Whether the row is new."""
        cursor.execute(self.sql, self.bind(row))
        return bool(cursor.rowcount)

    def run_all(self, cursor: Any, rows: Iterable[Mapping[str, Any]]) -> None:
        bound = list(map(self.bind, rows))
        if bound:
            cursor.executemany(self.sql, bound)


class PreparedQuery:
    """A select with named parameters."""

    def __init__(self, statement: Select[Any], engine: Engine) -> None:
        dialect = engine.dialect
        compiled = statement.compile(engine)
        self.sql = str(compiled)
        self._names = compiled.positiontup
        # The limit, and on SQLite the offset that comes with it.
        self._fixed = {n: v for n, v in compiled.params.items() if n.startswith("param")}
        self._write = {
            name: to
            for name, parameter in compiled.binds.items()
            if (to := parameter.type.dialect_impl(dialect).bind_processor(dialect))
        }
        self._read = [
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in statement.selected_columns
        ]

    def fetch_rows(self, cursor: Any, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        bound = {
            name: self._write[name](value) if name in self._write else value
            for name, value in values.items()
        } | self._fixed
        cursor.execute(self.sql, tuple(map(bound.get, self._names)) if self._names else bound)
        return [
            tuple(to(v) if to else v for to, v in zip(self._read, row, strict=True))
            for row in cursor.fetchall()
        ]
