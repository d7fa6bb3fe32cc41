"""Verify the audit: read the chain from its beginning and compare each record with it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, and_, func, select, true

from cds_hooks.records.audit_chain import (
    FIRST_LINK,
    ChainVerification,
    Entry,
    PurgeMarker,
    compute_digest,
    compute_link,
)
from cds_hooks.records.store import Records
from cds_hooks.records.tables import (
    audit,
    build_audit_content,
    build_category_members,
    card,
    decision,
    feedback,
    finding,
)

BATCH_ROWS = 500  # records compared in one go
MAX_FAULTS = 100  # named; more than that is one fault more


def verify_chain(records: Records, tenant: str, head: str | None = None) -> ChainVerification:
    """Reads a tenant's chain and every record that it binds.

    `head`: the number and link of a row, noted earlier, that has to be there still: a chain cut off
    at its end looks whole without it. Raises RecordsUnavailableError.
    """
    with records.guard(), records.engine.connect() as connection:
        return _ChainVerifier(records, connection, tenant).verify(head)


class _ChainVerifier:
    def __init__(self, records: Records, connection: Connection, tenant: str) -> None:
        self._ring = records.ring
        self._connection = connection
        self._tenant = tenant
        self._faults: list[str] = []
        self._count = 0
        self._first_at: datetime | None = None
        self._cutoff: datetime | None = None
        self._last: Entry | None = None

    def verify(self, head: str | None) -> ChainVerification:
        rows = self._read_entries(head)
        for entries in iter(lambda: list(islice(rows, BATCH_ROWS)), []):
            self._compare_records(entries)
        self._find_unchained_decisions()
        faults = self._faults[:MAX_FAULTS]
        if len(self._faults) > MAX_FAULTS:
            faults.append(f"and {len(self._faults) - MAX_FAULTS} more")
        last = f"{self._last.seq}:{self._last.link}" if self._last else None
        return ChainVerification(self._tenant, self._count, last, tuple(faults))

    def _read_entries(self, head: str | None) -> Iterator[Entry]:
        """The chain's rows, each looked at on its way."""
        purges = self._read_purges()
        self._cutoff = max((purge.cutoff for purge in purges), default=None)
        removed_to = max((purge.seq for purge in purges), default=0)
        links = {purge.seq: purge.link for purge in purges}
        is_head_there = head is None
        before: Entry | None = None
        rows = self._connection.execute(
            select(audit).where(audit.c.tenant == self._tenant).order_by(audit.c.seq),
            execution_options={"yield_per": BATCH_ROWS},
        )
        for row in rows:
            entry = Entry._make(row)
            self._count += 1
            if before is None:
                self._first_at = entry.at
                self._check_first_entry(entry, removed_to, links)
            elif entry.seq != before.seq + 1:
                self._faults.append(f"rows {before.seq + 1} to {entry.seq - 1} are missing")
            else:
                self._check_link(entry, before.link)
            if links.get(entry.seq, entry.link) != entry.link:
                self._faults.append(f"row {entry.seq} is not the one that was purged up to")
            is_head_there = is_head_there or head == f"{entry.seq}:{entry.link}"
            before = self._last = entry
            yield entry
        if not is_head_there:
            self._faults.append("the head that was given is not in the chain: its end is missing")

    def _read_purges(self) -> list[PurgeMarker]:
        subjects = self._connection.execute(
            select(audit.c.subject).where(audit.c.tenant == self._tenant, audit.c.kind == "purge")
        ).scalars()
        purges = []
        for subject in subjects:
            try:
                purges.append(PurgeMarker.parse(subject))
            except ValueError:
                self._faults.append("a row about a purge says nothing readable")
        return purges

    def _check_first_entry(self, entry: Entry, removed_to: int, links: Mapping[int, str]) -> None:
        """The first row there is: the very first, or the one after a purge."""
        if entry.seq == 1:
            self._check_link(entry, FIRST_LINK)
        elif entry.seq - 1 in links:
            self._check_link(entry, links[entry.seq - 1])
        elif entry.seq > removed_to:
            self._faults.append(f"rows 1 to {entry.seq - 1} are missing")

    def _check_link(self, entry: Entry, link: str) -> None:
        awaited = compute_link(self._ring, entry, link)
        if awaited is None:
            self._faults.append(f"row {entry.seq} needs the key {entry.key_id}")
        elif awaited != entry.link:
            self._faults.append(f"row {entry.seq} was changed, or the one before it")

    def _compare_records(self, entries: list[Entry]) -> None:
        """Compare the records of these rows with their digests."""
        records = {
            "decision": self._read_decisions([e.subject for e in entries if e.kind == "decision"]),
            "feedback": self._read_feedback([e.subject for e in entries if e.kind == "feedback"]),
        }
        for entry in entries:
            if entry.kind not in records:
                continue
            content = records[entry.kind].get(entry.subject)
            name = f"{entry.kind} {entry.subject} (row {entry.seq})"
            if content is None:
                if self._cutoff is None or entry.at >= self._cutoff:
                    self._faults.append(f"{name} is missing")
            elif compute_digest(self._ring, self._tenant, content, entry.key_id) not in (
                entry.digest,
                None,
            ):
                self._faults.append(f"{name} was changed")

    def _read_decisions(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        rows = self._connection.execute(select(decision).where(decision.c.id.in_(ids))).mappings()
        cards, findings = (
            self._read_rows_by_decision(card, ids),
            self._read_rows_by_decision(finding, ids),
        )
        contents = {}
        for row in rows:
            categories = {
                finding_row["topic"]: finding_row["category"] for finding_row in findings[row["id"]]
            }
            recorded = {**row, **build_category_members(categories)}
            contents[row["id"]] = build_audit_content(recorded, cards[row["id"]])
        return contents

    def _read_rows_by_decision(
        self, table: Table, ids: list[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """The rows of a table by the decision that they belong to."""
        grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
        rows = self._connection.execute(select(table).where(table.c.decision.in_(ids)))
        for row in rows.mappings():
            grouped[row["decision"]].append(dict(row))
        return grouped

    def _read_feedback(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        numbers = [int(identifier) for identifier in ids if identifier.isdecimal()]
        rows = self._connection.execute(
            select(feedback).where(feedback.c.id.in_(numbers))
        ).mappings()
        return {str(row["id"]): dict(row) for row in rows}

    def _find_unchained_decisions(self) -> None:
        """Counts decisions that the service did not write, since the chain began."""
        if self._first_at is None:
            return
        bound = and_(
            audit.c.tenant == decision.c.tenant,
            audit.c.kind == "decision",
            audit.c.subject == decision.c.id,
        )
        count = self._connection.execute(
            select(func.count())
            .select_from(decision.outerjoin(audit, bound))
            .where(
                decision.c.tenant == self._tenant,
                decision.c.at >= self._first_at,
                # What a purge removes goes before its rows of the chain do.
                decision.c.at >= self._cutoff if self._cutoff else true(),
                audit.c.seq.is_(None),
            )
        ).scalar_one()
        if count:
            self._faults.append(f"{count} decisions are not bound into the chain")
