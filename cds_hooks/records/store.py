"""Store decisions, cards and feedback, before the answer leaves and without a patient's name.

SQLite by default, PostgreSQL by URL. Each record joins its tenant's chain (audit_chain.py) in the
transaction that stores it. While the database is down, a site's policy says whether calls are
refused or records wait in a folder (spool.py).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select

from cds_hooks.protocol.feedback import Feedback
from cds_hooks.records.audit_chain import AuditRecord, chain_entries
from cds_hooks.records.card_history import PastRow, PatientCardHistory, select_past_cards
from cds_hooks.records.database import (
    DatabaseDownError,
    RecordRejectedError,
    RecordsUnavailableError,
    get_sqlite_file,
    get_writer,
    make_engine,
)
from cds_hooks.records.keyring import Keyring, read_keyring
from cds_hooks.records.prepared_sql import PreparedInsert, PreparedQuery, get_insert
from cds_hooks.records.spool import DrainResult, Spool, SpoolFallback, prepare_spool
from cds_hooks.records.tables import (
    StoredCard,
    StoredDecision,
    audit,
    build_audit_content,
    build_card_row,
    build_decision_row,
    build_feedback_row,
    build_finding_rows,
    card,
    decision,
    feedback,
    finding,
    parse_times,
)
from cds_hooks.records.tokens import TOKEN_GRACE, UsedTokens
from cds_hooks.records.transactions import Transactions

__all__ = ["Records", "RecordsUnavailableError", "StoredCard", "StoredDecision"]

# A replica that froze while it held a chain must not hold the others' for ever.
IDLE_TRANSACTION_TIMEOUT = "10s"
CHAIN_LOCK = (
    "SELECT set_config('idle_in_transaction_session_timeout', %s, true), pg_advisory_xact_lock(%s)"
)
LAST_ENTRY = (
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
        self._decision = PreparedInsert(decision, engine)
        self._finding = PreparedInsert(finding, engine)
        self._card = PreparedInsert(card, engine)
        self._audit = PreparedInsert(audit, engine)
        self._last = PreparedQuery(LAST_ENTRY, engine)
        self._past = PreparedQuery(select_past_cards(len(ring.ids)), engine)
        self.transactions = Transactions(engine, ring)
        self._fallback = SpoolFallback(spool, self.transactions)
        self.tokens = UsedTokens(self.transactions, self._fallback)
        self.guard = self.transactions.guard
        self.take_turn = self.transactions.take_turn

    @classmethod
    def open(
        cls,
        url: str,
        key_file: Path | None = None,
        old_key_files: Iterable[Path] = (),
        spool: Path | None = None,
        *,
        may_be_down: bool = False,
    ) -> "Records":
        """Opens the database and migrates it to the newest schema.

        Where it does not answer, `may_be_down` leaves that until it does. Raises ConfigurationError
        for keys and the spool, RecordsUnavailableError for the database.
        """
        ring = read_keyring(get_sqlite_file(url), key_file, old_key_files)
        folder = prepare_spool(spool)
        engine = make_engine(url)
        with ExitStack() as undo:
            undo.callback(engine.dispose)
            records = cls(engine, ring, folder)
            try:
                records.transactions.prepare()
            except DatabaseDownError:
                if not may_be_down:
                    raise
            undo.pop_all()
        return records

    def close(self) -> None:
        self.engine.dispose()

    def check(self) -> None:
        """Raises RecordsUnavailableError where the database does not answer."""
        with self.guard("check"), self.engine.connect() as connection:
            connection.execute(select(decision.c.id).limit(1)).first()

    def hash_patient(self, tenant: str, identifier: str) -> str:
        """What stands for a patient, or an encounter, of `tenant`."""
        return self.ring.hash_patient(tenant, identifier)

    def store_decision(self, stored: StoredDecision) -> None:
        """Stores a decision and its cards, all or nothing.

        Raises RecordsUnavailableError where they are neither in the database nor in the spool.
        """
        row = build_decision_row(self.ring, stored)
        cards = [build_card_row(self.ring, stored, shown) for shown in stored.cards]
        try:
            with self._fallback.back_off():
                self._insert_decision(row, cards)
        except RecordsUnavailableError as fault:
            self._fallback.write({"kind": "decision", "row": row, "cards": cards}, fault)

    def _insert_decision(self, row: Mapping[str, Any], cards: list[dict[str, Any]]) -> None:
        content = build_audit_content(row, cards)
        with self.transactions.begin() as cursor:
            cursor.execute(self._decision.sql, self._decision.bind(row))
            self._finding.run_all(cursor, build_finding_rows(row))
            self._card.run_all(cursor, cards)
            record = AuditRecord(row["at"], "decision", row["id"], content)
            self._write_chain_entries(cursor, row["tenant"], [record])

    def _write_chain_entries(
        self, cursor: Any, tenant: str, records: Iterable[AuditRecord]
    ) -> None:
        """Binds what this transaction keeps into the tenant's chain, one transaction at a time."""
        if self.engine.name == "postgresql":
            cursor.execute(CHAIN_LOCK, (IDLE_TRANSACTION_TIMEOUT, compute_lock_id(tenant)))
        rows = self._last.fetch_rows(cursor, {"tenant": tenant})
        last = (rows[0][0], rows[0][1]) if rows else None
        for entry in chain_entries(self.ring, tenant, last, records):
            cursor.execute(self._audit.sql, self._audit.bind(entry._asdict()))

    def open_card_history(
        self, tenant: str, patient_id: str, encounter_id: str | None, now: datetime
    ) -> PatientCardHistory:
        """Earlier cards of this patient; read when a decision asks for them."""
        return PatientCardHistory(
            self._read_past_cards, self.ring, tenant, patient_id, encounter_id, now
        )

    def _read_past_cards(self, values: Mapping[str, Any]) -> list[PastRow]:
        """Raises RecordsUnavailableError; with a spool, nothing is known of the past meanwhile."""
        self.transactions.reset_after_fork()
        try:
            with self._fallback.back_off(), self.guard("read"):
                connection = self.engine.raw_connection()
                try:
                    rows = self._past.fetch_rows(connection.cursor(), values)
                finally:
                    connection.close()
        except RecordsUnavailableError:
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
        """Stores new feedback; how many of `items` were new, or went to the spool.

        Free text is kept encrypted with `comments`, and otherwise not at all. Raises
        RecordsUnavailableError.
        """
        received = now or datetime.now(UTC)
        rows = [
            build_feedback_row(self.ring, tenant, service, item, received, comments=comments)
            for item in items
        ]
        if not rows:
            return 0
        try:
            with self._fallback.back_off():
                return self._insert_feedback(tenant, rows)
        except RecordsUnavailableError as fault:
            self._fallback.write({"kind": "feedback", "tenant": tenant, "rows": rows}, fault)
            return len(rows)

    def read_card_topics(self, tenant: str, cards: Iterable[str]) -> dict[str, str]:
        """Topic codes of cards that this tenant was shown, by the card's UUID.

        Raises RecordsUnavailableError.
        """
        shown = (
            select(card.c.uuid, card.c.topic)
            .join(decision, decision.c.id == card.c.decision)
            .where(card.c.uuid.in_(set(cards)), decision.c.tenant == tenant)
        )
        self.transactions.reset_after_fork()
        with self.guard("read"), self.engine.connect() as connection:
            return {uuid: topic or "" for uuid, topic in connection.execute(shown)}

    @contextmanager
    def open_chained_transaction(
        self, tenant: str
    ) -> Iterator[tuple[Connection, Callable[[Iterable[AuditRecord]], None]]]:
        """A transaction, and a function that adds records to the tenant's chain in it.

        Raises RecordsUnavailableError.
        """
        with self.guard(), self.take_turn(), get_writer(self.engine).begin() as connection:
            cursor: Any = connection.connection.cursor()
            yield connection, lambda records: self._write_chain_entries(cursor, tenant, records)

    def _insert_feedback(self, tenant: str, rows: list[dict[str, Any]]) -> int:
        with self.open_chained_transaction(tenant) as (connection, bind):
            shown = (
                select(card.c.uuid)
                .join(decision, decision.c.id == card.c.decision)
                .where(card.c.uuid.in_({row["card"] for row in rows}), decision.c.tenant == tenant)
            )
            known_cards = set(connection.execute(shown).scalars())
            for row in rows:
                row["known_card"] = row["card"] in known_cards
            new = get_insert(self.engine)(feedback).on_conflict_do_nothing().returning(*feedback.c)
            records = [
                AuditRecord(row["received_at"], "feedback", str(row["id"]), dict(row))
                for row in connection.execute(new, rows).mappings().all()
            ]
            bind(records)
            return len(records)

    def run_maintenance(self, now: datetime) -> DrainResult:
        """Bring what waits in the spool into the database and forget tokens that are over.

        Raises RecordsUnavailableError.
        """
        over = now - TOKEN_GRACE
        self.tokens.forget(over)
        if self.spool is None:
            return DrainResult()
        self._fallback.try_again()
        self.spool.forget_tokens(over)
        return self.spool.drain(self._store_spooled)

    def _store_spooled(self, record: dict[str, Any]) -> bool:
        """Stores a record of the spool; one that is stored already stays as it is."""
        match record["kind"]:
            case "feedback":
                rows = [parse_times(row, "outcome_at", "received_at") for row in record["rows"]]
                return self._insert_feedback(record["tenant"], rows) > 0
            case "token":
                self.tokens.insert(parse_times(record["row"], "until"))
                return False
        row = parse_times(record["row"], "at")
        try:
            self._insert_decision(row, record["cards"])
        except RecordRejectedError:
            # A connection that broke off at its end may have kept the record all the same.
            if not self._has_decision(row["id"]):
                raise
            return False
        return True

    def _has_decision(self, identifier: str) -> bool:
        with self.guard(), self.engine.connect() as connection:
            rows = connection.execute(select(decision.c.id).where(decision.c.id == identifier))
            return rows.first() is not None


def compute_lock_id(tenant: str) -> int:
    """A number for PostgreSQL's lock of one tenant's chain."""
    return int.from_bytes(blake2b(tenant.encode(), digest_size=8).digest(), signed=True)
