"""NDJSON lines as a US Core server exports them, from templates that are encoded once.

A template is text for the `%` operator. Its slots, in order, stand in each function's docstring.
"""

import json
from collections.abc import Mapping
from typing import Any

LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
TERMS = "http://terminology.hl7.org/CodeSystem"
CORE = "http://hl7.org/fhir/us/core/StructureDefinition"
TEXT, NUMBER = "\x01", "\x02"  # a slot inside quotes, and one without

Json = Mapping[str, Any]


def _template(resource: Json) -> str:
    text = json.dumps(resource, separators=(",", ":"), ensure_ascii=False)
    text = text.replace("%", "%%").replace(json.dumps(NUMBER), "%s")
    return text.replace(json.dumps(TEXT)[1:-1], "%s")


def _head(kind: str, profile: str) -> dict[str, Any]:
    """Slots: id, last updated."""
    return {
        "resourceType": kind,
        "id": TEXT,
        "meta": {"lastUpdated": TEXT, "profile": [f"{CORE}/{profile}"]},
    }


def concept(system: str, code: str, display: str) -> dict[str, Any]:
    text = display.partition(" [")[0]
    return {"coding": [{"system": system, "code": code, "display": display}], "text": text}


def _term(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{TERMS}/{system}", "code": code}]}


def quantity(unit: str, code: str) -> dict[str, Any]:
    return {"value": NUMBER, "unit": unit, "system": "http://unitsofmeasure.org", "code": code}


def _of_a_visit() -> dict[str, Any]:
    """Slots: patient, encounter."""
    return {
        "subject": {"reference": f"Patient/{TEXT}"},
        "encounter": {"reference": f"Encounter/{TEXT}"},
    }


def _observation(category: str, code: Json) -> dict[str, Any]:
    name = "lab" if category == "laboratory" else "clinical-result"
    return {
        **_head("Observation", f"us-core-observation-{name}"),
        "status": "final",
        "category": [_term("observation-category", category)],
        "code": code,
        **_of_a_visit(),
        "effectiveDateTime": TEXT,
        "issued": TEXT,
    }


def measured(category: str, code: Json, unit: str, ucum: str, usual: tuple[float, float]) -> str:
    """Slots: id, last updated, patient, encounter, effective, issued, value."""
    low, high = ({"value": limit, "unit": unit} for limit in usual)
    reference = {"low": low, "high": high}
    value = {"valueInteger": NUMBER} if not unit else {"valueQuantity": quantity(unit, ucum)}
    ranges = {"referenceRange": [reference]} if unit else {}
    return _template({**_observation(category, code), **value, **ranges})


def blood_pressure(code: Json, systolic: Json, diastolic: Json) -> str:
    """Slots: id, last updated, patient, encounter, effective, issued, systolic, diastolic."""
    parts = [
        {"code": part, "valueQuantity": quantity("mmHg", "mm[Hg]")}
        for part in (systolic, diastolic)
    ]
    return _template({**_observation("vital-signs", code), "component": parts})


def condition(code: Json, category: str) -> str:
    """Slots: id, last updated, clinical status, patient, encounter, onset, recorded."""
    return _template(
        {
            **_head("Condition", "us-core-condition-problems-health-concerns"),
            "clinicalStatus": _term("condition-clinical", TEXT),
            "verificationStatus": _term("condition-ver-status", "confirmed"),
            "category": [_term("condition-category", category)],
            "code": code,
            **_of_a_visit(),
            "onsetDateTime": TEXT,
            "recordedDate": TEXT,
        }
    )


def prescription(drug: Json, dosage: Json) -> str:
    """Slots: id, last updated, status, patient, encounter, authored, practitioner."""
    return _template(
        {
            **_head("MedicationRequest", "us-core-medicationrequest"),
            "status": TEXT,
            "intent": "order",
            "category": [_term("medicationrequest-category", "community")],
            **drug,
            **_of_a_visit(),
            "authoredOn": TEXT,
            "requester": {"reference": f"Practitioner/{TEXT}"},
            "dosageInstruction": [dosage],
            "dispenseRequest": {"numberOfRepeatsAllowed": 3, "quantity": {"value": 90}},
        }
    )


def medication(id_: str, code: Json) -> str:
    """A whole line: a drug of the formulary that requests refer to."""
    return json.dumps(
        {
            "resourceType": "Medication",
            "id": id_,
            "meta": {"profile": [f"{CORE}/us-core-medication"]},
            "code": code,
        },
        separators=(",", ":"),
    )


def order(code: Json) -> str:
    """Slots: id, last updated, status, patient, encounter, authored, practitioner."""
    return _template(
        {
            **_head("ServiceRequest", "us-core-servicerequest"),
            "status": TEXT,
            "intent": "order",
            "code": code,
            **_of_a_visit(),
            "authoredOn": TEXT,
            "requester": {"reference": f"Practitioner/{TEXT}"},
        }
    )


def procedure(code: Json) -> str:
    """Slots: id, last updated, patient, encounter, performed."""
    return _template(
        {
            **_head("Procedure", "us-core-procedure"),
            "status": "completed",
            "code": code,
            **_of_a_visit(),
            "performedDateTime": TEXT,
        }
    )


def encounter(kind: str, text: str) -> str:
    """Slots: id, last updated, patient, practitioner, start, end."""
    return _template(
        {
            **_head("Encounter", "us-core-encounter"),
            "status": "finished",
            "class": {"system": f"{TERMS}/v3-ActCode", "code": kind},
            "type": [{"text": text}],
            "subject": {"reference": f"Patient/{TEXT}"},
            "participant": [{"individual": {"reference": f"Practitioner/{TEXT}"}}],
            "period": {"start": TEXT, "end": TEXT},
            "serviceProvider": {"reference": "Organization/1"},
        }
    )


def patient() -> str:
    """Slots: id, last updated, record number, family, given, gender, birth date, further members.

    The further members are JSON text, from a comma on.
    """
    resource = {
        **_head("Patient", "us-core-patient"),
        "identifier": [
            {
                "type": _term("v2-0203", "MR"),
                "system": "urn:oid:2.999.1.2.3",
                "value": TEXT,
            }
        ],
        "active": True,
        "name": [{"use": "official", "family": TEXT, "given": [TEXT]}],
        "gender": TEXT,
        "birthDate": TEXT,
        "address": [{"use": "home", "city": "Anytown", "state": "MA", "country": "US"}],
        "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]}}],
    }
    return f"{_template(resource)[:-1]}%s}}"
