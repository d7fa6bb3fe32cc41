"""One walk over what an EHR sent for one patient."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

from mappings.value_set import Match
from services.chart import (
    Chart,
    Finding,
    Measurement,
    Qualitative,
    Unable,
    Unusable,
)
from services.from_fhir import conditions, medications, observations
from services.from_fhir.answers import scored_answers
from services.from_fhir.orders import (
    MEDICATION_TYPES,
    ORDER_TYPES,
    is_about,
    read_draft,
    read_order,
)
from services.from_fhir.pages import Pages, Readable, bound
from services.from_fhir.sex import clinical_sex
from services.from_fhir.values import (
    Resource,
    as_list,
    codings,
    first_day,
    span_of_date,
    status_code,
)

REFERRED = ("Medication", "Device")  # what other resources refer to
# What an Observation says once for all its components.
OF_THE_WHOLE = ("method", "device", "contained")


def read_chart(
    resources: Iterable[Resource],
    patient_id: str,
    readable: Readable,
    *,
    today: date,
    last: date | None = None,
    drafts: Iterable[Resource] = (),
    about: frozenset[str] | None = None,
    patient_references: Iterable[str] = (),
    unknown: Iterable[str] = (),
    incomplete: Iterable[str] = (),
) -> Chart:
    """The chart of patient `patient_id` as known on `today`.

    `last` is the latest day a resource may bear (a day after `today` where the patient may be
    ahead of our clock); `drafts` are the orders of the session, not yet in the record;
    `about` names those of them that the call is about, None all of them;
    `patient_references` are further references that mean this patient, such as a Bundle's
    `urn:uuid`. `unknown` and `incomplete` name what could not be had.
    """
    gathered = list(resources)
    drafted = list(drafts)
    referred = [r for r in gathered if r.get("resourceType") in REFERRED]
    pages = Pages(
        patient=f"Patient/{patient_id}",
        today=today,
        last=last or today,
        readable=readable,
        patient_references=frozenset({f"Patient/{patient_id}", patient_id, *patient_references}),
        drugs=_by_reference("Medication", (*referred, *drafted)) if referred or drafted else {},
        devices=_by_reference("Device", referred) if referred else {},
        about=about,
    )
    for resource in gathered:
        _read(resource, pages)
    for resource in drafted:
        read_draft(resource, pages)
    return bound(pages, frozenset(unknown), frozenset(incomplete))


def _by_reference(kind: str, resources: Iterable[Resource]) -> dict[str, Resource]:
    return {
        f"{kind}/{r['id']}": r for r in resources if r.get("resourceType") == kind and "id" in r
    }


def _read(resource: Resource, pages: Pages) -> None:
    kind = resource.get("resourceType")
    reader = READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        return
    named = "id" in resource
    reference = f"{kind}/{resource['id']}" if named else f"{kind}/?"
    if kind != "Patient":
        if not is_about(resource, pages):
            return
        if named:
            if reference in pages.seen:
                pages.dropped["repeated"] += 1
                return
            pages.seen.add(reference)
    reader(resource, reference, pages)


def _read_patient(resource: Resource, _reference: str, pages: Pages) -> None:
    if f"Patient/{resource.get('id')}" != pages.patient:
        pages.dropped["other-patient"] += 1
        return
    pages.sex = clinical_sex(resource, pages.readable.index, pages.today)
    pages.born = span_of_date(resource.get("birthDate"))
    pages.deceased = (
        resource.get("deceasedBoolean") is True
        or first_day(resource.get("deceasedDateTime")) is not None
    )


def _read_observation(resource: Resource, reference: str, pages: Pages) -> None:
    matches = _matches(resource, pages)
    if "component" in resource:
        coded = [*((resource, match) for match in matches), *_components(resource, pages)]
    else:
        coded = [(resource, match) for match in matches] if matches else []
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
        _write_observation(part, match, reference, when, pages, coded)


def _components(resource: Resource, pages: Pages) -> list[tuple[Resource, Match]]:
    parts = (c for c in as_list(resource["component"]) if isinstance(c, dict))
    whole = {key: resource[key] for key in OF_THE_WHOLE if key in resource}
    return [({**whole, **part}, match) for part in parts for match in _matches(part, pages)]


def _matches(part: Resource, pages: Pages) -> Sequence[Match]:
    """One match for each value set that the code is in, or the coded answer of a question is."""
    lookup = pages.readable.index.lookup
    codes = codings(part.get("code"))
    if len(codes) == 1 and "valueCodeableConcept" not in part:
        matched = lookup(*codes[0])
        if len(matched) < 2:  # nearly always
            return matched
    found: dict[str, Match] = {}
    for system, code in codes:
        for match in lookup(system, code):
            found.setdefault(match.value_set.name, match)
    if "valueCodeableConcept" in part:
        for coding in codings(part["valueCodeableConcept"]):
            for match in lookup(*coding):
                if match.value_set.kind == "condition":
                    found.setdefault(f"={match.value_set.name}", match)
    return list(found.values())


def _write_observation(
    part: Resource,
    match: Match,
    reference: str,
    when: tuple[date, str],
    pages: Pages,
    beside: Iterable[tuple[Resource, Match]],
) -> None:
    kind, name = match.value_set.kind, match.value_set.name
    if kind == "condition":
        _write_noted(part, match, reference, when[0], pages)
    elif kind != "observation":
        return
    elif match.value_set.qualitative:
        positive = observations.outcome(part)
        if positive is None:
            pages.dropped["no-outcome"] += 1
        else:
            pages.qualitative[name].append(Qualitative(name, positive, when[0], reference))
    elif "valueCodeableConcept" in part and _unable(part, pages):
        tested = "gait_speed" if name == "walk_time" else name
        pages.unable[tested].append(Unable(tested, when[0], reference))
    elif name == "walk_time":
        scales = pages.readable.scales
        speed = observations.walking_speed(part, beside, match, when, reference, scales)
        _write_result(speed, pages)
    elif "hasMember" not in part or not _is_heading(part):
        read = observations.measurement(
            part, match, when, reference, pages.readable.scales, pages.devices
        )
        _write_result(read, pages)


def _write_noted(part: Resource, match: Match, reference: str, day: date, pages: Pages) -> None:
    """A condition noted as an Observation, by its code or as the coded answer to a question."""
    name = match.value_set.name
    answered = any(
        m.value_set.name == name
        for coding in codings(part.get("valueCodeableConcept"))
        for m in pages.readable.index.lookup(*coding)
    )
    finding = (
        Finding(name, reference, day, match.row.display)
        if answered
        else observations.noted_finding(part, match, reference, day)
    )
    if finding is not None:
        pages.findings[name].append(finding)


def _is_heading(part: Resource) -> bool:
    """Whether the values stand in the members, and not here."""
    return "hasMember" in part and "valueQuantity" not in part and "valueInteger" not in part


def _unable(part: Resource, pages: Pages) -> bool:
    """Whether the result says that the test could not be done or completed."""
    return any(
        match.value_set.name == "unable"
        for coding in codings(part["valueCodeableConcept"])
        for match in pages.readable.index.lookup(*coding)
    )


def _write_result(result: Measurement | Unusable, pages: Pages) -> None:
    if isinstance(result, Measurement):
        pages.measurements[result.observation].append(result)
    else:
        pages.unusable[result.observation].append(result)
        pages.dropped[result.reason] += 1


def _read_answers(resource: Resource, reference: str, pages: Pages) -> None:
    found = scored_answers(resource, reference, pages.readable, pages.last)
    if isinstance(found, str):
        pages.dropped[found] += 1
        return
    for result in found:
        _write_result(result, pages)


def _read_condition(resource: Resource, reference: str, pages: Pages) -> None:
    found = conditions.condition(resource, reference, pages.readable.index, pages.today)
    _write_findings(found, pages)


def _read_procedure(resource: Resource, reference: str, pages: Pages) -> None:
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


def _read_family_history(resource: Resource, reference: str, pages: Pages) -> None:
    _write_findings(conditions.family_history(resource, reference, pages.readable.index), pages)


def _read_allergy(resource: Resource, reference: str, pages: Pages) -> None:
    _write_findings(conditions.allergy(resource, reference, pages.readable.index), pages)


def _write_findings(found: list[Finding] | str, pages: Pages) -> None:
    if isinstance(found, str):
        pages.dropped[found] += 1
        return
    for finding in found:
        if finding.onset is not None and finding.onset > pages.last:
            pages.dropped["in-the-future"] += 1
        else:
            pages.findings[finding.concept].append(finding)


def _read_medication(resource: Resource, reference: str, pages: Pages) -> None:
    index = pages.readable.index
    matches = medications.drug_matches(resource, index, pages.drugs)
    if not matches:
        return
    status = medications.taking(resource, pages.today)
    if status not in ("current", "past"):
        # Drafts are read from the session alone: what the record calls a draft is nobody's order.
        pages.dropped[status_code(resource.get("status")) or "no-status"] += 1
        return
    for drug in medications.medications_of(resource, reference, status, matches, index):
        if drug.start is not None and drug.start > pages.last:
            pages.dropped["in-the-future"] += 1
        else:
            pages.medications[drug.concept].append(drug)


READERS: Mapping[str, Callable[[Resource, str, Pages], None]] = {
    "Patient": _read_patient,
    "Observation": _read_observation,
    "QuestionnaireResponse": _read_answers,
    "Condition": _read_condition,
    "Procedure": _read_procedure,
    "FamilyMemberHistory": _read_family_history,
    "AllergyIntolerance": _read_allergy,
    **dict.fromkeys(MEDICATION_TYPES, _read_medication),
    **dict.fromkeys(ORDER_TYPES, read_order),
}
