"""Find the would-be calls of a record: charts opened, orders chosen and signed.

A chart is opened once for each visit, at its start. Orders of one moment, visit and requester are
one session. What no clinician signs is no such moment: drafts, plans, what a laboratory or pharmacy
makes of an order, and what is only reported of others' prescriptions.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from cds_hooks.protocol.hook_request import ORDER_SELECT, ORDER_SIGN, PATIENT_VIEW
from services.chart.fhir_values import (
    Resource,
    as_list,
    read_codings,
    read_relative_reference,
    read_status_code,
)
from services.chart.medications import UNORDERED_INTENTS
from services.population.replay.as_of import find_visit
from services.population.replay.timestamps import FhirTime, parse_fhir_time

# The hooks whose moments a record shows, in the order in which one moment calls them.
REPLAYED_HOOKS = (PATIENT_VIEW.name, ORDER_SELECT.name, ORDER_SIGN.name)
DEFAULT_HOOKS = (PATIENT_VIEW.name, ORDER_SIGN.name)
NO_VISIT_STATUSES = frozenset({"planned", "cancelled", "entered-in-error"})
PREADMISSION = "PRENC"  # HL7's v3-ActCode: papers before a stay, and nobody seen
SIGNED_TYPES = frozenset(
    {"MedicationRequest", "MedicationOrder", "ServiceRequest", "ProcedureRequest"}
    | {"DiagnosticOrder"}
)
UNSIGNED_STATUSES = frozenset({"draft", "proposed", "planned", "entered-in-error"})
DERIVED_INTENTS = frozenset({"instance-order", "filler-order", "reflex-order"})


class CallEvent(NamedTuple):
    """One would-be call."""

    at: datetime  # in UTC
    hook: str
    encounter: str | None  # id
    practitioner: str | None  # "Practitioner/7"
    orders: tuple[Resource, ...] = ()  # of the session, as drafts
    about: frozenset[str] | None = None  # those of them that the call is about; None: all


def list_events(
    resources: Iterable[Resource],
    first: date,
    last: date,
    hooks: Iterable[str] = DEFAULT_HOOKS,
    undated: Counter[str] | None = None,
) -> list[CallEvent]:
    """List the would-be calls of `hooks` from `first` to `last`, in the order of time.

    Visits and orders without a day are counted in `undated`.
    """
    records = list(resources)
    counts = Counter[str]() if undated is None else undated
    starts = dict(_find_visit_starts(records))
    events = [*_list_visit_events(records, counts), *_list_order_events(records, starts, counts)]
    wanted_hooks = frozenset(hooks)
    return sorted(
        (
            event
            for event in events
            if event.hook in wanted_hooks and first <= event.at.date() <= last
        ),
        key=lambda event: (
            event.at,
            REPLAYED_HOOKS.index(event.hook),
            event.encounter or "",
            event.practitioner or "",
            len(event.orders),
        ),
    )


def _find_visit_starts(resources: Iterable[Resource]) -> Iterator[tuple[str, FhirTime]]:
    for resource in resources:
        if resource.get("resourceType") == "Encounter":
            stamp = _read_visit_start(resource)
            if stamp is not None:
                yield f"Encounter/{resource.get('id')}", stamp


def get_visit_period(encounter: Resource) -> Mapping[str, Any]:
    """The period of a visit; R5 says `actualPeriod`."""
    period = encounter.get("actualPeriod", encounter.get("period"))
    return period if isinstance(period, dict) else {}


def _read_visit_start(encounter: Resource) -> FhirTime | None:
    text = get_visit_period(encounter).get("start")
    return parse_fhir_time(text) if isinstance(text, str) else None


def _list_visit_events(resources: Iterable[Resource], undated: Counter[str]) -> Iterator[CallEvent]:
    for resource in resources:
        if resource.get("resourceType") != "Encounter" or not _has_taken_place(resource):
            continue
        start = _read_visit_start(resource)
        if start is None or start.moment is None:
            undated["visit-undated"] += 1
            continue
        parts = [p for p in as_list(resource.get("participant")) if isinstance(p, dict)]
        clinicians = (find_clinician(part.get("individual", part.get("actor"))) for part in parts)
        practitioner = next((clinician for clinician in clinicians if clinician is not None), None)
        yield CallEvent(start.moment, PATIENT_VIEW.name, _read_id(resource.get("id")), practitioner)


def _has_taken_place(encounter: Resource) -> bool:
    if read_status_code(encounter.get("status")) in NO_VISIT_STATUSES:
        return False
    return all(code != PREADMISSION for _system, code in read_codings(encounter.get("class")))


def _list_order_events(
    resources: Iterable[Resource], starts: Mapping[str, FhirTime], undated: Counter[str]
) -> Iterator[CallEvent]:
    sessions: dict[tuple[datetime, str | None, str | None], list[Resource]] = {}
    for resource in resources:
        if not _is_signed(resource):
            continue
        visit = find_visit(resource)
        at = _find_signing_time(resource, starts.get(visit or ""))
        if at is None:
            undated["order-undated"] += 1
            continue
        signer = resource.get("requester", resource.get("prescriber", resource.get("orderer")))
        encounter = _read_id(visit.rpartition("/")[2]) if visit else None
        sessions.setdefault((at, encounter, find_clinician(signer)), []).append(as_draft(resource))
    for (at, encounter, requester), drafts in sessions.items():
        for count, draft in enumerate(drafts, start=1):
            about = frozenset({f"{draft['resourceType']}/{draft.get('id', '?')}"})
            yield CallEvent(
                at, ORDER_SELECT.name, encounter, requester, tuple(drafts[:count]), about
            )
        yield CallEvent(at, ORDER_SIGN.name, encounter, requester, tuple(drafts))


def _is_signed(resource: Resource) -> bool:
    if resource.get("resourceType") not in SIGNED_TYPES or resource.get("doNotPerform") is True:
        return False
    if read_status_code(resource.get("status")) in UNSIGNED_STATUSES:
        return False
    if read_status_code(resource.get("intent")) in UNORDERED_INTENTS | DERIVED_INTENTS:
        return False
    reported = (resource.get("reportedBoolean"), resource.get("reported"))
    return True not in reported and "reportedReference" not in resource


def _find_signing_time(order: Resource, visit: FhirTime | None) -> datetime | None:
    """When an order was signed; of one with no hour, when the visit of its day began."""
    texts = (order.get(name) for name in ("authoredOn", "orderedOn", "dateWritten"))
    stamp = next((s for t in texts if isinstance(t, str) and (s := parse_fhir_time(t))), None)
    if stamp is None:
        return None
    if visit is not None and stamp.is_whole_day and visit.day == stamp.day:
        return visit.moment
    return stamp.moment


def as_draft(order: Resource) -> dict[str, Any]:
    """An order as it was before it was signed."""
    later = ("status", "statusReason")
    return {name: value for name, value in order.items() if name not in later} | {"status": "draft"}


def find_clinician(reference: object) -> str | None:
    """ "Practitioner/7" of a reference to a clinician; None for anybody or anything else.

    STU3 has the clinician one level deeper; some have no more than an identifier.
    """
    if not isinstance(reference, dict):
        return None
    if isinstance(reference.get("agent"), dict):
        return find_clinician(reference["agent"])
    match reference:
        case {"reference": str(text)}:
            if text.startswith("Practitioner?"):
                return text
            tail = read_relative_reference(reference)
            is_clinician = tail is not None and tail.startswith(("Practitioner", "urn:"))
            return tail if is_clinician else None
        case {"identifier": {"value": str(value), **others}}:
            return f"{others.get('system', '')}|{value}"
    return None


def _read_id(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
