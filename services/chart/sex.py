"""Which sex's limits apply: what is stated for clinical use goes before what is merely recorded."""

from collections.abc import Iterator
from datetime import date

from mappings.terminology.value_set import ValueSetIndex
from services.chart.fhir_values import Resource, as_list, codings, period

CLINICAL_USE = "http://hl7.org/fhir/StructureDefinition/patient-sexParameterForClinicalUse"
RECORDED = "http://hl7.org/fhir/StructureDefinition/individual-recordedSexOrGender"
PERIODS = ("period", "effectivePeriod")
SEXES = ("male", "female")
NEITHER = "neither_sex"


def clinical_sex(patient: Resource, index: ValueSetIndex, today: date) -> str | None:
    """ "male", "female", or None: unknown, other, or statements that disagree.

    The first of the two extensions that makes a statement decides, then `gender`. A statement
    that is neither, such as "specified", decides as well: no sex's limits apply. What is stated
    for clinical use in a code that cannot be read is such a statement; what is merely recorded in
    one is none.
    """
    for url in (CLINICAL_USE, RECORDED) if "extension" in patient else ():
        stated = set(_stated(patient, url, index, today))
        if url == RECORDED:
            stated.discard(None)
        if stated:
            sex = stated.pop() if len(stated) == 1 else None
            return sex if sex in SEXES else None
    gender = patient.get("gender")
    return gender if gender in SEXES else None


def _stated(patient: Resource, url: str, index: ValueSetIndex, today: date) -> Iterator[str | None]:
    for extension in as_list(patient.get("extension")):
        if not isinstance(extension, dict) or extension.get("url") != url:
            continue
        parts = {
            part["url"]: part
            for part in as_list(extension.get("extension"))
            if isinstance(part, dict) and isinstance(part.get("url"), str)
        }
        if any(_is_over(parts.get(name), today) for name in PERIODS) or "value" not in parts:
            continue
        concept = parts["value"].get("valueCodeableConcept", parts["value"].get("valueCoding"))
        named = {
            match.value_set.name
            for coding in codings(concept)
            for match in index.lookup(*coding)
            if match.value_set.name in (*SEXES, NEITHER)
        }
        yield named.pop() if len(named) == 1 else None


def _is_over(part: Resource | None, today: date) -> bool:
    start, end = period(part.get("valuePeriod")) if part else (None, None)
    return (end is not None and end < today) or (start is not None and start > today)
