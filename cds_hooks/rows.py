"""What was decided, shown and answered, as rows of the tables: no patient, no words in clear."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cds_hooks.feedback import Feedback
from cds_hooks.hook_request import UUID
from cds_hooks.patient_hash import Keyring

# Members of a service's record that stand apart, because reports group by them.
APART = frozenset({"findings", "tier"})
# Ends the name of a category in a decision's row: "<topic>_category". Before version 0004 these
# were columns. The chain and the spool have kept the names, so older records still verify.
CATEGORY = "_category"


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
    prefetch: Mapping[str, int] | None = None  # keys supplied, fetched, failed, incomplete
    status: int = 200


def decision_row(ring: Keyring, stored: StoredDecision) -> dict[str, Any]:
    encounter = stored.encounter_id
    return {
        "id": stored.id,
        "at": stored.at,
        "tenant": stored.tenant,
        "service": stored.service,
        "hook": stored.hook,
        "hook_instance": stored.hook_instance,
        "patient_hash": ring.patient(stored.tenant, stored.patient_id),
        "encounter_hash": ring.patient(stored.tenant, encounter) if encounter else None,
        "version": stored.version,
        "status": stored.status,
        "duration_ms": stored.duration_ms,
        **category_members(stored.record.get("findings", {})),
        "tier": stored.record.get("tier"),
        "prefetch": stored.prefetch or {},
        "record": {n: value for n, value in stored.record.items() if n not in APART},
        "key_id": ring.current_id,
    }


def category_members(findings: Mapping[str, str | None]) -> dict[str, str | None]:
    """The members of a decision's row for its findings: a category by topic."""
    return {f"{topic}{CATEGORY}": category for topic, category in findings.items()}


def finding_rows(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the table `finding` that a decision's row holds."""
    return [
        {"decision": row["id"], "topic": name.removesuffix(CATEGORY), "category": category}
        for name, category in row.items()
        if name.endswith(CATEGORY)
    ]


def card_row(ring: Keyring, stored: StoredDecision, shown: StoredCard) -> dict[str, Any]:
    return {
        "uuid": shown.uuid,
        "decision": stored.id,
        "topic_system": shown.topic_system,
        "topic": shown.topic,
        "indicator": shown.indicator,
        "suggestions": shown.suggestions,
        "rests_on": sorted(ring.seal(stored.tenant, mark) for mark in shown.rests_on),
    }


def content_of(row: Mapping[str, Any], cards: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What the chain binds of a decision: its whole row, and its cards in a steady order."""
    plain = [{str(name): value for name, value in one.items()} for one in cards]
    return {**row, "cards": sorted(plain, key=lambda one: str(one["uuid"]))}


def feedback_row(
    ring: Keyring, tenant: str, service: str, item: Feedback, received: datetime, comments: bool
) -> dict[str, Any]:
    keeps = comments and item.comment is not None
    return {
        "tenant": tenant,
        "card": _id(ring, tenant, item.card),
        "service": service,
        "outcome": item.outcome,
        "accepted": [_id(ring, tenant, uuid) for uuid in item.accepted],
        "reason_system": _storable(item.reason_system or ""),
        "reason_code": _storable(item.reason_code or ""),
        "had_comment": item.comment is not None,
        "comment": ring.encrypt(tenant, item.comment or "") if keeps else None,
        "outcome_at": item.at,
        "received_at": received,
    }


def _id(ring: Keyring, tenant: str, given: str) -> str:
    """Ids that this service gave are UUIDs; what else a client sends may name a patient."""
    if UUID.fullmatch(given):
        return given.lower().removeprefix("urn:uuid:")
    return ring.seal(tenant, given)


def with_moments(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**row, **{name: datetime.fromisoformat(row[name]) for name in names}}


def _storable(given: str) -> str:
    """PostgreSQL's text has no NUL, which JSON allows."""
    return given.replace("\x00", "\N{REPLACEMENT CHARACTER}")
