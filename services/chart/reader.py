"""Read FHIR resources of one patient into a `Chart`."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date

from services.chart import conditions, medications
from services.chart.builder import ChartBuilder, ChartKnowledge, build_chart
from services.chart.fhir_values import Resource, parse_date_span, parse_first_day, read_status_code
from services.chart.model import Chart, DroppedReason, Finding
from services.chart.observation_reader import read_observation, write_result
from services.chart.orders import (
    MEDICATION_TYPES,
    ORDER_TYPES,
    is_about_patient,
    read_draft,
    read_order,
)
from services.chart.questionnaires import read_scored_answers
from services.chart.sex import find_clinical_sex

REFERENCED_TYPES = ("Medication", "Device")  # what other resources refer to


def read_chart(
    resources: Iterable[Resource],
    patient_id: str,
    readable: ChartKnowledge,
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
    referred = [r for r in gathered if r.get("resourceType") in REFERENCED_TYPES]
    pages = ChartBuilder(
        patient=f"Patient/{patient_id}",
        today=today,
        last_day=last or today,
        knowledge=readable,
        patient_references=frozenset({f"Patient/{patient_id}", patient_id, *patient_references}),
        drugs=_index_by_reference("Medication", (*referred, *drafted))
        if referred or drafted
        else {},
        devices=_index_by_reference("Device", referred) if referred else {},
        about=about,
    )
    for resource in gathered:
        _read_resource(resource, pages)
    for resource in drafted:
        read_draft(resource, pages)
    return build_chart(pages, frozenset(unknown), frozenset(incomplete))


def _index_by_reference(kind: str, resources: Iterable[Resource]) -> dict[str, Resource]:
    return {
        f"{kind}/{r['id']}": r for r in resources if r.get("resourceType") == kind and "id" in r
    }


def _read_resource(resource: Resource, pages: ChartBuilder) -> None:
    kind = resource.get("resourceType")
    reader = READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        return
    has_id = "id" in resource
    reference = f"{kind}/{resource['id']}" if has_id else f"{kind}/?"
    if kind != "Patient":
        if not is_about_patient(resource, pages):
            return
        if has_id:
            if reference in pages.references_read:
                pages.dropped[DroppedReason.REPEATED] += 1
                return
            pages.references_read.add(reference)
    reader(resource, reference, pages)


def _read_patient(resource: Resource, _reference: str, pages: ChartBuilder) -> None:
    if f"Patient/{resource.get('id')}" != pages.patient:
        pages.dropped[DroppedReason.OTHER_PATIENT] += 1
        return
    pages.sex = find_clinical_sex(resource, pages.knowledge.index, pages.today)
    pages.born = parse_date_span(resource.get("birthDate"))
    pages.deceased = (
        resource.get("deceasedBoolean") is True
        or parse_first_day(resource.get("deceasedDateTime")) is not None
    )


def _read_answers(resource: Resource, reference: str, pages: ChartBuilder) -> None:
    results = read_scored_answers(resource, reference, pages.knowledge, pages.last_day)
    if isinstance(results, str):
        pages.dropped[results] += 1
        return
    for result in results:
        write_result(result, pages)


def _read_condition(resource: Resource, reference: str, pages: ChartBuilder) -> None:
    findings = conditions.read_condition(resource, reference, pages.knowledge.index, pages.today)
    _write_findings(findings, pages)


def _read_procedure(resource: Resource, reference: str, pages: ChartBuilder) -> None:
    findings, injections = conditions.read_procedure(resource, reference, pages.knowledge.index)
    if isinstance(findings, str):
        pages.dropped[findings] += 1
        return
    _write_findings(findings, pages)
    for injection in injections:
        if injection.start is None or injection.start > pages.last_day:
            pages.dropped[
                DroppedReason.UNDATED if injection.start is None else DroppedReason.IN_THE_FUTURE
            ] += 1
        else:
            pages.medications[injection.concept].append(injection)


def _read_family_history(resource: Resource, reference: str, pages: ChartBuilder) -> None:
    _write_findings(
        conditions.read_family_history(resource, reference, pages.knowledge.index), pages
    )


def _read_allergy(resource: Resource, reference: str, pages: ChartBuilder) -> None:
    _write_findings(conditions.read_allergy(resource, reference, pages.knowledge.index), pages)


def _write_findings(findings: list[Finding] | str, pages: ChartBuilder) -> None:
    if isinstance(findings, str):
        pages.dropped[findings] += 1
        return
    for finding in findings:
        if finding.onset is not None and finding.onset > pages.last_day:
            pages.dropped[DroppedReason.IN_THE_FUTURE] += 1
        else:
            pages.findings[finding.concept].append(finding)


def _read_medication(resource: Resource, reference: str, pages: ChartBuilder) -> None:
    index = pages.knowledge.index
    matches = medications.find_drug_matches(resource, index, pages.drugs)
    if not matches:
        return
    status = medications.read_use_status(resource, pages.today)
    if status not in ("current", "past"):
        # Drafts are read from the session alone: what the record calls a draft is nobody's order.
        pages.dropped[read_status_code(resource.get("status")) or DroppedReason.NO_STATUS] += 1
        return
    for drug in medications.build_medications(resource, reference, status, matches, index):
        if drug.start is not None and drug.start > pages.last_day:
            pages.dropped[DroppedReason.IN_THE_FUTURE] += 1
        else:
            pages.medications[drug.concept].append(drug)


READERS: Mapping[str, Callable[[Resource, str, ChartBuilder], None]] = {
    "Patient": _read_patient,
    "Observation": read_observation,
    "QuestionnaireResponse": _read_answers,
    "Condition": _read_condition,
    "Procedure": _read_procedure,
    "FamilyMemberHistory": _read_family_history,
    "AllergyIntolerance": _read_allergy,
    **dict.fromkeys(MEDICATION_TYPES, _read_medication),
    **dict.fromkeys(ORDER_TYPES, read_order),
}
