"""Records as FHIR R4 AuditEvent resources, for the hospital's own audit repository."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cds_hooks.records.queries import (
    ExportedDecision,
    ExportedFeedback,
    ExportedPurge,
    ExportedRecord,
)
from mappings.fhir_validation import validate_resource

LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
PERSON = {"system": ENTITY, "code": "1", "display": "Person"}
SYSTEM_OBJECT = {"system": ENTITY, "code": "2", "display": "System Object"}
PATIENT = {"system": ROLE, "code": "1", "display": "Patient"}
SUCCESS = "0"


def build_audit_event(record: ExportedRecord, base: str) -> dict[str, Any]:
    """One event, valid R4: who called, what for, about which keyed hash of a patient.

    What it names is identified under `base`, the site's canonical one.
    """
    match record:
        case ExportedDecision():
            event = _build_decision(record, base)
        case ExportedFeedback():
            event = _build_feedback(record, base)
        case ExportedPurge():
            event = _build_purge(record, base)
    validate_resource(event)
    return event


def _build_decision(record: ExportedDecision, base: str) -> dict[str, Any]:
    details = {
        "service": record.service,
        "hook": record.hook,
        "hookInstance": record.hook_instance,
        "rules": ", ".join(record.rules),
        "cards": str(record.cards),
        **{f"knowledge {axis}": label for axis, label in sorted(record.knowledge.items())},
    }
    what = _build_identifier(base, "decision", record.id)
    return {
        **_build_event(base, f"decision-{record.id}", record.at, record.tenant, record.version),
        "type": _build_lifecycle("access", "Access/View Record Lifecycle Event"),
        "action": "R",
        "entity": [
            {"what": _build_identifier(base, "patient-hash", record.patient_hash), "type": PERSON}
            | {"role": PATIENT},
            {"what": what, "type": SYSTEM_OBJECT, "detail": _build_details(details)},
        ],
    }


def _build_feedback(record: ExportedFeedback, base: str) -> dict[str, Any]:
    details = {
        "service": record.service,
        "outcome": record.outcome,
        "reasonSystem": record.reason_system,
        "reason": record.reason_code,
    }
    what = _build_identifier(base, "card", record.card)
    return {
        **_build_event(base, f"feedback-{record.id}", record.at, record.tenant),
        "type": _build_lifecycle("receive", "Receive/Retain Record Lifecycle Event"),
        "action": "C",
        "entity": [{"what": what, "type": SYSTEM_OBJECT, "detail": _build_details(details)}],
    }


def _build_purge(record: ExportedPurge, base: str) -> dict[str, Any]:
    details = {"recordsFromBefore": record.cutoff.isoformat()}
    what = _build_identifier(base, "audit-row", str(record.row))
    return {
        **_build_event(base, f"purge-{record.tenant}-{record.row}", record.at, record.tenant),
        "type": _build_lifecycle("destroy", "Destroy/Delete Record Lifecycle Event"),
        "action": "D",
        "entity": [{"what": what, "type": SYSTEM_OBJECT, "detail": _build_details(details)}],
    }


def _build_event(
    base: str, name: str, at: datetime, tenant: str, version: str | None = None
) -> dict[str, Any]:
    observer: dict[str, Any] = {"display": f"Cobalamin {version}" if version else "Cobalamin"}
    return {
        "resourceType": "AuditEvent",
        # 64 characters at most, of letters, digits, hyphens and points.
        "id": name[:64],
        "recorded": at.isoformat(),
        "outcome": SUCCESS,
        "agent": [{"who": _build_identifier(base, "tenant", tenant), "requestor": True}],
        "source": {"observer": observer},
    }


def _build_lifecycle(code: str, display: str) -> dict[str, str]:
    return {"system": LIFECYCLE, "code": code, "display": display}


def _build_identifier(base: str, kind: str, value: str) -> dict[str, Any]:
    return {"identifier": {"system": f"{base}/NamingSystem/{kind}", "value": value}}


def _build_details(details: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"type": name, "valueString": value} for name, value in details.items() if value]
