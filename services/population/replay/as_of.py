"""Restore a resource of today's record to how it read at an earlier time.

A record says when something came to be known (`recordedDate`, `issued`, `authoredOn`), and often
when it ended. What ended later had not ended then: a condition resolved since was active, a course
finished since was being taken, a test done since was on its way, and somebody who died since was
alive. What was put on record in error stays out: how long it was believed is not on record.

Not everything can be decided, and unknown is not normal:

- "undated": nothing says when it became known. It is kept, for without it the patient would look
  healthier than anybody knew; what was last written before then was certainly there.
- "end-unknown": it is over, and nothing says since when. It is kept as it is written; an order that
  was carried out, as on its way.
- "death-undated": the patient is dead, and nothing says since when. Kept as it is written.

`meta.lastUpdated` serves no further: it is the day of the last load of a warehouse more often than
that of a clinician's word.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from services.chart.conditions import INACTIVE_STATUSES
from services.chart.fhir_values import (
    Resource,
    as_list,
    read_number,
    read_relative_reference,
    read_status_code,
)
from services.chart.medications import DAYS_PER_UNIT, find_last_day, find_start_day
from services.chart.orders import ORDER_TYPES
from services.population.replay.timestamps import AsOf, parse_fhir_time

DatePath: TypeAlias = str | tuple[str, str]  # a member, or a member of a Period


class ResourceContext(NamedTuple):
    """Dates that the patient's other resources give: ends of visits, first results of orders."""

    visits: Mapping[str, str] = MappingProxyType({})  # "Encounter/1" -> when it was over, or began
    results: Mapping[str, str] = MappingProxyType({})  # "ServiceRequest/1" -> when it had a result


NO_CONTEXT = ResourceContext()
ORDER_DATE_PATHS: tuple[DatePath, ...] = ("authoredOn", "orderedOn", "dateWritten")
ADMINISTRATION_DATE_PATHS: tuple[DatePath, ...] = (
    "effectiveDateTime",
    "effectiveTimeDateTime",
    "occurrenceDateTime",
    "occurenceDateTime",
    ("effectivePeriod", "start"),
    ("effectiveTimePeriod", "start"),
    ("occurrencePeriod", "start"),
    ("occurencePeriod", "start"),
)
# Where it stands since when a resource was known; the first that can be read decides.
RECORDED_DATE_PATHS: Mapping[str, tuple[DatePath, ...]] = {
    "Observation": (
        "issued",
        "effectiveDateTime",
        "effectiveInstant",
        ("effectivePeriod", "end"),
        ("effectivePeriod", "start"),
    ),
    "Condition": (
        "recordedDate",
        "assertedDate",
        "dateRecorded",
        "onsetDateTime",
        ("onsetPeriod", "start"),
    ),
    "Procedure": (
        "recorded",
        "performedDateTime",
        "occurrenceDateTime",
        ("performedPeriod", "end"),
        ("performedPeriod", "start"),
        ("occurrencePeriod", "end"),
        ("occurrencePeriod", "start"),
    ),
    "QuestionnaireResponse": ("authored",),
    "AllergyIntolerance": ("recordedDate", "assertedDate", "onsetDateTime", "onset"),
    "FamilyMemberHistory": ("date",),
    "MedicationRequest": ORDER_DATE_PATHS,
    "MedicationOrder": ORDER_DATE_PATHS,
    "MedicationStatement": ("dateAsserted", *ADMINISTRATION_DATE_PATHS),
    "MedicationUsage": ("dateAsserted", *ADMINISTRATION_DATE_PATHS),
    "MedicationAdministration": ("recorded", *ADMINISTRATION_DATE_PATHS),
    "MedicationDispense": ("whenHandedOver", "whenPrepared", "recorded"),
    **dict.fromkeys(ORDER_TYPES, ORDER_DATE_PATHS),
}
ENDED_STATUSES = frozenset({"completed", "stopped", "ended"})
ACTIVE_STATUSES = {
    "Task": "in-progress",
    "DiagnosticOrder": "in-progress",
}  # of other orders "active"


def restore_resource(
    resource: Resource,
    as_of: AsOf,
    context: ResourceContext = NO_CONTEXT,
    undecided: list[str] | None = None,
) -> Resource | None:
    """Restore `resource` as of a time: itself where nothing differs, None where it was not there.

    What cannot be decided is named in `undecided`.
    """
    kind = resource.get("resourceType")
    paths = RECORDED_DATE_PATHS.get(kind) if isinstance(kind, str) else None
    if paths is None:
        return _restore_patient(resource, as_of, undecided) if kind == "Patient" else resource
    is_past = None
    for path in paths:
        text = resource.get(path) if isinstance(path, str) else _get_nested(path, resource)
        if text is not None:
            is_past = as_of.is_past(text)
            if is_past is not None:
                break
    else:
        is_past = _decide_undated(resource, as_of, context, undecided)
    if not is_past:
        return None
    restore = RESTORERS.get(kind) if isinstance(kind, str) else None
    return resource if restore is None else restore(resource, as_of, context, undecided)


def find_recorded_date(resource: Resource) -> str | None:
    """Find the first date since when `resource` was known; None where it has none."""
    for path in RECORDED_DATE_PATHS.get(str(resource.get("resourceType")), ()):
        text = resource.get(path) if isinstance(path, str) else _get_nested(path, resource)
        if isinstance(text, str) and parse_fhir_time(text) is not None:
            return text
    return None


def _get_nested(path: tuple[str, str], resource: Resource) -> object:
    within = resource.get(path[0])
    return within.get(path[1]) if isinstance(within, dict) else None


def find_visit(resource: Resource) -> str | None:
    """ "Encounter/1" that `resource` came of; STU3 says `context`."""
    return read_relative_reference(resource.get("encounter", resource.get("context")))


def _decide_undated(
    resource: Resource, as_of: AsOf, context: ResourceContext, undecided: list[str] | None
) -> bool:
    """A resource without a date is as old as the visit that it came of."""
    if context.visits:
        is_past = as_of.is_past(context.visits.get(find_visit(resource) or ""))
        if is_past is not None:
            return is_past
    if not _is_written_by(resource, as_of) and undecided is not None:
        undecided.append("undated")
    return True


def _is_written_by(resource: Resource, as_of: AsOf) -> bool:
    """Whether it has not been updated since."""
    meta = resource.get("meta")
    return isinstance(meta, dict) and as_of.is_past(meta.get("lastUpdated")) is True


def _keep_as_written(resource: Resource, as_of: AsOf, undecided: list[str] | None) -> Resource:
    """Keep a resource that is over, nobody knows since when."""
    if undecided is not None and not _is_written_by(resource, as_of):
        undecided.append("end-unknown")
    return resource


def _restore_patient(resource: Resource, as_of: AsOf, undecided: list[str] | None) -> Resource:
    if "deceasedDateTime" in resource:
        is_past = as_of.is_past(resource["deceasedDateTime"])
        if is_past is False:
            return remove_death(resource)
        if is_past:
            return resource
    if resource.get("deceasedBoolean") is True and undecided is not None:
        undecided.append("death-undated")
    return resource


def remove_death(patient: Resource) -> Resource:
    """`patient` without a word of death."""
    return {name: value for name, value in patient.items() if not name.startswith("deceased")}


def _restore_condition(
    resource: Resource, as_of: AsOf, _context: ResourceContext, undecided: list[str] | None
) -> Resource:
    status = resource.get("clinicalStatus")
    is_over = read_status_code(status) in INACTIVE_STATUSES
    text = resource.get("abatementDateTime")
    if text is None:
        text = _get_nested(("abatementPeriod", "end"), resource)
    is_past = None if text is None else as_of.is_past(text)
    if is_past:
        return resource
    if is_past is None:
        is_over = is_over or resource.get("abatementBoolean") is True
        return _keep_as_written(resource, as_of, undecided) if is_over else resource
    restored = {name: value for name, value in resource.items() if not name.startswith("abatement")}
    return restored | {"clinicalStatus": _make_active_status(status)} if is_over else restored


def _make_active_status(status: object) -> object:
    """ "active" in the shape of the status that it replaces."""
    if not isinstance(status, dict):
        return "active"
    first = next((c for c in as_list(status.get("coding")) if isinstance(c, dict)), {})
    system = {"system": first["system"]} if "system" in first else {}
    return {"coding": [{**system, "code": "active"}]}


def _restore_course(
    resource: Resource, as_of: AsOf, _context: ResourceContext, undecided: list[str] | None
) -> Resource:
    if read_status_code(resource.get("status")) not in ENDED_STATUSES:
        return resource
    end = _find_course_end(resource)
    if end is None:
        return _keep_as_written(resource, as_of, undecided)
    return resource if end < as_of.today else {**resource, "status": "active"}


def _find_course_end(resource: Resource) -> date | None:
    """The last day of a course: as stated, as supplied for, or as the prescription is valid."""
    end = find_last_day(resource)
    dispensing = resource.get("dispenseRequest")
    if end is not None or not isinstance(dispensing, dict):
        return end
    start, days = find_start_day(resource), _compute_days_supplied(dispensing)
    if start is not None and days is not None:
        try:
            return start + timedelta(days=days)
        except OverflowError:
            return None
    text = _get_nested(("validityPeriod", "end"), dispensing)
    valid = parse_fhir_time(text) if isinstance(text, str) else None
    return valid.day if valid else None


def _compute_days_supplied(dispensing: Resource) -> float | None:
    """How many days the supply lasts, repeats included."""
    duration = dispensing.get("expectedSupplyDuration")
    if not isinstance(duration, dict):
        return None
    amount, unit = read_number(duration.get("value")), duration.get("code", duration.get("unit"))
    days = DAYS_PER_UNIT.get(unit) if isinstance(unit, str) else None
    if amount is None or days is None:
        return None
    return amount * days * (1 + (read_number(dispensing.get("numberOfRepeatsAllowed")) or 0))


def _restore_order(
    resource: Resource, as_of: AsOf, context: ResourceContext, undecided: list[str] | None
) -> Resource:
    if read_status_code(resource.get("status")) != "completed":
        return resource
    kind = resource["resourceType"]
    text = context.results.get(f"{kind}/{resource.get('id')}")
    is_past = as_of.is_past(text or _get_nested(("executionPeriod", "end"), resource))
    if is_past:
        return resource
    if is_past is None:
        if _is_written_by(resource, as_of):
            return resource
        if undecided is not None:
            undecided.append("end-unknown")
    return {**resource, "status": ACTIVE_STATUSES.get(kind, "active")}


RESTORERS: Mapping[str, Callable[[Resource, AsOf, ResourceContext, list[str] | None], Resource]] = {
    "Condition": _restore_condition,
    **dict.fromkeys(
        ("MedicationRequest", "MedicationOrder", "MedicationStatement", "MedicationUsage"),
        _restore_course,
    ),
    **dict.fromkeys(ORDER_TYPES, _restore_order),
}
