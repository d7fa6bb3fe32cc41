"""The made-up patient as the FHIR that an EHR would send, coded by the value sets' first codes."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from cds_hooks.protocol.hook_request import HOOKS, build_reference
from mappings.actions.order_template import draft_order
from mappings.terminology.value_set import CodeRow
from services.chart.model import subtract_months
from services.hooks.catalog import build_prefetch_templates
from services.knowledge.site import SiteKnowledge
from services.web.what_if.form import POSITIVE, EnteredDrug, EnteredResult, PatientForm
from services.web.what_if.form_fields import DRUG, NO_UNIT, TEMPLATE

PATIENT_ID = "made-up"
SUBJECT = {"reference": f"Patient/{PATIENT_ID}"}
UCUM = "http://unitsofmeasure.org"
CLINICAL_STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
HOOK_INSTANCE = "00000000-0000-4000-8000-000000000000"
PREFETCH_KEYS = {  # which key of the prefetch holds what; results of muscle have their own
    "Observation": "observations",
    "Condition": "conditions",
    "Procedure": "procedures",
    "MedicationRequest": "medications",
}


def build_request(
    form: PatientForm, knowledge: SiteKnowledge, day: date, hook: str
) -> dict[str, Any]:
    """A whole CDS Hooks call, with something for every key of the prefetch."""
    prefetch: dict[str, Any] = dict.fromkeys(build_prefetch_templates(knowledge.index))
    prefetch["patient"] = _build_patient(form, day)
    for key, resource in _build_resources(form, knowledge, day):
        bundle = prefetch[key] or build_bundle(())
        bundle["entry"].append({"resource": resource})
        prefetch[key] = bundle
    prefetch["observations"] = prefetch["observations"] or build_bundle(())
    return {
        "hook": hook,
        "hookInstance": HOOK_INSTANCE,
        "context": build_context(hook, PATIENT_ID, list(_build_drafts(form, knowledge))),
        "prefetch": prefetch,
    }


def build_context(hook: str, patient_id: str, drafted: list[dict[str, Any]]) -> dict[str, Any]:
    """The context of a call, no more than its hook requires; all drafts are selected."""
    values = {
        "userId": "Practitioner/made-up",
        "patientId": patient_id,
        "encounterId": PATIENT_ID,
        "selections": list(map(build_reference, drafted)),
        "draftOrders": build_bundle(drafted, "collection"),
    }
    fields = ("userId", "patientId", *HOOKS[hook].context)
    return {field: values[field] for field in fields}


def replace_draft(
    request: Mapping[str, Any], order: Mapping[str, Any], hook: str
) -> dict[str, Any]:
    """The call with `order`, whose patient it now is about, as its only draft."""
    patient_id = request["context"]["patientId"]
    subject = {"reference": f"Patient/{patient_id}"}
    drafted = {"id": "draft-1", **order, "status": "draft", "subject": subject}
    return {**request, "hook": hook, "context": build_context(hook, patient_id, [drafted])}


def build_bundle(resources: Iterable[Mapping[str, Any]], kind: str = "searchset") -> dict[str, Any]:
    """The resources as a search brings them, or as a session holds its drafts: a collection."""
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def _build_patient(form: PatientForm, day: date) -> dict[str, Any]:
    born = form.born
    if not born and form.age:
        born = subtract_months(day, int(float(form.age)) * 12).isoformat()
    resource = {
        "resourceType": "Patient",
        "id": PATIENT_ID,
        "gender": form.sex,
        "birthDate": born,
    }
    return {name: value for name, value in resource.items() if value}


def _build_resources(
    form: PatientForm, knowledge: SiteKnowledge, day: date
) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, result in enumerate(form.results.values(), start=1):
        key = "observations"
        if knowledge.index.sets[result.name].topic == "muscle":
            key = "muscle_observations"
        yield key, _build_observation(number, result, knowledge)
    for number, name in enumerate(form.conditions, start=1):
        resource = _build_condition(number, name, knowledge, day)
        yield PREFETCH_KEYS[resource["resourceType"]], resource
    for number, drug in enumerate(form.drugs, start=1):
        yield (
            PREFETCH_KEYS["MedicationRequest"],
            _build_medication(f"drug-{number}", drug, knowledge, "active"),
        )


def _build_concept(name: str, knowledge: SiteKnowledge, unit: str = "") -> dict[str, Any]:
    """The first code of a value set; of a result, the first that expects such a unit."""
    rows = [row for row in knowledge.index.rows[name] if not row.code.endswith("*")]
    row = next((row for row in rows if _fits_unit(row, unit)), rows[0])
    coding = {"system": row.system, "code": row.code, "display": row.listed}
    return {"coding": [coding], "text": knowledge.index.sets[name].title}


def _fits_unit(row: CodeRow, unit: str) -> bool:
    if row.only_units and unit not in row.only_units:
        return False
    return row.expects is None or (row.expects == "molar") == ("mol" in unit)


def _build_observation(
    number: int, result: EnteredResult, knowledge: SiteKnowledge
) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "id": f"result-{number}",
        "status": "final",
        "code": _build_concept(result.name, knowledge, result.unit),
        "subject": SUBJECT,
        "effectiveDateTime": result.day.isoformat(),
    }
    if knowledge.index.sets[result.name].qualitative:
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


def _build_condition(number: int, name: str, knowledge: SiteKnowledge, day: date) -> dict[str, Any]:
    if knowledge.index.sets[name].kind == "procedure":
        return {
            "resourceType": "Procedure",
            "id": f"procedure-{number}",
            "status": "completed",
            "code": _build_concept(name, knowledge),
            "subject": SUBJECT,
            "performedDateTime": day.isoformat(),
        }
    return {
        "resourceType": "Condition",
        "id": f"condition-{number}",
        "clinicalStatus": {"coding": [{"system": CLINICAL_STATUS, "code": "active"}]},
        "code": _build_concept(name, knowledge),
        "subject": SUBJECT,
    }


def _build_medication(
    id_: str, drug: EnteredDrug, knowledge: SiteKnowledge, status: str
) -> dict[str, Any]:
    dosage: dict[str, Any] = {
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
    }
    if drug.dose:
        dose = {"value": float(drug.dose), "unit": "ug", "system": UCUM, "code": "ug"}
        dosage["doseAndRate"] = [{"doseQuantity": dose}]
    if drug.route:
        dosage["route"] = _build_concept(f"route_{drug.route}", knowledge)
    resource: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        "id": id_,
        "status": status,
        "intent": "order",
        "medicationCodeableConcept": _build_concept(drug.name, knowledge),
        "subject": SUBJECT,
        "dosageInstruction": [dosage],
    }
    if drug.since:
        resource["authoredOn"] = drug.since
    return resource


def _build_drafts(form: PatientForm, knowledge: SiteKnowledge) -> Iterator[dict[str, Any]]:
    kind, _, name = form.draft.partition(":")
    if not kind:
        return
    if kind == TEMPLATE:
        yield {
            **draft_order(knowledge.templates.by_id[name], SUBJECT["reference"], None),
            "id": "draft-1",
        }
    elif kind == DRUG:
        drug = EnteredDrug(name, dose=form.draft_dose, route=form.draft_route)
        yield _build_medication("draft-1", drug, knowledge, "draft")
    else:
        yield {
            "resourceType": "ServiceRequest",
            "id": "draft-1",
            "status": "draft",
            "intent": "order",
            "code": _build_concept(name, knowledge),
            "subject": SUBJECT,
        }
