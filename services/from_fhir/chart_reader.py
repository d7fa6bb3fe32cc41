"""One walk over what an EHR sent for one patient."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from mappings.value_set import Match, ValueSetIndex
from services.chart import (
    Chart,
    Finding,
    Measurement,
    Medication,
    Order,
    Qualitative,
    Unusable,
)
from services.from_fhir import conditions, medications, observations
from services.from_fhir.values import (
    Resource,
    as_list,
    codings,
    first_day,
    reference_tail,
    span_of_date,
    status_code,
)

ORDER_TYPES = frozenset({"ServiceRequest", "ProcedureRequest", "DiagnosticOrder"})
OPEN_ORDERS = frozenset({"active", "draft", "on-hold", "requested", "proposed", "in-progress"})
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


@dataclass(frozen=True, slots=True)
class Readable:
    """What reading needs to know besides the resources; compiled once, at start."""

    index: ValueSetIndex
    plausible: Mapping[tuple[str, str], tuple[float, float]]  # (observation, unit) -> low, high


@dataclass(slots=True)
class _Pages:
    """The chart while it is being written."""

    patient: str
    today: date
    last: date  # nothing dated later is known yet
    readable: Readable
    patient_references: frozenset[str]
    drugs: Mapping[str, Resource] = field(default_factory=dict)
    sex: str | None = None
    born: tuple[date, date] | None = None
    deceased: bool = False
    measurements: dict[str, list[Measurement]] = field(default_factory=lambda: defaultdict(list))
    unusable: dict[str, list[Unusable]] = field(default_factory=lambda: defaultdict(list))
    qualitative: dict[str, list[Qualitative]] = field(default_factory=lambda: defaultdict(list))
    findings: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    medications: dict[str, list[Medication]] = field(default_factory=lambda: defaultdict(list))
    orders: dict[str, list[Order]] = field(default_factory=lambda: defaultdict(list))
    dropped: Counter[str] = field(default_factory=Counter)
    in_same_words: object = field(default_factory=object)
    seen: set[str] = field(default_factory=set)


def read_chart(
    resources: Iterable[Resource],
    patient_id: str,
    readable: Readable,
    *,
    today: date,
    last: date | None = None,
    drafts: Iterable[Resource] = (),
    patient_references: Iterable[str] = (),
    unknown: Iterable[str] = (),
    incomplete: Iterable[str] = (),
) -> Chart:
    """The chart of patient `patient_id` as known on `today`.

    `last` is the latest day a resource may bear (a day after `today` where the patient may be
    ahead of our clock); `drafts` are the orders of the session, not yet in the record;
    `patient_references` are further references that mean this patient, such as a Bundle's
    `urn:uuid`. `unknown` and `incomplete` name what could not be had.
    """
    gathered = list(resources)
    drafted = list(drafts)
    pages = _Pages(
        patient=f"Patient/{patient_id}",
        today=today,
        last=last or today,
        readable=readable,
        patient_references=frozenset({f"Patient/{patient_id}", patient_id, *patient_references}),
        drugs={
            f"Medication/{r['id']}": r
            for r in (*gathered, *drafted)
            if r.get("resourceType") == "Medication" and "id" in r
        },
    )
    for resource in gathered:
        _read(resource, pages)
    for resource in drafted:
        _read_draft(resource, pages)
    return _bound(pages, frozenset(unknown), frozenset(incomplete))


def _bound(pages: _Pages, unknown: frozenset[str], incomplete: frozenset[str]) -> Chart:
    for results in pages.measurements.values():
        results.sort(key=_newest_first, reverse=True)
    for antibodies in pages.qualitative.values():
        antibodies.sort(key=lambda result: result.day, reverse=True)
    return Chart(
        patient=pages.patient,
        today=pages.today,
        sex=pages.sex,
        born=pages.born,
        deceased=pages.deceased,
        measurements={name: tuple(found) for name, found in pages.measurements.items()},
        unusable={name: tuple(found) for name, found in pages.unusable.items()},
        qualitative={name: tuple(found) for name, found in pages.qualitative.items()},
        findings={name: tuple(found) for name, found in pages.findings.items()},
        medications={name: tuple(found) for name, found in pages.medications.items()},
        orders={name: tuple(found) for name, found in pages.orders.items()},
        unknown=unknown,
        incomplete=incomplete,
        dropped=dict(pages.dropped),
    )


def _newest_first(result: Measurement) -> tuple[date, str, int, str]:
    # Of results of one moment, a value goes before a bound and a preferred code before another;
    # the reference only makes the order the same each time.
    return (
        result.day,
        result.instant,
        -result.rank if result.comparator is None else -99,
        result.resource,
    )


def _read(resource: Resource, pages: _Pages) -> None:
    kind = resource.get("resourceType")
    reader = READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        return
    reference = f"{kind}/{resource.get('id', '?')}"
    if kind != "Patient":
        if not _is_about(resource, pages):
            return
        if "id" in resource:
            if reference in pages.seen:
                pages.dropped["repeated"] += 1
                return
            pages.seen.add(reference)
    reader(resource, reference, pages)


def _is_about(resource: Resource, pages: _Pages) -> bool:
    about = resource.get("subject", resource.get("patient"))
    # Nearly every resource of an answer refers to the patient in the same words.
    if isinstance(about, dict) and about.get("reference") == pages.in_same_words:
        return True
    tail = reference_tail(about)
    if tail in pages.patient_references:
        pages.in_same_words = about.get("reference") if isinstance(about, dict) else None
        return True
    pages.dropped["no-patient" if tail is None else "other-patient"] += 1
    return False


def _read_patient(resource: Resource, _reference: str, pages: _Pages) -> None:
    if f"Patient/{resource.get('id')}" != pages.patient:
        pages.dropped["other-patient"] += 1
        return
    if resource.get("gender") in ("male", "female"):
        pages.sex = resource["gender"]
    pages.born = span_of_date(resource.get("birthDate"))
    pages.deceased = (
        resource.get("deceasedBoolean") is True
        or first_day(resource.get("deceasedDateTime")) is not None
    )


def _read_observation(resource: Resource, reference: str, pages: _Pages) -> None:
    coded = [(resource, match) for match in _matches(resource, pages)]
    if "component" in resource:
        parts = (c for c in as_list(resource["component"]) if isinstance(c, dict))
        coded += [(part, match) for part in parts for match in _matches(part, pages)]
    if not coded:
        return
    reason = observations.usable_status(resource)
    when = observations.taken(resource)
    if reason is None:
        reason = "undated" if when is None else None
    if when is not None and when[0] > pages.last:
        reason = "in-the-future"
    if reason is not None or when is None:
        pages.dropped[reason or "undated"] += 1
        return
    for part, match in coded:
        _write_observation(part, match, reference, when, pages)


def _matches(part: Resource, pages: _Pages) -> list[Match]:
    """One match for each value set that the code is in, or the coded answer of a question is."""
    found: dict[str, Match] = {}
    lookup = pages.readable.index.lookup
    for system, code in codings(part.get("code")):
        for match in lookup(system, code):
            found.setdefault(match.value_set.name, match)
    if "valueCodeableConcept" in part:
        for coding in codings(part["valueCodeableConcept"]):
            for match in lookup(*coding):
                if match.value_set.kind == "condition":
                    found.setdefault(f"={match.value_set.name}", match)
    return list(found.values())


def _write_observation(
    part: Resource, match: Match, reference: str, when: tuple[date, str], pages: _Pages
) -> None:
    name = match.value_set.name
    if match.value_set.kind == "condition":
        answered = any(
            m.value_set.name == name
            for coding in codings(part.get("valueCodeableConcept"))
            for m in pages.readable.index.lookup(*coding)
        )
        finding = (
            Finding(name, reference, when[0], match.row.display)
            if answered
            else observations.noted_finding(part, match, reference, when[0])
        )
        if finding is not None:
            pages.findings[name].append(finding)
    elif match.value_set.kind == "observation":
        if match.value_set.qualitative:
            positive = observations.outcome(part)
            if positive is None:
                pages.dropped["no-outcome"] += 1
            else:
                pages.qualitative[name].append(Qualitative(name, positive, when[0], reference))
        elif "hasMember" not in part or "valueQuantity" in part:
            result = observations.measurement(
                part, match, when, reference, pages.readable.plausible
            )
            if isinstance(result, Measurement):
                pages.measurements[name].append(result)
            else:
                pages.unusable[name].append(result)
                pages.dropped[result.reason] += 1


def _read_condition(resource: Resource, reference: str, pages: _Pages) -> None:
    found = conditions.condition(resource, reference, pages.readable.index, pages.today)
    _write_findings(found, pages)


def _read_procedure(resource: Resource, reference: str, pages: _Pages) -> None:
    found, injections = conditions.procedure(resource, reference, pages.readable.index)
    if isinstance(found, str):
        pages.dropped[found] += 1
        return
    _write_findings(found, pages)
    for injection in injections:
        if injection.start is None or injection.start > pages.last:
            pages.dropped["undated" if injection.start is None else "in-the-future"] += 1
        else:
            pages.medications[injection.concept].append(injection)


def _read_family_history(resource: Resource, reference: str, pages: _Pages) -> None:
    _write_findings(conditions.family_history(resource, reference, pages.readable.index), pages)


def _read_allergy(resource: Resource, reference: str, pages: _Pages) -> None:
    _write_findings(conditions.allergy(resource, reference, pages.readable.index), pages)


def _write_findings(found: list[Finding] | str, pages: _Pages) -> None:
    if isinstance(found, str):
        pages.dropped[found] += 1
        return
    for finding in found:
        if finding.onset is not None and finding.onset > pages.last:
            pages.dropped["in-the-future"] += 1
        else:
            pages.findings[finding.concept].append(finding)


def _read_medication(resource: Resource, reference: str, pages: _Pages) -> None:
    status = medications.taking(resource, pages.today)
    drugs = medications.medications_of(
        resource, reference, status or "", pages.readable.index, pages.drugs
    )
    if drugs and status not in ("current", "past"):
        # Drafts are read from the session alone: what the record calls a draft is nobody's order.
        pages.dropped[status_code(resource.get("status")) or "no-status"] += 1
        return
    for drug in drugs:
        if drug.start is not None and drug.start > pages.last:
            pages.dropped["in-the-future"] += 1
        else:
            pages.medications[drug.concept].append(drug)


def _read_order(resource: Resource, reference: str, pages: _Pages) -> None:
    if status_code(resource.get("status")) in OPEN_ORDERS:
        _write_order(resource, reference, "active", pages)


def _write_order(resource: Resource, reference: str, status: str, pages: _Pages) -> None:
    day = first_day(resource.get("authoredOn", resource.get("orderedOn")))
    for match in _order_matches(resource, pages):
        name = match.value_set.name
        if match.value_set.kind in ("observation", "order"):
            pages.orders[name].append(Order(name, reference, status, day))


def _order_matches(resource: Resource, pages: _Pages) -> Iterable[Match]:
    lookup = pages.readable.index.lookup
    found: dict[str, Match] = {}
    places = [resource.get("code"), *(i.get("code") for i in _items(resource))]
    for place in places:
        for coding in codings(place):
            for match in lookup(*coding):
                found.setdefault(match.value_set.name, match)
    return found.values()


def _items(resource: Resource) -> list[Resource]:
    return [item for item in as_list(resource.get("item")) if isinstance(item, dict)]


def _read_draft(resource: Resource, pages: _Pages) -> None:
    kind = resource.get("resourceType")
    reference = f"{kind}/{resource.get('id', '?')}"
    if kind == "Medication" or not _is_about(resource, pages):
        return
    if kind in ORDER_TYPES:
        _write_order(resource, reference, "draft", pages)
    elif kind in MEDICATION_TYPES:
        for drug in medications.medications_of(
            resource, reference, "draft", pages.readable.index, pages.drugs
        ):
            pages.medications[drug.concept].append(drug)


READERS: Mapping[str, Callable[[Resource, str, _Pages], None]] = {
    "Patient": _read_patient,
    "Observation": _read_observation,
    "Condition": _read_condition,
    "Procedure": _read_procedure,
    "FamilyMemberHistory": _read_family_history,
    "AllergyIntolerance": _read_allergy,
    **dict.fromkeys(MEDICATION_TYPES, _read_medication),
    **dict.fromkeys(ORDER_TYPES, _read_order),
}
