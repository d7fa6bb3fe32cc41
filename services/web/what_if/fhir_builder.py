"""The made-up patient as the FHIR that an EHR would send, coded by the value sets' first codes."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from cds_hooks.protocol.hook_request import HOOKS, reference_of
from mappings.actions.order_template import draft
from mappings.terminology.value_set import Row
from services.chart.model import months_before
from services.hooks.catalog import prefetch_templates
from services.knowledge.site import Known
from services.web.what_if.form import POSITIVE, Drug, Entered, Result
from services.web.what_if.form_fields import DRUG, NO_UNIT, TEMPLATE

ID = "made-up"
SUBJECT = {"reference": f"Patient/{ID}"}
UCUM = "http://unitsofmeasure.org"
CLINICAL_STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
INSTANCE = "00000000-0000-4000-8000-000000000000"
KEYS = {  # which key of the prefetch holds what; results of muscle have their own
    "Observation": "observations",
    "Condition": "conditions",
    "Procedure": "procedures",
    "MedicationRequest": "medications",
}


def request_of(entered: Entered, known: Known, day: date, hook: str) -> dict[str, Any]:
    """A whole CDS Hooks call, with something for every key of the prefetch."""
    prefetch: dict[str, Any] = dict.fromkeys(prefetch_templates(known.index))
    prefetch["patient"] = _patient(entered, day)
    for key, resource in _on_record(entered, known, day):
        found = prefetch[key] or bundle(())
        found["entry"].append({"resource": resource})
        prefetch[key] = found
    prefetch["observations"] = prefetch["observations"] or bundle(())
    return {
        "hook": hook,
        "hookInstance": INSTANCE,
        "context": context(hook, ID, list(_drafts(entered, known))),
        "prefetch": prefetch,
    }


def context(hook: str, patient_id: str, drafted: list[dict[str, Any]]) -> dict[str, Any]:
    """The context of a call, no more than its hook requires; all drafts are selected."""
    values = {
        "userId": "Practitioner/made-up",
        "patientId": patient_id,
        "encounterId": ID,
        "selections": list(map(reference_of, drafted)),
        "draftOrders": bundle(drafted, "collection"),
    }
    fields = ("userId", "patientId", *HOOKS[hook].context)
    return {field: values[field] for field in fields}


def with_draft(request: Mapping[str, Any], order: Mapping[str, Any], hook: str) -> dict[str, Any]:
    """The call with `order`, whose patient it now is about, as its only draft."""
    patient_id = request["context"]["patientId"]
    subject = {"reference": f"Patient/{patient_id}"}
    drafted = {"id": "draft-1", **order, "status": "draft", "subject": subject}
    return {**request, "hook": hook, "context": context(hook, patient_id, [drafted])}


def bundle(resources: Iterable[Mapping[str, Any]], kind: str = "searchset") -> dict[str, Any]:
    """The resources as a search brings them, or as a session holds its drafts: a collection."""
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def _patient(entered: Entered, day: date) -> dict[str, Any]:
    born = entered.born
    if not born and entered.age:
        born = months_before(day, int(float(entered.age)) * 12).isoformat()
    resource = {"resourceType": "Patient", "id": ID, "gender": entered.sex, "birthDate": born}
    return {name: value for name, value in resource.items() if value}


def _on_record(entered: Entered, known: Known, day: date) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, result in enumerate(entered.results.values(), start=1):
        key = "observations"
        if known.index.sets[result.name].topic == "muscle":
            key = "muscle_observations"
        yield key, _observation(number, result, known)
    for number, name in enumerate(entered.conditions, start=1):
        resource = _condition(number, name, known, day)
        yield KEYS[resource["resourceType"]], resource
    for number, drug in enumerate(entered.drugs, start=1):
        yield KEYS["MedicationRequest"], _medication(f"drug-{number}", drug, known, "active")


def _concept(name: str, known: Known, unit: str = "") -> dict[str, Any]:
    """The first code of a value set; of a result, the first that expects such a unit."""
    rows = [row for row in known.index.rows[name] if not row.code.endswith("*")]
    row = next((row for row in rows if _fits(row, unit)), rows[0])
    coding = {"system": row.system, "code": row.code, "display": row.listed}
    return {"coding": [coding], "text": known.index.sets[name].title}


def _fits(row: Row, unit: str) -> bool:
    if row.only_units and unit not in row.only_units:
        return False
    return row.expects is None or (row.expects == "molar") == ("mol" in unit)


def _observation(number: int, result: Result, known: Known) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": f"result-{number}",
        "status": "final",
        "code": _concept(result.name, known, result.unit),
        "subject": SUBJECT,
        "effectiveDateTime": result.day.isoformat(),
    }
    if known.index.sets[result.name].qualitative:
        return {**resource, "valueString": "positive" if result.text == POSITIVE else "negative"}
    quantity: dict[str, Any] = {"value": result.value}
    if result.comparator:
        quantity["comparator"] = result.comparator
    if result.unit != NO_UNIT:
        quantity |= {"unit": result.unit, "system": UCUM, "code": result.unit}
    resource["valueQuantity"] = quantity
    if result.method:
        resource["method"] = {"text": result.method}
    return resource


def _condition(number: int, name: str, known: Known, day: date) -> dict[str, Any]:
    if known.index.sets[name].kind == "procedure":
        return {
            "resourceType": "Procedure",
            "id": f"procedure-{number}",
            "status": "completed",
            "code": _concept(name, known),
            "subject": SUBJECT,
            "performedDateTime": day.isoformat(),
        }
    return {
        "resourceType": "Condition",
        "id": f"condition-{number}",
        "clinicalStatus": {"coding": [{"system": CLINICAL_STATUS, "code": "active"}]},
        "code": _concept(name, known),
        "subject": SUBJECT,
    }


def _medication(id_: str, drug: Drug, known: Known, status: str) -> dict[str, Any]:
    dosage: dict[str, Any] = {
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
    }
    if drug.dose:
        dose = {"value": float(drug.dose), "unit": "ug", "system": UCUM, "code": "ug"}
        dosage["doseAndRate"] = [{"doseQuantity": dose}]
    if drug.route:
        dosage["route"] = _concept(f"route_{drug.route}", known)
    resource: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        "id": id_,
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": _concept(drug.name, known),
        "subject": SUBJECT,
        "dosageInstruction": [dosage],
    }
    if drug.since:
        resource["authoredOn"] = drug.since
    return resource


def _drafts(entered: Entered, known: Known) -> Iterator[dict[str, Any]]:
    kind, _, name = entered.draft.partition(":")
    if not kind:
        return
    if kind == TEMPLATE:
        yield {**draft(known.templates.by_id[name], SUBJECT["reference"], None), "id": "draft-1"}
    elif kind == DRUG:
        drug = Drug(name, dose=entered.draft_dose, route=entered.draft_route)
        yield _medication("draft-1", drug, known, "draft")
    else:
        yield {
            "resourceType": "ServiceRequest",
            "id": "draft-1",
            "status": "draft",
            "intent": "order",
            "code": _concept(name, known),
            "subject": SUBJECT,
        }
