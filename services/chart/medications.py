"""Drugs requested, stated, given or dispensed, in every release's spelling."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from mappings.terminology.units import convert_unit, normalise
from mappings.terminology.value_set import Match, ValueSetIndex
from services.chart.fhir_values import (
    Resource,
    as_list,
    find_earliest,
    parse_first_day,
    read_codings,
    read_number,
    read_period,
    read_relative_reference,
    read_status_code,
)
from services.chart.model import Medication

ROUTES = {"route_im": "im", "route_oral": "oral", "route_subcutaneous": "subcutaneous"}
DAYS_PER_UNIT = {"d": 1.0, "wk": 7.0, "mo": 30.4375, "a": 365.25, "h": 1 / 24}
# What each status says about taking the drug. A status that is not here says nothing.
USE_STATUSES = {
    "active": "current",
    "in-progress": "current",
    "draft": "draft",
    "on-hold": "past",
    "completed": "past",
    "stopped": "past",
    "ended": "past",
    "recorded": "current",
}
# Where the beginning stands.
START_ELEMENTS = (
    "authoredOn",
    "dateWritten",
    "effectiveDateTime",
    "effectiveTimeDateTime",
    "occurenceDateTime",
    "occurrenceDateTime",
    "whenHandedOver",
)
PERIOD_ELEMENTS = ("effectivePeriod", "effectiveTimePeriod", "occurencePeriod")
UNORDERED_INTENTS = frozenset({"proposal", "plan", "option"})


def list_drug_codings(
    resource: Resource, medications: Mapping[str, Resource]
) -> list[tuple[str, str]]:
    """Codes of the drug itself and of its ingredients.

    The drug stands in the resource, in a contained Medication, or in a Medication that came with
    the same answer.
    """
    codings = []
    for key in ("medicationCodeableConcept", "medication"):
        if key in resource:
            codings += read_codings(resource[key])
    for key in ("medicationReference", "medication"):
        reference = resource.get(key)
        if isinstance(reference, dict):
            target = reference.get("reference", reference)
            drug = _find_referenced_drug(target, resource, medications)
            if drug is not None:
                codings += list_medication_codings(drug)
    return codings


def _find_referenced_drug(
    reference: object, resource: Resource, medications: Mapping[str, Resource]
) -> Resource | None:
    tail = read_relative_reference(reference)
    if tail is None:
        return None
    if tail.startswith("#"):
        inside = (c for c in as_list(resource.get("contained")) if isinstance(c, dict))
        return next((c for c in inside if c.get("id") == tail[1:]), None)
    return medications.get(tail)


def list_medication_codings(drug: Resource) -> Iterator[tuple[str, str]]:
    yield from read_codings(drug.get("code"))
    for ingredient in as_list(drug.get("ingredient")):
        if isinstance(ingredient, dict):
            for key in ("itemCodeableConcept", "item"):
                yield from read_codings(ingredient.get(key))


def list_dosages(resource: Resource) -> list[Mapping[str, Any]]:
    """The dosage instructions, those of a MedicationAdministration included."""
    dosages = resource.get("dosageInstruction") or resource.get("dosage")
    if not dosages:
        return []
    return [dosage for dosage in as_list(dosages) if isinstance(dosage, dict)]


def read_use_status(resource: Resource, today: date) -> str | None:
    """ "current", "past" or "draft"; None where the record says nothing of taking the drug."""
    if resource.get("doNotPerform") is True:
        return None
    kind = resource.get("resourceType")
    status = USE_STATUSES.get(read_status_code(resource.get("status")) or "")
    if status == "current":
        if read_status_code(resource.get("intent")) in UNORDERED_INTENTS:
            return None
        if kind == "MedicationAdministration":
            return "past"
        end = find_last_day(resource)
        return "past" if end is not None and end < today else "current"
    return status


def find_start_day(resource: Resource) -> date | None:
    """The first day on which the drug can have been taken by this record."""
    days = [parse_first_day(resource[key]) for key in START_ELEMENTS if key in resource]
    if not resource.keys().isdisjoint(PERIOD_ELEMENTS):
        days += [read_period(resource[key])[0] for key in PERIOD_ELEMENTS if key in resource]
    for start, _end in _list_bounds(resource):
        days.append(start)
    return days[0] if len(days) == 1 else find_earliest(days)


def find_last_day(resource: Resource) -> date | None:
    """The last day of the course by this record; None where it is open or unknown."""
    bounds = _list_bounds(resource)
    ends = [end for _start, end in bounds if end is not None] if bounds else []
    if "effectivePeriod" in resource:
        end = read_period(resource["effectivePeriod"])[1]
        ends += [] if end is None else [end]
    return max(ends, default=None)


def _list_bounds(resource: Resource) -> Sequence[tuple[date | None, date | None]]:
    dosages = list_dosages(resource)
    if not dosages:
        return ()
    return [
        read_period(repeat["boundsPeriod"])
        for dosage in dosages
        if (repeat := _get_repeat(dosage)) is not None
        and isinstance(repeat.get("boundsPeriod"), dict)
    ]


def _get_repeat(dosage: Mapping[str, Any]) -> Mapping[str, Any] | None:
    timing = dosage.get("timing")
    repeat = timing.get("repeat") if isinstance(timing, dict) else None
    return repeat if isinstance(repeat, dict) else None


def read_route(resource: Resource, index: ValueSetIndex) -> str | None:
    """The route that the dosage states by code; None where it does not."""
    for dosage in list_dosages(resource):
        for system, code in read_codings(dosage.get("route")):
            for match in index.look_up(system, code):
                if match.value_set.name in ROUTES:
                    return ROUTES[match.value_set.name]
    return None


def read_daily_dose(resource: Resource, strength_ug: float | None) -> float | None:
    """The daily dose in micrograms by the first dosage; None where it cannot be told.

    A dose in tablets counts with the strength of the product, a range with its lower end.
    """
    for dosage in list_dosages(resource):
        times = _read_daily_frequency(dosage)
        dose = _read_dose_ug(dosage, strength_ug)
        return None if times is None or dose is None else times * dose
    return None


def _read_daily_frequency(dosage: Mapping[str, Any]) -> float | None:
    repeat = _get_repeat(dosage)
    if repeat is None:
        return None
    each = read_number(repeat.get("period"))
    unit = repeat.get("periodUnit", repeat.get("periodUnits"))
    days = DAYS_PER_UNIT.get(unit) if isinstance(unit, str) else None
    if each is None or days is None or each <= 0:
        return None
    return (read_number(repeat.get("frequency")) or 1.0) / (each * days)


def _read_dose_ug(dosage: Mapping[str, Any], strength_ug: float | None) -> float | None:
    doses = as_list(dosage.get("doseAndRate")) or [dosage]
    for dose in doses:
        match dose:
            case {"doseQuantity": dict() as quantity} | {"doseRange": {"low": dict() as quantity}}:
                pass
            case _:
                continue
        amount = read_number(quantity.get("value"))
        unit = normalise(str(quantity.get("code") or quantity.get("unit") or ""))
        if amount is None:
            return None
        mass = convert_unit(amount, unit, "ug") if unit else None
        if mass is not None:
            return mass
        return None if strength_ug is None or amount <= 0 else amount * strength_ug
    return None


def build_medications(
    resource: Resource,
    reference: str,
    status: str,
    matches: Mapping[str, Match],
    index: ValueSetIndex,
) -> list[Medication]:
    """One Medication for each value set that the drug is in, `matches` by their names."""
    if not matches:
        return []
    start, end, route = (
        find_start_day(resource),
        find_last_day(resource),
        read_route(resource, index),
    )
    return [
        Medication(
            concept=name,
            resource=reference,
            status=status,
            start=start,
            end=end,
            route=route or match.row.route,
            ug_per_day=read_daily_dose(resource, match.row.strength_ug),
            text=match.row.display,
        )
        for name, match in matches.items()
    ]


def find_drug_matches(
    resource: Resource, index: ValueSetIndex, medications: Mapping[str, Resource]
) -> dict[str, Match]:
    """By value set, what a code of the drug matches; empty for other drugs.

    Of several codes of one set the most telling: one with a strength goes before one without.
    """
    best: dict[str, Match] = {}
    for code in list_drug_codings(resource, medications):
        for match in index.look_up(*code):
            if not match.value_set.medication:
                continue
            name = match.value_set.name
            if name not in best or (best[name].row.strength_ug is None and match.row.strength_ug):
                best[name] = match
    return best
