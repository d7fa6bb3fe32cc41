"""Making a database fit for use: its schema, its keys, the folder beside it."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from cds_hooks.config.settings import ConfigurationError, ConfigurationProblem
from cds_hooks.records.database import (
    DatabaseDownError,
    RecordsUnavailableError,
    get_error_type,
    get_sqlite_file,
    get_writer,
)
from cds_hooks.records.keyring import Keyring
from cds_hooks.records.migrations import migrate
from cds_hooks.records.prepared_sql import get_insert
from cds_hooks.records.spool import Spool
from cds_hooks.records.tables import key_used


def prepare_database(engine: Engine, ring: Keyring) -> None:
    """The newest schema, and every key that it needs.

    Raises ConfigurationFault and RecordsUnavailableError.
    """
    migrate_to("head", engine)
    try:
        _check_keys(engine, ring)
    except SQLAlchemyError as fault:
        raise _make_unavailable_error(fault, engine) from fault


def migrate_to(target: str, engine: Engine) -> tuple[str | None, str | None]:
    """Migrates the database, an SQLite file made first where it is missing.

    Returns and raises as `migrate` does, and RecordsUnavailableError for the database.
    """
    file = get_sqlite_file(str(engine.url))
    try:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch(0o600)
        return migrate(engine, target)
    except (SQLAlchemyError, OSError) as fault:
        raise _make_unavailable_error(fault, engine) from fault


def _make_unavailable_error(fault: Exception, engine: Engine) -> RecordsUnavailableError:
    is_down = isinstance(getattr(fault, "orig", None), engine.dialect.loaded_dbapi.OperationalError)
    return (DatabaseDownError if is_down else RecordsUnavailableError)(get_error_type(fault))


def _check_keys(engine: Engine, ring: Keyring) -> None:
    """Remembers the current key. Raises ConfigurationFault where one of the past is missing."""
    with get_writer(engine).begin() as connection:
        used = set(connection.execute(select(key_used.c.key_id)).scalars())
        missing = sorted(used - set(ring.ids))
        if missing:
            reason = (
                f"lacks the key {', '.join(missing)} that records here were written with: name "
                "its file here, or purge those records first"
            )
            raise ConfigurationError([ConfigurationProblem("", "records.old_key_files", reason)])
        row = {"key_id": ring.current_id, "since": datetime.now(UTC)}
        new = get_insert(engine)(key_used).values(row).on_conflict_do_nothing()
        connection.execute(new)


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
