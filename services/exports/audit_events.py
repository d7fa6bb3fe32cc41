"""What was kept, as FHIR R4 AuditEvents: for the hospital's own audit repository."""

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


def build_audit_event(kept: ExportedRecord, base: str) -> dict[str, Any]:
    """One event, valid R4: who called, what for, about which keyed hash of a patient.

    What it names is identified under `base`, the site's canonical one.
    """
    match kept:
        case ExportedDecision():
            event = _build_decision(kept, base)
        case ExportedFeedback():
            event = _build_feedback(kept, base)
        case ExportedPurge():
            event = _build_purge(kept, base)
    validate_resource(event)
    return event


def _build_decision(kept: ExportedDecision, base: str) -> dict[str, Any]:
    said = {
        "service": kept.service,
        "hook": kept.hook,
        "hookInstance": kept.hook_instance,
        "rules": ", ".join(kept.rules),
        "cards": str(kept.cards),
        **{f"knowledge {axis}": label for axis, label in sorted(kept.knowledge.items())},
    }
    what = _build_identifier(base, "decision", kept.id)
    return {
        **_build_event(base, f"decision-{kept.id}", kept.at, kept.tenant, kept.version),
        "type": _build_lifecycle("access", "Access/View Record Lifecycle Event"),
        "action": "R",
        "entity": [
            {"what": _build_identifier(base, "patient-hash", kept.patient_hash), "type": PERSON}
            | {"role": PATIENT},
            {"what": what, "type": SYSTEM_OBJECT, "detail": _build_details(said)},
        ],
    }


def _build_feedback(kept: ExportedFeedback, base: str) -> dict[str, Any]:
    said = {
        "service": kept.service,
        "outcome": kept.outcome,
        "reasonSystem": kept.reason_system,
        "reason": kept.reason_code,
    }
    what = _build_identifier(base, "card", kept.card)
    return {
        **_build_event(base, f"feedback-{kept.id}", kept.at, kept.tenant),
        "type": _build_lifecycle("receive", "Receive/Retain Record Lifecycle Event"),
        "action": "C",
        "entity": [{"what": what, "type": SYSTEM_OBJECT, "detail": _build_details(said)}],
    }


def _build_purge(kept: ExportedPurge, base: str) -> dict[str, Any]:
    said = {"recordsFromBefore": kept.cutoff.isoformat()}
    what = _build_identifier(base, "audit-row", str(kept.row))
    return {
        **_build_event(base, f"purge-{kept.tenant}-{kept.row}", kept.at, kept.tenant),
        "type": _build_lifecycle("destroy", "Destroy/Delete Record Lifecycle Event"),
        "action": "D",
        "entity": [{"what": what, "type": SYSTEM_OBJECT, "detail": _build_details(said)}],
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


def _build_details(said: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"type": name, "valueString": value} for name, value in said.items() if value]
