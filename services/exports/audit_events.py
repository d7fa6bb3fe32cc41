"""What was kept, as FHIR R4 AuditEvents: for the hospital's own audit repository."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fhir.resources.R4B.auditevent import AuditEvent

from cds_hooks.records.queries import Kept, KeptDecision, KeptFeedback, KeptPurge

LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
PERSON = {"system": ENTITY, "code": "1", "display": "Person"}
SYSTEM_OBJECT = {"system": ENTITY, "code": "2", "display": "System Object"}
PATIENT = {"system": ROLE, "code": "1", "display": "Patient"}
SUCCESS = "0"


def audit_event(kept: Kept, base: str) -> dict[str, Any]:
    """One event, valid R4: who called, what for, about which keyed hash of a patient.

    What it names is identified under `base`, the site's canonical one.
    """
    match kept:
        case KeptDecision():
            event = _decided(kept, base)
        case KeptFeedback():
            event = _answered(kept, base)
        case KeptPurge():
            event = _purged(kept, base)
    AuditEvent.model_validate(event)
    return event


def _decided(kept: KeptDecision, base: str) -> dict[str, Any]:
    said = {
        "service": kept.service,
        "hook": kept.hook,
        "hookInstance": kept.hook_instance,
        "rules": ", ".join(kept.rules),
        "cards": str(kept.cards),
        **{f"knowledge {axis}": label for axis, label in sorted(kept.knowledge.items())},
    }
    what = _identified(base, "decision", kept.id)
    return {
        **_event(base, f"decision-{kept.id}", kept.at, kept.tenant, kept.version),
        "type": _lifecycle("access", "Access/View Record Lifecycle Event"),
        "action": "R",
        "entity": [
            {"what": _identified(base, "patient-hash", kept.patient_hash), "type": PERSON}
            | {"role": PATIENT},
            {"what": what, "type": SYSTEM_OBJECT, "detail": _details(said)},
        ],
    }


def _answered(kept: KeptFeedback, base: str) -> dict[str, Any]:
    said = {
        "service": kept.service,
        "outcome": kept.outcome,
        "reasonSystem": kept.reason_system,
        "reason": kept.reason_code,
    }
    what = _identified(base, "card", kept.card)
    return {
        **_event(base, f"feedback-{kept.id}", kept.at, kept.tenant),
        "type": _lifecycle("receive", "Receive/Retain Record Lifecycle Event"),
        "action": "C",
        "entity": [{"what": what, "type": SYSTEM_OBJECT, "detail": _details(said)}],
    }


def _purged(kept: KeptPurge, base: str) -> dict[str, Any]:
    said = {"recordsFromBefore": kept.cutoff.isoformat()}
    what = _identified(base, "audit-row", str(kept.row))
    return {
        **_event(base, f"purge-{kept.tenant}-{kept.row}", kept.at, kept.tenant),
        "type": _lifecycle("destroy", "Destroy/Delete Record Lifecycle Event"),
        "action": "D",
        "entity": [{"what": what, "type": SYSTEM_OBJECT, "detail": _details(said)}],
    }


def _event(
    base: str, name: str, at: datetime, tenant: str, version: str | None = None
) -> dict[str, Any]:
    observer: dict[str, Any] = {"display": f"Cobalamin {version}" if version else "Cobalamin"}
    return {
        "resourceType": "AuditEvent",
        # 64 characters at most, of letters, digits, hyphens and points.
        "id": name[:64],
        "recorded": at.isoformat(),
        "outcome": SUCCESS,
        "agent": [{"who": _identified(base, "tenant", tenant), "requestor": True}],
        "source": {"observer": observer},
    }


def _lifecycle(code: str, display: str) -> dict[str, str]:
    return {"system": LIFECYCLE, "code": code, "display": display}


def _identified(base: str, kind: str, value: str) -> dict[str, Any]:
    return {"identifier": {"system": f"{base}/NamingSystem/{kind}", "value": value}}


def _details(said: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"type": name, "valueString": value} for name, value in said.items() if value]
