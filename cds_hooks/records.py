"""What was decided, shown and answered: kept before the answer leaves, never by a patient's name.

SQLite by default, PostgreSQL by URL. A patient is a keyed hash: without the key file, nobody can
go from a record to a patient or test a guess.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import alembic.command
import orjson
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, Table, create_engine, event, insert, select, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from cds_hooks.feedback import Feedback
from cds_hooks.tables import card, decision, feedback

MIGRATIONS = Path(__file__).parent / "migrations"
KEY_BYTES = 32
Kept = TypeVar("Kept")
MIGRATION_LOCK = 5121212  # any number: one migration at a time on PostgreSQL


class RecordsUnavailable(Exception):
    """The database cannot be used. Says what kind of fault, never what was being written."""


@dataclass(frozen=True, slots=True)
class StoredCard:
    uuid: str
    topic: str | None
    indicator: str
    suggestions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One call that was answered with 200."""

    id: str
    at: datetime
    tenant: str
    service: str
    hook: str
    hook_instance: str
    patient_id: str
    encounter_id: str | None
    version: str
    duration_ms: float
    record: Mapping[str, Any]
    cards: tuple[StoredCard, ...]


class Records:
    """One for each process."""

    def __init__(self, engine: Engine, key: bytes) -> None:
        self._engine = engine
        self._key = key
        self._insert_decision = str(insert(decision).compile(engine))
        self._insert_card = str(insert(card).compile(engine))
        # SQLite has one writer: threads of one process queue here, awake at once when their turn
        # comes, instead of sleeping in SQLite's own retries.
        self._turn: contextlib.AbstractContextManager[object] = (
            threading.Lock() if engine.name == "sqlite" else contextlib.nullcontext()
        )

    @classmethod
    def open(cls, url: str, key_file: Path) -> "Records":
        """Opens, and migrates to the newest schema. Raises RecordsUnavailable."""
        engine = None
        try:
            engine = _engine(url)
            migrate(engine)
            return cls(engine, read_key(key_file))
        except (SQLAlchemyError, OSError, RecordsUnavailable) as fault:
            if engine is not None:
                engine.dispose()
            if isinstance(fault, RecordsUnavailable):
                raise
            raise RecordsUnavailable(_kind(fault)) from fault

    def close(self) -> None:
        self._engine.dispose()

    def check(self) -> None:
        """Raises RecordsUnavailable where the database does not answer."""
        self._guarded(lambda: self._scalar(select(1)))

    def patient_hash(self, tenant: str, identifier: str) -> str:
        """A keyed hash: the same patient, tenant and key give the same 64 characters."""
        message = f"{tenant}\x00{identifier}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()

    def store(self, stored: StoredDecision) -> None:
        """Keeps a decision and its cards, all or nothing. Raises RecordsUnavailable."""
        row = {
            "id": stored.id,
            "at": stored.at,
            "tenant": stored.tenant,
            "service": stored.service,
            "hook": stored.hook,
            "hook_instance": stored.hook_instance,
            "patient_hash": self.patient_hash(stored.tenant, stored.patient_id),
            "encounter_hash": self.patient_hash(stored.tenant, stored.encounter_id)
            if stored.encounter_id
            else None,
            "version": stored.version,
            "duration_ms": stored.duration_ms,
            "record": dict(stored.record),
        }
        cards = [
            {
                "uuid": shown.uuid,
                "decision": stored.id,
                "topic": shown.topic,
                "indicator": shown.indicator,
                "suggestions": list(shown.suggestions),
            }
            for shown in stored.cards
        ]
        self._guarded(lambda: self._write(row, cards))

    def _write(self, row: Mapping[str, Any], cards: Sequence[Mapping[str, Any]]) -> None:
        with self._turn, self._engine.begin() as connection:
            connection.exec_driver_sql(self._insert_decision, self._bound(decision, [row])[0])
            if cards:
                connection.exec_driver_sql(self._insert_card, self._bound(card, cards))

    def _bound(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """`rows` as the driver takes them: JSON as text, in SQLite times as text and by position.

        These two statements run in every call; bound here, they cost half of what SQLAlchemy's
        own binding does.
        """
        plain = [{name: _driver_value(value) for name, value in row.items()} for row in rows]
        if self._engine.name != "sqlite":
            return plain
        names = [column.name for column in table.columns]
        return [tuple(_sqlite_value(row[name]) for name in names) for row in plain]

    def store_feedback(self, service: str, items: Iterable[Feedback]) -> int:
        """Keeps what is new of `items`; says how many were. Raises RecordsUnavailable."""
        return self._guarded(lambda: self._write_feedback(service, tuple(items)))

    def _write_feedback(self, service: str, items: Sequence[Feedback]) -> int:
        dialect = postgresql_insert if self._engine.name == "postgresql" else sqlite_insert
        received = datetime.now(UTC)
        new = 0
        with self._turn, self._engine.begin() as connection:
            uuids = {item.card for item in items}
            known = set(
                connection.execute(select(card.c.uuid).where(card.c.uuid.in_(uuids))).scalars()
            )
            for item in items:
                row = {
                    "card": item.card,
                    "service": service,
                    "known_card": item.card in known,
                    "outcome": item.outcome,
                    "accepted": list(item.accepted),
                    "reason_system": item.reason_system or "",
                    "reason_code": item.reason_code or "",
                    "had_comment": item.had_comment,
                    "outcome_at": item.at,
                    "received_at": received,
                }
                statement = dialect(feedback).values(row).on_conflict_do_nothing()
                kept = connection.execute(statement.returning(feedback.c.id))
                new += len(kept.all())
        return new

    def _scalar(self, statement: Any) -> Any:
        with self._engine.connect() as connection:
            return connection.execute(statement).scalar()

    def _guarded(self, work: Callable[[], Kept]) -> Kept:
        try:
            return work()
        except SQLAlchemyError as fault:
            raise RecordsUnavailable(_kind(fault)) from None


def _driver_value(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value


def _sqlite_value(value: Any) -> Any:
    """A time as SQLAlchemy's DateTime keeps it in SQLite."""
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value


def _kind(fault: Exception) -> str:
    """The kind of a database fault; its message may quote the row."""
    inner = getattr(fault, "orig", None)
    return type(inner or fault).__name__


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername.startswith("sqlite") and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(
        parsed,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        pool_size=16,
        max_overflow=16,
        **({} if parsed.drivername.startswith("sqlite") else {"pool_pre_ping": True}),
    )
    if engine.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """WAL lets readers and one writer work side by side.

    synchronous=NORMAL: a killed process loses nothing that was committed; a loss of power can lose
    the last commits but cannot corrupt. Sites that must not lose those use PostgreSQL.
    """
    connection.isolation_level = "IMMEDIATE"  # a writer waits at its start, never in its middle
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 5000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def migrate(engine: Engine, target: str = "head") -> None:
    """Brings the schema to `target`, one process at a time.

    Raises RecordsUnavailable for a schema that a newer version of the service has made.
    """
    config = alembic_config()
    script = ScriptDirectory.from_config(config)
    with engine.begin() as connection:
        if engine.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK}
            )
        current = MigrationContext.configure(connection).get_current_revision()
        known = {revision.revision for revision in script.walk_revisions()}
        if current is not None and current not in known:
            raise RecordsUnavailable(f"the schema {current} is newer than this version knows")
        if target == "head" and current == script.get_current_head():
            return
        config.attributes["connection"] = connection
        if target == "head":
            alembic.command.upgrade(config, target)
        else:
            alembic.command.downgrade(config, target)


def read_key(path: Path) -> bytes:
    """The key of the patient hash; made where there is none. Raises RecordsUnavailable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make_key(path)
        return _existing_key(path)
    except OSError as fault:
        raise RecordsUnavailable(f"key file: {fault.strerror}") from None


def _make_key(path: Path) -> None:
    """Puts a whole new key in place at once; where another process was first, its key stays."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _existing_key(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise RecordsUnavailable("key file: readable by others than its owner")
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise RecordsUnavailable(f"key file: shorter than {KEY_BYTES} bytes")
    return key
