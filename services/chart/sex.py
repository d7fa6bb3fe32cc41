"""Find the sex whose limits apply; a sex parameter for clinical use goes before gender."""

from collections.abc import Iterator
from datetime import date

from mappings.terminology.value_set import ValueSetIndex
from services.chart.fhir_values import Resource, as_list, read_codings, read_period

CLINICAL_USE = "http://hl7.org/fhir/StructureDefinition/patient-sexParameterForClinicalUse"
RECORDED = "http://hl7.org/fhir/StructureDefinition/individual-recordedSexOrGender"
PERIOD_ELEMENTS = ("period", "effectivePeriod")
SEXES = ("male", "female")
NEITHER_SEX = "neither_sex"


def find_clinical_sex(patient: Resource, index: ValueSetIndex, today: date) -> str | None:
    """ "male", "female", or None: unknown, other, or statements that disagree.

    The first of the two extensions that makes a statement decides, then `gender`. A statement
    that is neither, such as "specified", decides as well: no sex's limits apply. What is stated
    for clinical use in a code that cannot be read is such a statement; what is merely recorded in
    one is none.
    """
    for url in (CLINICAL_USE, RECORDED) if "extension" in patient else ():
        stated = set(_list_stated_sexes(patient, url, index, today))
        if url == RECORDED:
            stated.discard(None)
        if stated:
            sex = stated.pop() if len(stated) == 1 else None
            return sex if sex in SEXES else None
    gender = patient.get("gender")
    return gender if gender in SEXES else None


def _list_stated_sexes(
    patient: Resource, url: str, index: ValueSetIndex, today: date
) -> Iterator[str | None]:
    for extension in as_list(patient.get("extension")):
        if not isinstance(extension, dict) or extension.get("url") != url:
            continue
        parts = {
            part["url"]: part
            for part in as_list(extension.get("extension"))
            if isinstance(part, dict) and isinstance(part.get("url"), str)
        }
        if (
            any(_is_over(parts.get(name), today) for name in PERIOD_ELEMENTS)
            or "value" not in parts
        ):
            continue
        concept = parts["value"].get("valueCodeableConcept", parts["value"].get("valueCoding"))
        sexes = {
            match.value_set.name
            for coding in read_codings(concept)
            for match in index.look_up(*coding)
            if match.value_set.name in (*SEXES, NEITHER_SEX)
        }
        yield sexes.pop() if len(sexes) == 1 else None


def _is_over(part: Resource | None, today: date) -> bool:
    start, end = read_period(part.get("valuePeriod")) if part else (None, None)
    return (end is not None and end < today) or (start is not None and start > today)
