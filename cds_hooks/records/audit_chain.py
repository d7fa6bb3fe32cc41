"""Hash chain of the audit: each record is signed together with the one before it.

The key is not in the database. A row that was changed, removed, added or moved breaks the chain.
Rows cut off at its end leave no gap: compare its last link with a copy kept elsewhere.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from cds_hooks.records.keyring import Keyring

FIRST_LINK = ""  # what the first row is bound to


class Entry(NamedTuple):
    """A row of the chain, as the table has it."""

    tenant: str
    seq: int
    at: datetime
    kind: str
    subject: str
    digest: str
    key_id: str
    link: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A record to add to the chain."""

    at: datetime
    kind: str
    subject: str
    content: Mapping[str, Any]


def compute_digest(
    ring: Keyring, tenant: str, content: Mapping[str, Any], key_id: str
) -> str | None:
    """Keyed digest of a record's columns; the same when it is read back. None without the key."""
    return ring.sign(tenant, _serialize(content), key_id)


def chain_entries(
    ring: Keyring, tenant: str, last: tuple[int, str] | None, records: Iterable[AuditRecord]
) -> list[Entry]:
    """The chain's rows for `records`; `last` is the number and link of the row before them."""
    seq, link = last or (0, FIRST_LINK)
    entries = []
    for record in records:
        seq += 1
        key_id = ring.current_id
        digest = ring.sign(tenant, _serialize(record.content)) or ""
        entry = Entry(tenant, seq, record.at, record.kind, record.subject, digest, key_id, "")
        link = compute_link(ring, entry, link) or ""
        entries.append(entry._replace(link=link))
    return entries


def compute_link(ring: Keyring, entry: Entry, before: str) -> str | None:
    """The link of a row after a row with the link `before`; None without its key."""
    members = [before, *map(str, entry[:2]), _format_time(entry.at), *entry[3:7]]
    return ring.sign(entry.tenant, "\0".join(members).encode(), entry.key_id)


def _serialize(content: Mapping[str, Any]) -> bytes:
    """One text for one record, whichever database it has been through."""
    plain = {
        str(name): _format_time(value) if isinstance(value, datetime) else value
        for name, value in content.items()
    }
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)


def _format_time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True, slots=True)
class PurgeMarker:
    """A row of the kind "purge": records before `cutoff` went, and the chain up to `seq`."""

    cutoff: datetime
    seq: int
    link: str

    @property
    def subject(self) -> str:
        return f"{_format_time(self.cutoff)} {self.seq} {self.link}"

    @classmethod
    def parse(cls, subject: str) -> "PurgeMarker":
        cutoff, seq, link = subject.split(" ")
        return cls(datetime.fromisoformat(cutoff), int(seq), link)


@dataclass(frozen=True, slots=True)
class ChainVerification:
    """Result of verifying one tenant's chain."""

    tenant: str
    entries: int
    head: str | None  # "1234:0a1b..." of the last row
    faults: tuple[str, ...]
