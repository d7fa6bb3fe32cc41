"""What was decided, shown and answered: kept before the answer leaves, never by a patient's name.

SQLite by default, PostgreSQL by URL. Each record is bound into its tenant's chain (audit.py) in the
transaction that keeps it. While the database is down, a site's policy says whether calls are
refused or records wait in a folder (spool.py).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select

from cds_hooks.protocol.feedback import Feedback
from cds_hooks.records.audit_chain import Kept, bound
from cds_hooks.records.card_history import PastRow, PatientMemory, past_query
from cds_hooks.records.database import (
    DatabaseDown,
    RecordRejected,
    RecordsUnavailable,
    connect,
    sqlite_file,
    writing,
)
from cds_hooks.records.keyring import Keyring, read_keyring
from cds_hooks.records.prepared_sql import Insert, Query, insert_of
from cds_hooks.records.setup import make_fit, prepared_spool
from cds_hooks.records.spool import Drained, Spool
from cds_hooks.records.tables import (
    StoredCard,
    StoredDecision,
    audit,
    card,
    card_row,
    content_of,
    decision,
    decision_row,
    feedback,
    feedback_row,
    finding,
    finding_rows,
    seen_token,
    with_moments,
)
from cds_hooks.records.transactions import Sessions

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
LAST = (
    select(audit.c.seq, audit.c.link)
    .where(audit.c.tenant == bindparam("tenant"))
    .order_by(audit.c.seq.desc())
    .limit(1)
)


class Records:
    """One for each process; safe for its threads, and for a process forked from it."""

    def __init__(self, engine: Engine, ring: Keyring, spool: Spool | None = None) -> None:
        self.engine = engine
        self.ring = ring
        self.spool = spool
        self._decision = Insert(decision, engine)
        self._finding = Insert(finding, engine)
        self._card = Insert(card, engine)
        self._audit = Insert(audit, engine)
        self._seen = Insert(seen_token, engine, once=True)
        self._last = Query(LAST, engine)
        self._past = Query(past_query(len(ring.ids)), engine)
        self._rests_until = 0.0
        self.sessions = Sessions(engine, lambda: make_fit(engine, ring))
        self.guarded = self.sessions.guarded
        self.in_turn = self.sessions.in_turn

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
        folder = prepared_spool(spool)
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
        make_fit(self.engine, self.ring)
        self.sessions.is_prepared = True

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
        row = decision_row(self.ring, stored)
        cards = [card_row(self.ring, stored, shown) for shown in stored.cards]
        try:
            with self._resting():
                self._insert_decision(row, cards)
        except RecordsUnavailable as fault:
            self._let_wait({"kind": "decision", "row": row, "cards": cards}, fault)

    def _insert_decision(self, row: Mapping[str, Any], cards: list[dict[str, Any]]) -> None:
        content = content_of(row, cards)
        with self.sessions.transaction() as cursor:
            cursor.execute(self._decision.sql, self._decision.bind(row))
            self._finding.run_all(cursor, finding_rows(row))
            self._card.run_all(cursor, cards)
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

    def memory(
        self, tenant: str, patient_id: str, encounter_id: str | None, now: datetime
    ) -> PatientMemory:
        """What was shown for this patient."""
        return PatientMemory(self._read_past, self.ring, tenant, patient_id, encounter_id, now)

    def _read_past(self, values: Mapping[str, Any]) -> list[PastRow]:
        """Raises RecordsUnavailable; with a spool, nothing is known of the past meanwhile."""
        self.sessions.after_fork()
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
        rows = [
            feedback_row(self.ring, tenant, service, item, received, comments=comments)
            for item in items
        ]
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
        self.sessions.after_fork()
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

    def is_used(self, tenant: str, digest: str) -> bool:
        """Whether `use_token` was told of it, as the database has it. Raises RecordsUnavailable."""
        named = select(seen_token.c.until).where(
            seen_token.c.tenant == tenant, seen_token.c.digest == digest
        )
        self.sessions.after_fork()
        with self.guarded("read"), self.engine.connect() as connection:
            return connection.execute(named).first() is not None

    def _is_new_here(self, tenant: str, digest: str, until: datetime) -> bool | None:
        """None where the spool cannot tell."""
        if self.spool is None:
            return None
        try:
            return self.spool.use_once(tenant, digest, until)
        except OSError:
            return None

    def _insert_token(self, row: Mapping[str, Any]) -> bool:
        with self.sessions.transaction() as cursor:
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
                rows = [with_moments(row, "outcome_at", "received_at") for row in record["rows"]]
                return self._insert_feedback(record["tenant"], rows) > 0
            case "token":
                self._insert_token(with_moments(record["row"], "until"))
                return False
        row = with_moments(record["row"], "at")
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
        with self.sessions.timed("spool"), _spooling():
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
def _spooling() -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise RecordsUnavailable(f"spool: {type(fault).__name__}") from None


def chain_lock(tenant: str) -> int:
    """A number for PostgreSQL's lock of one tenant's chain."""
    return int.from_bytes(blake2b(tenant.encode(), digest_size=8).digest(), signed=True)
