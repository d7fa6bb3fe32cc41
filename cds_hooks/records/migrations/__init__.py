"""Migrate the schema of the records, with Alembic."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from cds_hooks.records.database import RecordsUnavailableError, get_writer

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

LOCK_ID = 5121212  # any number: on PostgreSQL, whoever holds it migrates


class UnknownRevisionError(ValueError):
    """There is no such version of the schema."""


def migrate(engine: Engine, target: str = "head") -> tuple[str | None, str | None]:
    """Brings the schema up or down to `target`, one process at a time: a revision, "head" or
    "base". Says from where and to where; None is a database without tables.

    Raises RecordsUnavailableError for a schema that a newer version of the service has made, and
    UnknownRevisionError.
    """
    # Large, and of no use to the commands that open no records.
    import alembic.command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    script = ScriptDirectory.from_config(config)
    # On SQLite the transaction itself is the lock; both databases undo half a migration.
    with get_writer(engine).begin() as connection:
        if engine.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = '60s'"))  # another migrates
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK_ID})
        current = _read_current(connection, script)
        config.attributes["connection"] = connection
        revision = _resolve_revision(script, target)
        if revision == current:
            return current, current
        older = {
            version.revision for version in script.iterate_revisions(current or "base", "base")
        }
        if revision is None or revision in older:
            alembic.command.downgrade(config, revision or "base")
        else:
            alembic.command.upgrade(config, revision)
        return current, revision


def _resolve_revision(script: "ScriptDirectory", target: str) -> str | None:
    """Raises UnknownRevisionError."""
    if target == "base":
        return None
    if target == "head":
        return script.get_current_head()
    revisions = [version.revision for version in script.walk_revisions()]
    if target not in revisions:
        choices = ", ".join(["base", *sorted(revisions)])
        raise UnknownRevisionError(f"no such revision; there are: {choices}")
    return target


def _read_current(connection: Connection, script: "ScriptDirectory") -> str | None:
    from alembic.migration import MigrationContext  # noqa: PLC0415

    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in {r.revision for r in script.walk_revisions()}:
        raise RecordsUnavailableError(
            f"the schema {current} is newer than this version of the service"
        )
    return current
