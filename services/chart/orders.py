"""Orders on record, and the drafts of the session."""

from collections.abc import Iterable

from mappings.actions.order_template import find_order_concept
from mappings.terminology.value_set import Match
from services.chart import medications
from services.chart.builder import ChartBuilder
from services.chart.fhir_values import (
    Resource,
    as_list,
    parse_first_day,
    read_codings,
    read_relative_reference,
    read_status_code,
)
from services.chart.model import DroppedReason, Order

ORDER_TYPES = frozenset({"ServiceRequest", "ProcedureRequest", "DiagnosticOrder", "Task"})
# A draft of the session with one of these is no longer about to be ordered.
WITHDRAWN_STATUSES = frozenset(
    {"cancelled", "entered-in-error", "revoked", "stopped", "completed", "rejected", "failed"}
)


OPEN_STATUSES = frozenset(
    {"active", "draft", "on-hold", "requested", "proposed", "in-progress", "received", "accepted"}
    | {"ready"}  # the last three are a Task's
)


MEDICATION_TYPES = frozenset(
    {
        "MedicationRequest",
        "MedicationOrder",
        "MedicationStatement",
        "MedicationUsage",
        "MedicationAdministration",
        "MedicationDispense",
    }
)


def is_about_patient(resource: Resource, pages: ChartBuilder) -> bool:
    about = (
        resource["subject"]
        if "subject" in resource
        else resource.get("patient", resource.get("for"))
    )
    # Nearly every resource of an answer refers to the patient in the same words.
    if isinstance(about, dict) and about.get("reference") == pages.last_matching_reference:
        return True
    tail = read_relative_reference(about)
    if tail in pages.patient_references:
        pages.last_matching_reference = about.get("reference") if isinstance(about, dict) else None
        return True
    pages.dropped[DroppedReason.NO_PATIENT if tail is None else DroppedReason.OTHER_PATIENT] += 1
    return False


def read_order(resource: Resource, reference: str, pages: ChartBuilder) -> None:
    if read_status_code(resource.get("status")) in OPEN_STATUSES:
        _write_order(resource, reference, "active", pages)


def _write_order(resource: Resource, reference: str, status: str, pages: ChartBuilder) -> None:
    day = parse_first_day(resource.get("authoredOn", resource.get("orderedOn")))
    matched = {
        match.value_set.name: match.value_set for match in _find_order_matches(resource, pages)
    }
    uris = resource.get("instantiatesUri")  # a Task has one, a ServiceRequest a list
    for uri in uris if isinstance(uris, list) else [uris]:
        name = find_order_concept(uri, pages.knowledge.index) if isinstance(uri, str) else None
        if name is not None:
            matched[name] = pages.knowledge.index.sets[name]
    for name, value_set in matched.items():
        if value_set.kind in ("observation", "order"):
            pages.orders[name].append(Order(name, reference, status, day))


def _find_order_matches(resource: Resource, pages: ChartBuilder) -> Iterable[Match]:
    places = [resource.get("code"), *(i.get("code") for i in _list_items(resource))]
    return pages.knowledge.index.match_codes(
        coding for place in places for coding in read_codings(place)
    )


def _list_items(resource: Resource) -> list[Resource]:
    return [item for item in as_list(resource.get("item")) if isinstance(item, dict)]


def read_draft(resource: Resource, pages: ChartBuilder) -> None:
    kind = resource.get("resourceType")
    reference = f"{kind}/{resource.get('id', '?')}"
    if kind == "Medication" or not is_about_patient(resource, pages):
        return
    if (
        resource.get("doNotPerform") is True
        or read_status_code(resource.get("status")) in WITHDRAWN_STATUSES
    ):
        pages.dropped[DroppedReason.NOT_ORDERED] += 1
        return
    if kind in ORDER_TYPES:
        _write_order(resource, reference, "draft", pages)
    elif kind in MEDICATION_TYPES:
        index = pages.knowledge.index
        matches = medications.find_drug_matches(resource, index, pages.drugs)
        for drug in medications.build_medications(resource, reference, "draft", matches, index):
            pages.medications[drug.concept].append(drug)
