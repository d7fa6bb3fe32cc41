"""What was decided, shown and answered: kept before the answer leaves, never by a patient's name.

SQLite by default, PostgreSQL by URL.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, Table, bindparam, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import SQLAlchemyError

from cds_hooks.database import WAIT_SECONDS, RecordsUnavailable, connect, sqlite_file, writing
from cds_hooks.feedback import Feedback
from cds_hooks.memory import PastCard
from cds_hooks.migrations import migrate
from cds_hooks.patient_hash import key_for_database, patient_hash
from cds_hooks.tables import card, decision, feedback

__all__ = ["Records", "RecordsUnavailable", "StoredCard", "StoredDecision"]

SEAL_BYTES = 8
MOST_REMEMBERED = 50  # rows of one patient's past with one topic
# Members of a service's record that are columns, because reports group by them.
COLUMNS = {
    "b12Category": "b12_category",
    "sarcopeniaCategory": "sarcopenia_category",
    "tier": "tier",
}


@dataclass(frozen=True, slots=True)
class StoredCard:
    uuid: str
    topic: str | None
    indicator: str
    suggestions: tuple[str, ...]  # uuids
    topic_system: str | None = None
    rests_on: frozenset[str] = frozenset()  # marks, sealed before they are kept


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One call that was answered."""

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
    record: Mapping[str, Any]  # what a service says of its decision
    cards: tuple[StoredCard, ...]
    prefetch: Mapping[str, int] | None = None  # keys supplied, fetched, failed
    status: int = 200


class Records:
    """One for each process; safe for its threads, and for a process forked from it."""

    def __init__(self, engine: Engine, key: bytes) -> None:
        self._engine = engine
        self._key = key
        self._decision = _Insert(decision, engine)
        self._card = _Insert(card, engine)
        self._past = _Past(engine)
        self._database_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._process = os.getpid()
        self._turn = threading.Lock()

    @classmethod
    def open(cls, url: str, key_file: Path | None = None) -> "Records":
        """Opens the database and migrates it to the newest schema.

        Raises ConfigurationFault for the key, RecordsUnavailable for the database.
        """
        file = sqlite_file(url)
        key = key_for_database(file, key_file)
        engine = connect(url)
        with ExitStack() as undo:
            undo.callback(engine.dispose)
            try:
                if file is not None:
                    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                migrate(engine)
            except (SQLAlchemyError, OSError) as fault:
                raise RecordsUnavailable(_kind(fault)) from fault
            undo.pop_all()
        return cls(engine, key)

    def close(self) -> None:
        self._engine.dispose()

    def check(self) -> None:
        """Raises RecordsUnavailable where the database does not answer."""
        with self._guarded(), self._engine.connect() as connection:
            connection.execute(select(decision.c.id).limit(1)).first()

    def patient_hash(self, tenant: str, identifier: str) -> str:
        """What stands for a patient, or an encounter, of `tenant`."""
        return patient_hash(self._key, tenant, identifier)

    def store(self, stored: StoredDecision) -> None:
        """Keeps a decision and its cards, all or nothing. Raises RecordsUnavailable."""
        row = self._decision.bind(self._decision_row(stored))
        cards = [
            self._card.bind(
                _card_row(stored.id, shown)
                | {"rests_on": sorted(self.seal(stored.tenant, m) for m in shown.rests_on)}
            )
            for shown in stored.cards
        ]
        with self._guarded(), self._transaction() as cursor:
            cursor.execute(self._decision.sql, row)
            if cards:
                cursor.executemany(self._card.sql, cards)

    def _decision_row(self, stored: StoredDecision) -> dict[str, Any]:
        encounter = stored.encounter_id
        return {
            "id": stored.id,
            "at": stored.at,
            "tenant": stored.tenant,
            "service": stored.service,
            "hook": stored.hook,
            "hook_instance": stored.hook_instance,
            "patient_hash": self.patient_hash(stored.tenant, stored.patient_id),
            "encounter_hash": self.patient_hash(stored.tenant, encounter) if encounter else None,
            "version": stored.version,
            "status": stored.status,
            "duration_ms": stored.duration_ms,
            **{column: stored.record.get(name) for name, column in COLUMNS.items()},
            "prefetch": stored.prefetch or {},
            "record": {n: value for n, value in stored.record.items() if n not in COLUMNS},
        }

    def past_cards(self, values: Mapping[str, Any]) -> list["_PastRow"]:
        """Rows of PAST. Raises RecordsUnavailable."""
        self._after_fork()
        with self._guarded():
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(self._past.sql, self._past.bind(values))
                return [self._past.row(found) for found in cursor.fetchall()]
            finally:
                connection.close()

    def memory(
        self, tenant: str, patient_id: str, encounter_id: str | None, now: datetime
    ) -> "PatientMemory":
        """What was shown for this patient; nothing is read before it is asked for."""
        return PatientMemory(self, tenant, patient_id, encounter_id, now)

    def seal(self, tenant: str, mark: str) -> str:
        """A mark of evidence names resources: what is kept is a keyed hash of it."""
        keyed = blake2b(f"{tenant}\0{mark}".encode(), key=self._key[:64], digest_size=SEAL_BYTES)
        return keyed.hexdigest()

    def store_feedback(
        self, service: str, items: Iterable[Feedback], now: datetime | None = None
    ) -> int:
        """Keeps what is new of `items`; says how many were. Raises RecordsUnavailable."""
        received = now or datetime.now(UTC)
        rows = [_feedback_row(service, item, received) for item in items]
        if not rows:
            return 0
        dialect = postgresql_insert if self._engine.name == "postgresql" else sqlite_insert
        with self._guarded(), self._in_turn(), writing(self._engine).begin() as connection:
            named = select(card.c.uuid).where(card.c.uuid.in_({row["card"] for row in rows}))
            known = set(connection.execute(named).scalars())
            for row in rows:
                row["known_card"] = row["card"] in known
            new = dialect(feedback).on_conflict_do_nothing().returning(feedback.c.id)
            return len(connection.execute(new, rows).all())

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """A driver's cursor in a transaction: SQLAlchemy's own execution costs as much again as
        all the rest of a call's record.
        """
        with self._in_turn():
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                if self._engine.name == "sqlite":
                    cursor.execute("BEGIN IMMEDIATE")
                yield cursor
                connection.commit()
            finally:
                connection.close()  # back to the pool, which rolls back what was not committed

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """SQLite has one writer at a time; who waits here is woken at once, who waits there sleeps.

        A process forked from this one starts with connections of its own.
        """
        self._after_fork()
        if self._engine.name != "sqlite":
            yield
            return
        if not self._turn.acquire(timeout=WAIT_SECONDS):
            raise RecordsUnavailable("locked")
        try:
            yield
        finally:
            self._turn.release()

    def _after_fork(self) -> None:
        """A process forked from this one starts with connections of its own."""
        if self._process != os.getpid():
            self._engine.dispose(close=False)
            self._process, self._turn = os.getpid(), threading.Lock()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, self._database_error) as fault:
            raise RecordsUnavailable(_kind(fault)) from None


@dataclass(frozen=True, slots=True)
class PatientMemory:
    """The past of one patient, read from the records when a decision asks for it."""

    records: Records
    tenant: str
    patient_id: str
    encounter_id: str | None
    now: datetime

    def past(self, days: int, topics: tuple[str, str]) -> tuple[PastCard, ...]:
        """Cards of these topics of the last `days` days, newest first.

        Raises RecordsUnavailable.
        """
        encounter = (
            self.records.patient_hash(self.tenant, self.encounter_id) if self.encounter_id else None
        )
        values = {
            "patient": self.records.patient_hash(self.tenant, self.patient_id),
            "tenant": self.tenant,
            "since": self.now - timedelta(days=days),
            "topic": topics[0],
            "other": topics[1],
        }
        return tuple(_past_card(row, encounter) for row in self.records.past_cards(values))

    def seal(self, mark: str) -> str:
        return self.records.seal(self.tenant, mark)


class _PastRow(NamedTuple):
    topic: str | None
    indicator: str
    rests_on: list[str] | None
    at: datetime
    encounter_hash: str | None
    outcome: str | None
    reason_code: str | None
    outcome_at: datetime | None
    received_at: datetime | None


class _Past:
    """The query PAST compiled once, and how the driver's values become ours."""

    def __init__(self, engine: Engine) -> None:
        dialect = engine.dialect
        compiled = PAST.compile(engine)
        self.sql = str(compiled)
        self._names = compiled.positiontup
        # The limit, and on SQLite the offset that comes with it.
        self._limit = {n: v for n, v in compiled.params.items() if n.startswith("param")}
        self._since = decision.c.at.type.dialect_impl(dialect).bind_processor(dialect)
        self._read = [
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in PAST.selected_columns
        ]

    def bind(self, values: Mapping[str, Any]) -> Sequence[Any] | dict[str, Any]:
        since = self._since(values["since"]) if self._since else values["since"]
        bound = {**values, **self._limit, "since": since}
        return tuple(bound[name] for name in self._names) if self._names else bound

    def row(self, found: Sequence[Any]) -> _PastRow:
        values = (to(v) if to else v for to, v in zip(self._read, found, strict=True))
        return _PastRow._make(values)


def _past_card(row: _PastRow, encounter: str | None) -> PastCard:
    answered = row.outcome_at
    if answered is not None and row.received_at is not None:
        answered = min(answered, row.received_at)  # a client's clock may be ahead of ours
    return PastCard(
        topic=row.topic or "",
        indicator=row.indicator,
        shown_at=row.at,
        same_encounter=encounter is not None and row.encounter_hash == encounter,
        rests_on=frozenset(row.rests_on or ()),
        answered_at=answered,
        outcome=row.outcome,
        reason=row.reason_code or None,
    )


# Cards of one patient since a day, one row for each answer to them; the last answers suffice.
PAST = (
    select(
        card.c.topic,
        card.c.indicator,
        card.c.rests_on,
        decision.c.at,
        decision.c.encounter_hash,
        feedback.c.outcome,
        feedback.c.reason_code,
        feedback.c.outcome_at,
        feedback.c.received_at,
    )
    .select_from(
        decision.join(card, card.c.decision == decision.c.id).outerjoin(
            feedback, feedback.c.card == card.c.uuid
        )
    )
    .where(
        decision.c.patient_hash == bindparam("patient"),
        decision.c.tenant == bindparam("tenant"),
        decision.c.at >= bindparam("since"),
        or_(card.c.topic == bindparam("topic"), card.c.topic == bindparam("other")),
    )
    .order_by(decision.c.at.desc(), feedback.c.outcome_at.desc())
    .limit(MOST_REMEMBERED)
)


class _Insert:
    """An insert that is compiled once, and how values become the driver's."""

    def __init__(self, table: Table, engine: Engine) -> None:
        compiled = insert(table).compile(engine)
        self.sql = str(compiled)
        self._positional = compiled.positional
        dialect = engine.dialect
        self._columns = [
            (column.name, column.type.dialect_impl(dialect).bind_processor(dialect))
            for column in table.columns
        ]

    def bind(self, row: Mapping[str, Any]) -> Sequence[Any] | dict[str, Any]:
        bound = {name: to(row[name]) if to else row[name] for name, to in self._columns}
        return tuple(bound.values()) if self._positional else bound


def _card_row(decision_id: str, shown: StoredCard) -> dict[str, Any]:
    return {
        "uuid": shown.uuid,
        "decision": decision_id,
        "topic_system": shown.topic_system,
        "topic": shown.topic,
        "indicator": shown.indicator,
        "suggestions": shown.suggestions,
    }


def _feedback_row(service: str, item: Feedback, received: datetime) -> dict[str, Any]:
    return {
        "card": _storable(item.card),
        "service": service,
        "outcome": item.outcome,
        "accepted": [_storable(uuid) for uuid in item.accepted],
        "reason_system": _storable(item.reason_system or ""),
        "reason_code": _storable(item.reason_code or ""),
        "had_comment": item.had_comment,
        "outcome_at": item.at,
        "received_at": received,
    }


def _storable(given: str) -> str:
    """PostgreSQL's text has no NUL, which JSON allows."""
    return given.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _kind(fault: Exception) -> str:
    """The kind of a database fault; its message may quote the row."""
    return type(getattr(fault, "orig", None) or fault).__name__
