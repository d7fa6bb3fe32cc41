"""What was decided, shown and answered: kept before the answer leaves, never by a patient's name.

SQLite by default, PostgreSQL by URL. Each record is bound into its tenant's chain (audit.py) in the
transaction that keeps it. While the database is down, a site's policy says whether calls are
refused or records wait in a folder (spool.py).
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from cds_hooks.audit import Kept, bound
from cds_hooks.database import (
    WAIT_SECONDS,
    DatabaseDown,
    RecordRejected,
    RecordsUnavailable,
    connect,
    sqlite_file,
    writing,
)
from cds_hooks.feedback import Feedback
from cds_hooks.hook_request import UUID
from cds_hooks.migrations import migrate
from cds_hooks.past import PastRow, PatientMemory, past_query
from cds_hooks.patient_hash import Keyring, read_keyring
from cds_hooks.settings import ConfigurationFault, Fault
from cds_hooks.spool import Drained, Spool
from cds_hooks.statements import Insert, Query, insert_of
from cds_hooks.tables import audit, card, decision, feedback, key_used, seen_token

__all__ = ["Records", "RecordsUnavailable", "StoredCard", "StoredDecision"]

# Tokens are remembered a while longer than they are good: replicas' clocks differ.
REMEMBERED_LONGER = timedelta(hours=1)
# With a spool, a database that failed is left to the upkeep: calls need not wait for it.
REST_SECONDS = 15
# A replica that froze while it held a chain must not hold the others' for ever.
FROZEN_AFTER = "10s"
CHAIN_LOCK = (
    "SELECT set_config('idle_in_transaction_session_timeout', %s, true), pg_advisory_xact_lock(%s)"
)
# Members of a service's record that are columns, because reports group by them.
COLUMNS = {
    "b12Category": "b12_category",
    "sarcopeniaCategory": "sarcopenia_category",
    "tier": "tier",
}
LAST = (
    select(audit.c.seq, audit.c.link)
    .where(audit.c.tenant == bindparam("tenant"))
    .order_by(audit.c.seq.desc())
    .limit(1)
)


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

    def __init__(self, engine: Engine, ring: Keyring, spool: Spool | None = None) -> None:
        self.engine = engine
        self.ring = ring
        self.spool = spool
        self._decision = Insert(decision, engine)
        self._card = Insert(card, engine)
        self._audit = Insert(audit, engine)
        self._seen = Insert(seen_token, engine, once=True)
        self._last = Query(LAST, engine)
        self._past = Query(past_query(len(ring.ids)), engine)
        driver = engine.dialect.loaded_dbapi
        self._database_error: type[Exception] = driver.Error
        self._rejections: tuple[type[Exception], ...] = (driver.IntegrityError, driver.DataError)
        self._is_prepared = False
        self._preparing = threading.Lock()
        self._rests_until = 0.0
        self._process = os.getpid()
        self._turn = threading.Lock()
        # Told of each use: what for, and how many seconds it took; None where it failed.
        self.used: Callable[[str, float | None], None] = lambda _work, _seconds: None

    @classmethod
    def open(
        cls,
        url: str,
        key_file: Path | None = None,
        old_key_files: Iterable[Path] = (),
        spool: Path | None = None,
        *,
        patient: bool = False,
    ) -> "Records":
        """Opens the database and migrates it to the newest schema.

        Where it does not answer, `patient` leaves that until it does. Raises ConfigurationFault
        for keys and the spool, RecordsUnavailable for the database.
        """
        ring = read_keyring(sqlite_file(url), key_file, old_key_files)
        folder = _prepared(spool)
        engine = connect(url)
        with ExitStack() as undo:
            undo.callback(engine.dispose)
            records = cls(engine, ring, folder)
            try:
                records.prepare()
            except DatabaseDown:
                if not patient:
                    raise
            undo.pop_all()
        return records

    def prepare(self) -> None:
        """Brings the schema up to date. Raises ConfigurationFault and RecordsUnavailable."""
        bring_to("head", self.engine)
        try:
            _check_keys(self.engine, self.ring)
        except SQLAlchemyError as fault:
            raise _not_had(fault, self.engine) from fault
        self._is_prepared = True

    def _prepare_late(self) -> None:
        """By one thread, while the others are told that the database is down."""
        if not self._preparing.acquire(blocking=False):
            raise DatabaseDown("starting")
        try:
            if not self._is_prepared:
                self.prepare()
        except ConfigurationFault:
            raise RecordsUnavailable("keys") from None
        finally:
            self._preparing.release()

    def close(self) -> None:
        self.engine.dispose()

    def check(self) -> None:
        """Raises RecordsUnavailable where the database does not answer."""
        with self.guarded("check"), self.engine.connect() as connection:
            connection.execute(select(decision.c.id).limit(1)).first()

    def patient_hash(self, tenant: str, identifier: str) -> str:
        """What stands for a patient, or an encounter, of `tenant`."""
        return self.ring.patient(tenant, identifier)

    def store(self, stored: StoredDecision) -> None:
        """Keeps a decision and its cards, all or nothing.

        Raises RecordsUnavailable where they are neither in the database nor in the spool.
        """
        row = self._decision_row(stored)
        cards = [self._card_row(stored, shown) for shown in stored.cards]
        try:
            with self._resting():
                self._insert_decision(row, cards)
        except RecordsUnavailable as fault:
            self._let_wait({"kind": "decision", "row": row, "cards": cards}, fault)

    def _insert_decision(self, row: Mapping[str, Any], cards: list[dict[str, Any]]) -> None:
        content = content_of(row, cards)
        with self._transaction() as cursor:
            cursor.execute(self._decision.sql, self._decision.bind(row))
            if cards:
                cursor.executemany(self._card.sql, list(map(self._card.bind, cards)))
            kept = Kept(row["at"], "decision", row["id"], content)
            self._bind(cursor, row["tenant"], [kept])

    def _bind(self, cursor: Any, tenant: str, kept: Iterable[Kept]) -> None:
        """Binds what this transaction keeps into the tenant's chain, one transaction at a time."""
        if self.engine.name == "postgresql":
            cursor.execute(CHAIN_LOCK, (FROZEN_AFTER, chain_lock(tenant)))
        found = self._last.rows(cursor, {"tenant": tenant})
        last = (found[0][0], found[0][1]) if found else None
        for entry in bound(self.ring, tenant, last, kept):
            cursor.execute(self._audit.sql, self._audit.bind(entry._asdict()))

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
            "key_id": self.ring.current_id,
        }

    def _card_row(self, stored: StoredDecision, shown: StoredCard) -> dict[str, Any]:
        return {
            "uuid": shown.uuid,
            "decision": stored.id,
            "topic_system": shown.topic_system,
            "topic": shown.topic,
            "indicator": shown.indicator,
            "suggestions": shown.suggestions,
            "rests_on": sorted(self.ring.seal(stored.tenant, mark) for mark in shown.rests_on),
        }

    def memory(
        self, tenant: str, patient_id: str, encounter_id: str | None, now: datetime
    ) -> PatientMemory:
        """What was shown for this patient."""
        return PatientMemory(self._read_past, self.ring, tenant, patient_id, encounter_id, now)

    def _read_past(self, values: Mapping[str, Any]) -> list[PastRow]:
        """Raises RecordsUnavailable; with a spool, nothing is known of the past meanwhile."""
        self._after_fork()
        try:
            with self._resting(), self.guarded("read"):
                connection = self.engine.raw_connection()
                try:
                    rows = self._past.rows(connection.cursor(), values)
                finally:
                    connection.close()
        except RecordsUnavailable:
            if self.spool is None:
                raise
            return []
        return list(map(PastRow._make, rows))

    def store_feedback(
        self,
        tenant: str,
        service: str,
        items: Iterable[Feedback],
        now: datetime | None = None,
        *,
        comments: bool = False,
    ) -> int:
        """Keeps what is new of `items`; says how many were, or went to the spool.

        Free text is kept encrypted with `comments`, and otherwise not at all. Raises
        RecordsUnavailable.
        """
        received = now or datetime.now(UTC)
        rows = [self._feedback_row(tenant, service, item, received, comments) for item in items]
        if not rows:
            return 0
        try:
            with self._resting():
                return self._insert_feedback(tenant, rows)
        except RecordsUnavailable as fault:
            self._let_wait({"kind": "feedback", "tenant": tenant, "rows": rows}, fault)
            return len(rows)

    def topics(self, tenant: str, cards: Iterable[str]) -> dict[str, str]:
        """What the cards that this tenant was shown are about. Raises RecordsUnavailable."""
        named = (
            select(card.c.uuid, card.c.topic)
            .join(decision, decision.c.id == card.c.decision)
            .where(card.c.uuid.in_(set(cards)), decision.c.tenant == tenant)
        )
        self._after_fork()
        with self.guarded("read"), self.engine.connect() as connection:
            return {uuid: topic or "" for uuid, topic in connection.execute(named)}

    @contextmanager
    def chained(self, tenant: str) -> Iterator[tuple[Connection, Callable[[Iterable[Kept]], None]]]:
        """A transaction, and what binds records that it keeps into the tenant's chain.

        Raises RecordsUnavailable.
        """
        with self.guarded(), self.in_turn(), writing(self.engine).begin() as connection:
            cursor: Any = connection.connection.cursor()
            yield connection, lambda kept: self._bind(cursor, tenant, kept)

    def _insert_feedback(self, tenant: str, rows: list[dict[str, Any]]) -> int:
        with self.chained(tenant) as (connection, bind):
            named = (
                select(card.c.uuid)
                .join(decision, decision.c.id == card.c.decision)
                .where(card.c.uuid.in_({row["card"] for row in rows}), decision.c.tenant == tenant)
            )
            known = set(connection.execute(named).scalars())
            for row in rows:
                row["known_card"] = row["card"] in known
            new = insert_of(self.engine)(feedback).on_conflict_do_nothing().returning(*feedback.c)
            kept = [
                Kept(row["received_at"], "feedback", str(row["id"]), dict(row))
                for row in connection.execute(new, rows).mappings().all()
            ]
            bind(kept)
            return len(kept)

    def _feedback_row(
        self, tenant: str, service: str, item: Feedback, received: datetime, comments: bool
    ) -> dict[str, Any]:
        keeps = comments and item.comment is not None
        return {
            "tenant": tenant,
            "card": self._id(tenant, item.card),
            "service": service,
            "outcome": item.outcome,
            "accepted": [self._id(tenant, uuid) for uuid in item.accepted],
            "reason_system": _storable(item.reason_system or ""),
            "reason_code": _storable(item.reason_code or ""),
            "had_comment": item.comment is not None,
            "comment": self.ring.encrypt(tenant, item.comment or "") if keeps else None,
            "outcome_at": item.at,
            "received_at": received,
        }

    def _id(self, tenant: str, given: str) -> str:
        """Ids that this service gave are UUIDs; what else a client sends may name a patient."""
        if UUID.fullmatch(given):
            return given.lower().removeprefix("urn:uuid:")
        return self.ring.seal(tenant, given)

    def use_token(self, tenant: str, digest: str, until: datetime) -> bool:
        """Whether a token was never used before, by any worker or replica; now it was.

        Raises RecordsUnavailable. A spool remembers for the workers of this machine, whether the
        database is down or not, and tells the other replicas when it is there again.
        """
        is_new_here = self._is_new_here(tenant, digest, until)
        if is_new_here is False:
            return False
        row = {"tenant": tenant, "digest": digest, "until": until}
        try:
            with self._resting():
                return self._insert_token(row)
        except RecordsUnavailable as fault:
            if is_new_here is None:
                raise
            self._let_wait({"kind": "token", "row": row}, fault)
            return True

    def _is_new_here(self, tenant: str, digest: str, until: datetime) -> bool | None:
        """None where the spool cannot tell."""
        if self.spool is None:
            return None
        try:
            return self.spool.use_once(tenant, digest, until)
        except OSError:
            return None

    def _insert_token(self, row: Mapping[str, Any]) -> bool:
        with self._transaction() as cursor:
            return self._seen.run(cursor, row)

    def tidy(self, now: datetime) -> Drained:
        """Brings what waits in the spool into the database and forgets tokens that are over.

        Raises RecordsUnavailable.
        """
        over = now - REMEMBERED_LONGER
        with self.guarded("tidy"), self.in_turn(), writing(self.engine).begin() as connection:
            connection.execute(seen_token.delete().where(seen_token.c.until < over))
        if self.spool is None:
            return Drained()
        self._rests_until = 0.0
        self.spool.forget(over)
        return self.spool.drain(self._take_in)

    def _take_in(self, record: dict[str, Any]) -> bool:
        """Keeps a record that waited; one that is there already stays as it is."""
        match record["kind"]:
            case "feedback":
                rows = [_with_moments(row, "outcome_at", "received_at") for row in record["rows"]]
                return self._insert_feedback(record["tenant"], rows) > 0
            case "token":
                self._insert_token(_with_moments(record["row"], "until"))
                return False
        row = _with_moments(record["row"], "at")
        try:
            self._insert_decision(row, record["cards"])
        except RecordRejected:
            # A connection that broke off at its end may have kept the record all the same.
            if not self._is_kept(row["id"]):
                raise
            return False
        return True

    def _is_kept(self, identifier: str) -> bool:
        with self.guarded(), self.engine.connect() as connection:
            found = connection.execute(select(decision.c.id).where(decision.c.id == identifier))
            return found.first() is not None

    def _let_wait(self, record: dict[str, Any], fault: RecordsUnavailable) -> None:
        """Puts a record into the spool; raises `fault` where there is none, or no use in it."""
        if self.spool is None or isinstance(fault, RecordRejected):
            raise fault
        with self._timed("spool"), _spooling():
            self.spool.keep(record)

    @contextmanager
    def _resting(self) -> Iterator[None]:
        """With a spool, no call waits for a database that another call found down just now."""
        if time.monotonic() < self._rests_until:
            raise DatabaseDown("resting")
        try:
            yield
        except RecordRejected:
            raise
        except RecordsUnavailable:
            if self.spool is not None:
                self._rests_until = time.monotonic() + REST_SECONDS
            raise

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """A driver's cursor in a transaction. Raises RecordsUnavailable."""
        with self.guarded(), self.in_turn():
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                if self.engine.name == "sqlite":
                    cursor.execute("BEGIN IMMEDIATE")
                yield cursor
                connection.commit()
            finally:
                connection.close()  # back to the pool, which rolls back what was not committed

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """SQLite has one writer at a time; who waits here is woken at once, who waits there sleeps.

        A process forked from this one starts with connections of its own.
        """
        self._after_fork()
        if self.engine.name != "sqlite":
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
            self.engine.dispose(close=False)
            self._process, self._turn = os.getpid(), threading.Lock()

    @contextmanager
    def guarded(self, work: str = "write") -> Iterator[None]:
        """Turns faults of the database into RecordsUnavailable, and times the work."""
        if not self._is_prepared:
            self._prepare_late()
        try:
            with self._timed(work):
                yield
        except (SQLAlchemyError, self._database_error) as fault:
            raise self._unavailable(fault) from None

    @contextmanager
    def _timed(self, work: str) -> Iterator[None]:
        began, is_done = time.perf_counter(), False
        try:
            yield
            is_done = True
        finally:
            self.used(work, time.perf_counter() - began if is_done else None)

    def _unavailable(self, fault: Exception) -> RecordsUnavailable:
        cause = getattr(fault, "orig", None) or fault
        never_sent = isinstance(fault, StatementError) and not isinstance(fault, DBAPIError)
        if never_sent or isinstance(cause, self._rejections):
            return RecordRejected(_kind(fault))
        return RecordsUnavailable(_kind(fault))


def bring_to(target: str, engine: Engine) -> tuple[str | None, str | None]:
    """Migrates the database, an SQLite file made first where it is missing.

    Returns and raises as `migrate` does, and RecordsUnavailable for the database.
    """
    file = sqlite_file(str(engine.url))
    try:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.touch(0o600)
        return migrate(engine, target)
    except (SQLAlchemyError, OSError) as fault:
        raise _not_had(fault, engine) from fault


def _not_had(fault: Exception, engine: Engine) -> RecordsUnavailable:
    is_down = isinstance(getattr(fault, "orig", None), engine.dialect.loaded_dbapi.OperationalError)
    return (DatabaseDown if is_down else RecordsUnavailable)(_kind(fault))


def content_of(row: Mapping[str, Any], cards: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What the chain binds of a decision: every column, and its cards in a steady order."""
    plain = [{str(name): value for name, value in one.items()} for one in cards]
    return {**row, "cards": sorted(plain, key=lambda one: str(one["uuid"]))}


def _check_keys(engine: Engine, ring: Keyring) -> None:
    """Remembers the current key. Raises ConfigurationFault where one of the past is missing."""
    with writing(engine).begin() as connection:
        used = set(connection.execute(select(key_used.c.key_id)).scalars())
        missing = sorted(used - set(ring.ids))
        if missing:
            reason = (
                f"lacks the key {', '.join(missing)} that records here were written with: name "
                "its file here, or purge those records first"
            )
            raise ConfigurationFault([Fault("", "records.old_key_files", reason)])
        row = {"key_id": ring.current_id, "since": datetime.now(UTC)}
        new = insert_of(engine)(key_used).values(row).on_conflict_do_nothing()
        connection.execute(new)


def _prepared(folder: Path | None) -> Spool | None:
    if folder is None:
        return None
    spool = Spool(folder)
    try:
        spool.prepare()
    except OSError as fault:
        reason = f"cannot be written: {fault.strerror}"
        raise ConfigurationFault([Fault(str(folder), "records.spool", reason)]) from None
    return spool


@contextmanager
def _spooling() -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise RecordsUnavailable(f"spool: {type(fault).__name__}") from None


def chain_lock(tenant: str) -> int:
    """A number for PostgreSQL's lock of one tenant's chain."""
    return int.from_bytes(blake2b(tenant.encode(), digest_size=8).digest(), signed=True)


def _with_moments(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**row, **{name: datetime.fromisoformat(row[name]) for name in names}}


def _storable(given: str) -> str:
    """PostgreSQL's text has no NUL, which JSON allows."""
    return given.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _kind(fault: Exception) -> str:
    """The kind of a database fault; its message may quote the row."""
    return type(getattr(fault, "orig", None) or fault).__name__
