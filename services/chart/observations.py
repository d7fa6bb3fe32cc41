"""Observations: results with units, antibodies that are present or absent, findings noted."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from mappings.terminology.units import normalise
from mappings.terminology.value_set import Match
from mappings.text import as_amount, make_text
from services.chart.fhir_values import (
    Resource,
    as_list,
    parse_date_span,
    read_codings,
    read_number,
    read_period,
    read_relative_reference,
    read_status_code,
)
from services.chart.model import DroppedReason, Finding, Measurement, UnusableReason, UnusableResult
from services.chart.quantities import Scale, read_quantity, read_reference_range

# How a method is written: there is no code for it that could be verified.
METHODS = {
    "DXA": re.compile(r"\b(dxa|dexa|dual[- ]energy x[- ]ray)\b"),
    "BIA": re.compile(r"\b(bia|bioimpedance|bioelectrical impedance)\b"),
}
USABLE_STATUSES = frozenset({"final", "amended", "corrected"})
NO_FLAGS: frozenset[str] = frozenset()
# HL7's code system v3-ObservationInterpretation, and the words laboratories write instead.
POSITIVE_WORDS = frozenset({"POS", "A", "AA", "H", "HH", "positive", "detected", "present", "yes"})
NEGATIVE_WORDS = frozenset({"NEG", "N", "L", "negative", "not detected", "absent", "no"})


@lru_cache(8192)
def parse_timestamp(text: str) -> tuple[date, str] | None:
    """The day of a timestamp, and the timestamp; the same few come again and again."""
    span = parse_date_span(text)
    return (span[0], text) if span else None


def read_effective_time(resource: Resource) -> tuple[date, str] | None:
    """The day of an Observation and its full timestamp; None where undated.

    A month or a year alone counts from its first day: rather too old than too new.
    """
    text = resource.get("effectiveDateTime", resource.get("effectiveInstant"))
    if isinstance(text, str):
        return parse_timestamp(text)
    match resource:
        case {"effectivePeriod": dict() as within}:
            start, end = read_period(within)
            day = start or end
            return (day, day.isoformat()) if day else None
    return None


def flag_unit_mismatch(match: Match, unit: str) -> frozenset[str]:
    """A flag where the code says mass and the unit says moles, or the other way round."""
    expects = match.row.expects
    if not expects or (expects == "molar") == ("mol" in unit):
        return NO_FLAGS
    return frozenset({"warn-code-unit-mismatch"})


def read_measurement(
    source: Resource,
    match: Match,
    when: tuple[date, str],
    reference: str,
    scaled_by: Mapping[tuple[str, str], Scale],
    devices: Mapping[str, Resource] | None = None,
) -> Measurement | UnusableResult:
    """`source`, an Observation or one of its components, as a measurement of `match`."""
    quantity = source["valueQuantity"] if "valueQuantity" in source else source.get("valueInteger")
    value_set, row, day = match.value_set, match.row, when[0]
    read = read_quantity(quantity, match, scaled_by)
    if value_set.refused is not None:
        return UnusableResult(
            value_set.name,
            UnusableReason.REFUSED,
            reference,
            day,
            _format_reported_number(quantity),
        )
    if isinstance(read, UnusableReason):
        return UnusableResult(
            value_set.name, read, reference, day, _format_reported_number(quantity)
        )
    value, unit, comparator, reported = read
    low, high = read_reference_range(source, unit) if "referenceRange" in source else (None, None)
    return Measurement(
        value_set.name,
        value,
        unit,
        day,
        reference,
        comparator,
        when[1],
        low,
        high,
        reported,
        flag_unit_mismatch(match, unit) if row.expects else NO_FLAGS,
        row.code,
        row.rank,
        _read_method(source, match, devices or {}) if value_set.has_method else None,
        row.side,
    )


def _read_method(resource: Resource, match: Match, devices: Mapping[str, Resource]) -> str | None:
    """ "DXA" or "BIA" by the code, the method or the device; None where neither or both are."""
    if match.row.method is not None:
        return match.row.method
    device = resource.get("device")
    texts = [*_list_texts(resource.get("method"))]
    if isinstance(device, dict):
        texts.append(device.get("display"))
        inside = (c for c in as_list(resource.get("contained")) if isinstance(c, dict))
        devices_by_reference = {f"#{c.get('id')}": c for c in inside} | dict(devices)
        target = devices_by_reference.get(read_relative_reference(device) or "")
        if target is not None:
            texts += [*_list_texts(target.get("type"))]
            names = (n for n in as_list(target.get("deviceName")) if isinstance(n, dict))
            texts += [name.get("name") for name in names]
    words = " ".join(text.casefold() for text in texts if isinstance(text, str))
    methods = {name for name, pattern in METHODS.items() if pattern.search(words)}
    return methods.pop() if len(methods) == 1 else None


def _list_texts(concept: object) -> Iterator[object]:
    for part in as_list(concept):
        if isinstance(part, dict):
            yield part.get("text")
            for coding in _list_codings(part):
                yield coding.get("display")
                yield coding.get("code")


def read_walking_speed(
    source: Resource,
    parts: Iterable[tuple[Resource, Match]],
    match: Match,
    when: tuple[date, str],
    reference: str,
    scaled_by: Mapping[tuple[str, str], Scale],
) -> Measurement | UnusableResult:
    """The speed of a timed walk: the course is part of the code, or stands beside the time."""
    timed = read_measurement(source, match, when, reference, scaled_by)
    if isinstance(timed, UnusableResult):
        return timed._replace(observation="gait_speed")
    distance = match.row.distance_m
    if distance is None:
        for part, beside in parts:
            if beside.value_set.name == "walk_distance":
                read = read_measurement(part, beside, when, reference, scaled_by)
                distance = read.value if isinstance(read, Measurement) else None
    if distance is None or timed.comparator is not None:
        return UnusableResult(
            "gait_speed", UnusableReason.NO_DISTANCE, reference, when[0], timed.reported
        )
    course = make_text("{time} for {distance} m", time=as_amount(timed.reported), distance=distance)
    return timed._replace(
        observation="gait_speed", value=distance / timed.value, unit="m/s", reported=course
    )


def _format_reported_number(quantity: object) -> str:
    """The number alone, for the clinician to look up; the unit is what could not be read."""
    amount = read_number(quantity.get("value")) if isinstance(quantity, dict) else None
    return "" if amount is None else f"{amount:g}"


def read_outcome(source: Resource) -> bool | None:
    """Whether what was looked for is there; None where the result does not say."""
    match source:
        case {"valueBoolean": bool(answer)}:
            return answer
        case {"valueString": str(text)}:
            return _interpret_words([text.strip().casefold()])
        case {"valueCodeableConcept": dict() as concept}:
            words = [concept.get("text"), *(c.get("display") for c in _list_codings(concept))]
            outcome = _interpret_words(
                [word.strip().casefold() for word in words if isinstance(word, str)]
            )
            if outcome is not None:
                return outcome
        case {"valueQuantity": dict() as quantity}:
            return _is_above_range(source, quantity)
    interpreted = [
        code for i in as_list(source.get("interpretation")) for _, code in read_codings(i)
    ]
    return _interpret_words(interpreted)


def _list_codings(concept: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (coding for coding in as_list(concept.get("coding")) if isinstance(coding, dict))


def _interpret_words(words: list[str]) -> bool | None:
    if any(word in POSITIVE_WORDS for word in words):
        return True
    return False if any(word in NEGATIVE_WORDS for word in words) else None


def _is_above_range(source: Resource, quantity: Mapping[str, Any]) -> bool | None:
    """Whether an antibody's amount is above its laboratory's own upper limit."""
    amount = read_number(quantity.get("value"))
    unit = normalise(str(quantity.get("code") or quantity.get("unit") or ""))
    _low, high = read_reference_range(source, unit) if unit else (None, None)
    if amount is None or high is None:
        return _interpret_words(
            [c for i in as_list(source.get("interpretation")) for _, c in read_codings(i)]
        )
    return amount > high


def read_noted_finding(source: Resource, match: Match, reference: str, day: date) -> Finding | None:
    """A symptom or habit noted as an Observation; None where it was looked for and not found.

    A bare Observation of the finding states it; a value that is neither yes nor no states nothing.
    """
    if "dataAbsentReason" in source:
        return None
    valued = any(key.startswith("value") for key in source) or "interpretation" in source
    if valued and not read_outcome(source):
        return None
    return Finding(match.value_set.name, reference, day, match.row.display)


def check_status(resource: Resource) -> str | None:
    """None for a result that may be read; otherwise the reason to leave it."""
    status = resource.get("status")
    status = status if isinstance(status, str) else read_status_code(status)
    if status in USABLE_STATUSES:
        return None
    return (
        status
        if status in ("entered-in-error", "cancelled", "preliminary")
        else DroppedReason.NOT_FINAL
    )
