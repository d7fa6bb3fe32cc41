"""Whether the records are what was kept: the chain of the audit, read from its beginning."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, and_, func, select, true

from cds_hooks.records.audit_chain import FIRST, Entry, Purged, Verified, digest_of, link_of
from cds_hooks.records.store import Records
from cds_hooks.records.tables import (
    audit,
    card,
    category_members,
    content_of,
    decision,
    feedback,
    finding,
)

AT_ONCE = 500  # records compared in one go
MOST_FAULTS = 100  # named; more than that is one fault more


def verify(records: Records, tenant: str, head: str | None = None) -> Verified:
    """Reads a tenant's chain and every record that it binds.

    `head`: the number and link of a row, noted earlier, that has to be there still: a chain cut off
    at its end looks whole without it. Raises RecordsUnavailable.
    """
    with records.guarded(), records.engine.connect() as connection:
        return _Chain(records, connection, tenant).verified(head)


class _Chain:
    def __init__(self, records: Records, connection: Connection, tenant: str) -> None:
        self._ring = records.ring
        self._connection = connection
        self._tenant = tenant
        self._faults: list[str] = []
        self._count = 0
        self._first_at: datetime | None = None
        self._cutoff: datetime | None = None
        self._last: Entry | None = None

    def verified(self, head: str | None) -> Verified:
        rows = self._rows(head)
        for entries in iter(lambda: list(islice(rows, AT_ONCE)), []):
            self._compare(entries)
        self._look_for_unbound()
        named = self._faults[:MOST_FAULTS]
        if len(self._faults) > MOST_FAULTS:
            named.append(f"and {len(self._faults) - MOST_FAULTS} more")
        last = f"{self._last.seq}:{self._last.link}" if self._last else None
        return Verified(self._tenant, self._count, last, tuple(named))

    def _rows(self, head: str | None) -> Iterator[Entry]:
        """The chain's rows, each looked at on its way."""
        purges = self._purges()
        self._cutoff = max((purge.cutoff for purge in purges), default=None)
        removed_to = max((purge.seq for purge in purges), default=0)
        links = {purge.seq: purge.link for purge in purges}
        is_head_there = head is None
        before: Entry | None = None
        found = self._connection.execute(
            select(audit).where(audit.c.tenant == self._tenant).order_by(audit.c.seq),
            execution_options={"yield_per": AT_ONCE},
        )
        for row in found:
            entry = Entry._make(row)
            self._count += 1
            if before is None:
                self._first_at = entry.at
                self._begins(entry, removed_to, links)
            elif entry.seq != before.seq + 1:
                self._faults.append(f"rows {before.seq + 1} to {entry.seq - 1} are missing")
            else:
                self._follows(entry, before.link)
            if links.get(entry.seq, entry.link) != entry.link:
                self._faults.append(f"row {entry.seq} is not the one that was purged up to")
            is_head_there = is_head_there or head == f"{entry.seq}:{entry.link}"
            before = self._last = entry
            yield entry
        if not is_head_there:
            self._faults.append("the head that was given is not in the chain: its end is missing")

    def _purges(self) -> list[Purged]:
        found = self._connection.execute(
            select(audit.c.subject).where(audit.c.tenant == self._tenant, audit.c.kind == "purge")
        ).scalars()
        purges = []
        for subject in found:
            try:
                purges.append(Purged.read(subject))
            except ValueError:
                self._faults.append("a row about a purge says nothing readable")
        return purges

    def _begins(self, entry: Entry, removed_to: int, links: Mapping[int, str]) -> None:
        """The first row that is left: the very first, or one after what was purged."""
        if entry.seq == 1:
            self._follows(entry, FIRST)
        elif entry.seq - 1 in links:
            self._follows(entry, links[entry.seq - 1])
        elif entry.seq > removed_to:
            self._faults.append(f"rows 1 to {entry.seq - 1} are missing")

    def _follows(self, entry: Entry, link: str) -> None:
        awaited = link_of(self._ring, entry, link)
        if awaited is None:
            self._faults.append(f"row {entry.seq} needs the key {entry.key_id}")
        elif awaited != entry.link:
            self._faults.append(f"row {entry.seq} was changed, or the one before it")

    def _compare(self, entries: list[Entry]) -> None:
        """Whether the records of these rows are there, and what they were."""
        kept = {
            "decision": self._decisions([e.subject for e in entries if e.kind == "decision"]),
            "feedback": self._feedback([e.subject for e in entries if e.kind == "feedback"]),
        }
        for entry in entries:
            if entry.kind not in kept:
                continue
            content = kept[entry.kind].get(entry.subject)
            name = f"{entry.kind} {entry.subject} (row {entry.seq})"
            if content is None:
                if self._cutoff is None or entry.at >= self._cutoff:
                    self._faults.append(f"{name} is missing")
            elif digest_of(self._ring, self._tenant, content, entry.key_id) not in (
                entry.digest,
                None,
            ):
                self._faults.append(f"{name} was changed")

    def _decisions(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        rows = self._connection.execute(select(decision).where(decision.c.id.in_(ids))).mappings()
        cards, findings = self._of_decisions(card, ids), self._of_decisions(finding, ids)
        contents = {}
        for row in rows:
            categories = {one["topic"]: one["category"] for one in findings[row["id"]]}
            whole = {**row, **category_members(categories)}
            contents[row["id"]] = content_of(whole, cards[row["id"]])
        return contents

    def _of_decisions(self, table: Table, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        """The rows of a table by the decision that they belong to."""
        grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
        rows = self._connection.execute(select(table).where(table.c.decision.in_(ids)))
        for row in rows.mappings():
            grouped[row["decision"]].append(dict(row))
        return grouped

    def _feedback(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        numbers = [int(one) for one in ids if one.isdecimal()]
        rows = self._connection.execute(
            select(feedback).where(feedback.c.id.in_(numbers))
        ).mappings()
        return {str(row["id"]): dict(row) for row in rows}

    def _look_for_unbound(self) -> None:
        """Records that somebody put in beside the service. Those before the chain began are not."""
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
