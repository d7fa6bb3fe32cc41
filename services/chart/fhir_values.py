"""Reading the small shapes of FHIR, in every release that EHRs still send.

R4 is meant; STU3, DSTU2 and R5 spellings of the same thing are accepted, and an object where R4
has a list. A shape that is none of these reads as nothing, never as an error.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

Resource: TypeAlias = Mapping[str, Any]


def as_list(value: object) -> list[Any]:
    """A list as it is, an object as a list of one, nothing as an empty list."""
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, dict) else []


def read_codings(concept: object) -> list[tuple[str, str]]:
    """(system, code) of every coding of a CodeableConcept, Coding, or R5 CodeableReference."""
    if isinstance(concept, list):
        return [coding for part in concept for coding in read_codings(part)]
    if not isinstance(concept, dict):
        return []
    listed = concept.get("coding")
    if not isinstance(listed, list):
        if "coding" not in concept and isinstance(concept.get("concept"), dict):
            return read_codings(concept["concept"])
        listed = as_list(listed) if "coding" in concept else (concept,)
    codings = []
    for coding in listed:
        if isinstance(coding, dict):
            system, code = coding.get("system"), coding.get("code")
            if isinstance(system, str) and isinstance(code, str):
                codings.append((system, code))
    return codings


def read_status_code(value: object) -> str | None:
    """The code of a status: a plain code (STU3) or a CodeableConcept of HL7's own code system."""
    if isinstance(value, str):
        return value
    codings = read_codings(value) if isinstance(value, dict) else ()
    return codings[0][1] if codings else None


def read_relative_reference(reference: object) -> str | None:
    """ "Patient/1" of a relative, absolute or versioned reference; None where there is none."""
    text = reference.get("reference") if isinstance(reference, dict) else reference
    return make_relative_reference(text) if isinstance(text, str) else None


@lru_cache(1024)
def make_relative_reference(text: str) -> str:
    """ "Patient/1" of the text of a reference."""
    text = text.partition("/_history/")[0]
    if text.startswith(("urn:", "#")) or "/" not in text:
        return text
    kind, _, id_ = text.rstrip("/").rpartition("/")
    return f"{kind.rpartition('/')[2]}/{id_}"


def parse_date_span(text: object) -> tuple[date, date] | None:
    """The first and last day that a FHIR date, full or partial, or a dateTime may mean.

    The day is the one written, at the place where it was written: an offset does not move it.
    """
    if not isinstance(text, str):
        return None
    try:
        match len(text):
            case 4:
                return date(int(text), 1, 1), date(int(text), 12, 31)
            case 7:
                first = date.fromisoformat(f"{text}-01")
                after = (first + timedelta(days=31)).replace(day=1)
                return first, after - timedelta(days=1)
            case length if length >= 10:
                day = date.fromisoformat(text[:10])
                return (day, day) if length == 10 or text[10] in "T " else None
    except (ValueError, OverflowError):
        pass
    return None


def parse_first_day(text: object) -> date | None:
    """The first day that a date may mean; None where it is no date."""
    span = parse_date_span(text)
    return span[0] if span else None


@lru_cache(8192)
def make_sort_key(text: str) -> str:
    """A timestamp that sorts with others whatever their offsets; a bare day sorts at its start."""
    if len(text) <= 10:
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text[:10]
    if moment.tzinfo is None:
        return text
    try:
        return moment.astimezone(UTC).isoformat()
    except OverflowError:
        return text[:10]


def read_period(value: object) -> tuple[date | None, date | None]:
    """Start and end of a FHIR Period."""
    if not isinstance(value, dict):
        return None, None
    end = parse_date_span(value.get("end"))
    return parse_first_day(value.get("start")), end[1] if end else None


def read_number(value: object) -> float | None:
    """A JSON number; a boolean or a string is none."""
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def find_earliest(days: Iterable[date | None]) -> date | None:
    """The earliest of the days that are known."""
    return min((day for day in days if day is not None), default=None)
