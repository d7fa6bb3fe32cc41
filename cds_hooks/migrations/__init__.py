"""Versions of the schema, applied when the records are opened."""

from pathlib import Path

import alembic.command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from cds_hooks.database import RecordsUnavailable, writing

LOCK = 5121212  # any number: on PostgreSQL, whoever holds it migrates


def migrate(engine: Engine, target: str = "head") -> None:
    """Brings the schema to `target`, one process at a time.

    Raises RecordsUnavailable for a schema that a newer version of the service has made.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    script = ScriptDirectory.from_config(config)
    # On SQLite the transaction itself is the lock; both databases undo half a migration.
    with writing(engine).begin() as connection:
        if engine.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = '60s'"))  # another migrates
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        current = _current(connection, script)
        config.attributes["connection"] = connection
        if target == "head":
            if current != script.get_current_head():
                alembic.command.upgrade(config, target)
        else:
            alembic.command.downgrade(config, target)


def _current(connection: Connection, script: ScriptDirectory) -> str | None:
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in {r.revision for r in script.walk_revisions()}:
        raise RecordsUnavailable(f"the schema {current} is newer than this version of the service")
    return current
