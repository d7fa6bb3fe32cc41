"""Orders on record, and the drafts of the session."""

from collections.abc import Iterable

from mappings.actions.order_template import order_concept
from mappings.terminology.value_set import Match
from services.chart import medications
from services.chart.builder import Pages
from services.chart.fhir_values import (
    Resource,
    as_list,
    codings,
    first_day,
    reference_tail,
    status_code,
)
from services.chart.model import Order

ORDER_TYPES = frozenset({"ServiceRequest", "ProcedureRequest", "DiagnosticOrder", "Task"})
# A draft of the session with one of these is no longer about to be ordered.
WITHDRAWN = frozenset(
    {"cancelled", "entered-in-error", "revoked", "stopped", "completed", "rejected", "failed"}
)


OPEN_ORDERS = frozenset(
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


def is_about(resource: Resource, pages: Pages) -> bool:
    about = (
        resource["subject"]
        if "subject" in resource
        else resource.get("patient", resource.get("for"))
    )
    # Nearly every resource of an answer refers to the patient in the same words.
    if isinstance(about, dict) and about.get("reference") == pages.in_same_words:
        return True
    tail = reference_tail(about)
    if tail in pages.patient_references:
        pages.in_same_words = about.get("reference") if isinstance(about, dict) else None
        return True
    pages.dropped["no-patient" if tail is None else "other-patient"] += 1
    return False


def read_order(resource: Resource, reference: str, pages: Pages) -> None:
    if status_code(resource.get("status")) in OPEN_ORDERS:
        _write_order(resource, reference, "active", pages)


def _write_order(resource: Resource, reference: str, status: str, pages: Pages) -> None:
    day = first_day(resource.get("authoredOn", resource.get("orderedOn")))
    matched = {match.value_set.name: match.value_set for match in _order_matches(resource, pages)}
    uris = resource.get("instantiatesUri")  # a Task has one, a ServiceRequest a list
    for uri in uris if isinstance(uris, list) else [uris]:
        name = order_concept(uri, pages.readable.index) if isinstance(uri, str) else None
        if name is not None:
            matched[name] = pages.readable.index.sets[name]
    for name, value_set in matched.items():
        if value_set.kind in ("observation", "order"):
            pages.orders[name].append(Order(name, reference, status, day))


def _order_matches(resource: Resource, pages: Pages) -> Iterable[Match]:
    places = [resource.get("code"), *(i.get("code") for i in _items(resource))]
    return pages.readable.index.matches(coding for place in places for coding in codings(place))


def _items(resource: Resource) -> list[Resource]:
    return [item for item in as_list(resource.get("item")) if isinstance(item, dict)]


def read_draft(resource: Resource, pages: Pages) -> None:
    kind = resource.get("resourceType")
    reference = f"{kind}/{resource.get('id', '?')}"
    if kind == "Medication" or not is_about(resource, pages):
        return
    if resource.get("doNotPerform") is True or status_code(resource.get("status")) in WITHDRAWN:
        pages.dropped["not-ordered"] += 1
        return
    if kind in ORDER_TYPES:
        _write_order(resource, reference, "draft", pages)
    elif kind in MEDICATION_TYPES:
        index = pages.readable.index
        matches = medications.drug_matches(resource, index, pages.drugs)
        for drug in medications.medications_of(resource, reference, "draft", matches, index):
            pages.medications[drug.concept].append(drug)
