"""Drugs requested, stated, given or dispensed, in every release's spelling."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from mappings.terminology.units import normalise, to_unit
from mappings.terminology.value_set import Match, ValueSetIndex
from services.chart.fhir_values import (
    Resource,
    as_list,
    codings,
    earliest,
    first_day,
    number,
    period,
    reference_tail,
    status_code,
)
from services.chart.model import Medication

ROUTES = {"route_im": "im", "route_oral": "oral", "route_subcutaneous": "subcutaneous"}
DAYS_IN = {"d": 1.0, "wk": 7.0, "mo": 30.4375, "a": 365.25, "h": 1 / 24}
# What each status says about taking the drug. A status that is not here says nothing.
TAKING = {
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
STARTS = (
    "authoredOn",
    "dateWritten",
    "effectiveDateTime",
    "effectiveTimeDateTime",
    "occurenceDateTime",
    "occurrenceDateTime",
    "whenHandedOver",
)
PERIODS = ("effectivePeriod", "effectiveTimePeriod", "occurencePeriod")
NOT_ORDERED = frozenset({"proposal", "plan", "option"})


def drug_codings(resource: Resource, medications: Mapping[str, Resource]) -> list[tuple[str, str]]:
    """Codes of the drug itself and of its ingredients.

    The drug stands in the resource, in a contained Medication, or in a Medication that came with
    the same answer.
    """
    found = []
    for key in ("medicationCodeableConcept", "medication"):
        if key in resource:
            found += codings(resource[key])
    for key in ("medicationReference", "medication"):
        reference = resource.get(key)
        if isinstance(reference, dict):
            target = reference.get("reference", reference)
            drug = _referred(target, resource, medications)
            if drug is not None:
                found += codings_of_drug(drug)
    return found


def _referred(
    reference: object, resource: Resource, medications: Mapping[str, Resource]
) -> Resource | None:
    tail = reference_tail(reference)
    if tail is None:
        return None
    if tail.startswith("#"):
        inside = (c for c in as_list(resource.get("contained")) if isinstance(c, dict))
        return next((c for c in inside if c.get("id") == tail[1:]), None)
    return medications.get(tail)


def codings_of_drug(drug: Resource) -> Iterator[tuple[str, str]]:
    yield from codings(drug.get("code"))
    for ingredient in as_list(drug.get("ingredient")):
        if isinstance(ingredient, dict):
            for key in ("itemCodeableConcept", "item"):
                yield from codings(ingredient.get(key))


def dosages(resource: Resource) -> list[Mapping[str, Any]]:
    """The dosage instructions, those of a MedicationAdministration included."""
    found = resource.get("dosageInstruction") or resource.get("dosage")
    if not found:
        return []
    return [dosage for dosage in as_list(found) if isinstance(dosage, dict)]


def taking(resource: Resource, today: date) -> str | None:
    """ "current", "past" or "draft"; None where the record says nothing of taking the drug."""
    if resource.get("doNotPerform") is True:
        return None
    kind = resource.get("resourceType")
    status = TAKING.get(status_code(resource.get("status")) or "")
    if status == "current":
        if status_code(resource.get("intent")) in NOT_ORDERED:
            return None
        if kind == "MedicationAdministration":
            return "past"
        end = last_day(resource)
        return "past" if end is not None and end < today else "current"
    return status


def start_day(resource: Resource) -> date | None:
    """The first day on which the drug can have been taken by this record."""
    days = [first_day(resource[key]) for key in STARTS if key in resource]
    if not resource.keys().isdisjoint(PERIODS):
        days += [period(resource[key])[0] for key in PERIODS if key in resource]
    for start, _end in _bounds(resource):
        days.append(start)
    return days[0] if len(days) == 1 else earliest(days)


def last_day(resource: Resource) -> date | None:
    """The last day of the course by this record; None where it is open or unknown."""
    bounds = _bounds(resource)
    ends = [end for _start, end in bounds if end is not None] if bounds else []
    if "effectivePeriod" in resource:
        end = period(resource["effectivePeriod"])[1]
        ends += [] if end is None else [end]
    return max(ends, default=None)


def _bounds(resource: Resource) -> Sequence[tuple[date | None, date | None]]:
    given = dosages(resource)
    if not given:
        return ()
    return [
        period(repeat["boundsPeriod"])
        for dosage in given
        if (repeat := _repeat(dosage)) is not None and isinstance(repeat.get("boundsPeriod"), dict)
    ]


def _repeat(dosage: Mapping[str, Any]) -> Mapping[str, Any] | None:
    timing = dosage.get("timing")
    repeat = timing.get("repeat") if isinstance(timing, dict) else None
    return repeat if isinstance(repeat, dict) else None


def route_of(resource: Resource, index: ValueSetIndex) -> str | None:
    """The route that the dosage states by code; None where it does not."""
    for dosage in dosages(resource):
        for system, code in codings(dosage.get("route")):
            for match in index.lookup(system, code):
                if match.value_set.name in ROUTES:
                    return ROUTES[match.value_set.name]
    return None


def ug_per_day(resource: Resource, strength_ug: float | None) -> float | None:
    """The daily dose in micrograms by the first dosage; None where it cannot be told.

    A dose in tablets counts with the strength of the product, a range with its lower end.
    """
    for dosage in dosages(resource):
        times = _times_a_day(dosage)
        dose = _dose_ug(dosage, strength_ug)
        return None if times is None or dose is None else times * dose
    return None


def _times_a_day(dosage: Mapping[str, Any]) -> float | None:
    repeat = _repeat(dosage)
    if repeat is None:
        return None
    each = number(repeat.get("period"))
    unit = repeat.get("periodUnit", repeat.get("periodUnits"))
    days = DAYS_IN.get(unit) if isinstance(unit, str) else None
    if each is None or days is None or each <= 0:
        return None
    return (number(repeat.get("frequency")) or 1.0) / (each * days)


def _dose_ug(dosage: Mapping[str, Any], strength_ug: float | None) -> float | None:
    doses = as_list(dosage.get("doseAndRate")) or [dosage]
    for dose in doses:
        match dose:
            case {"doseQuantity": dict() as quantity} | {"doseRange": {"low": dict() as quantity}}:
                pass
            case _:
                continue
        amount = number(quantity.get("value"))
        unit = normalise(str(quantity.get("code") or quantity.get("unit") or ""))
        if amount is None:
            return None
        mass = to_unit(amount, unit, "ug") if unit else None
        if mass is not None:
            return mass
        return None if strength_ug is None or amount <= 0 else amount * strength_ug
    return None


def medications_of(
    resource: Resource,
    reference: str,
    status: str,
    matches: Mapping[str, Match],
    index: ValueSetIndex,
) -> list[Medication]:
    """One Medication for each value set that the drug is in, `matches` by their names."""
    if not matches:
        return []
    start, end, route = start_day(resource), last_day(resource), route_of(resource, index)
    return [
        Medication(
            concept=name,
            resource=reference,
            status=status,
            start=start,
            end=end,
            route=route or match.row.route,
            ug_per_day=ug_per_day(resource, match.row.strength_ug),
            text=match.row.display,
        )
        for name, match in matches.items()
    ]


def drug_matches(
    resource: Resource, index: ValueSetIndex, medications: Mapping[str, Resource]
) -> dict[str, Match]:
    """By value set, what a code of the drug matches; empty for other drugs.

    Of several codes of one set the most telling: one with a strength goes before one without.
    """
    best: dict[str, Match] = {}
    for code in drug_codings(resource, medications):
        for match in index.lookup(*code):
            if not match.value_set.medication:
                continue
            name = match.value_set.name
            if name not in best or (best[name].row.strength_ug is None and match.row.strength_ug):
                best[name] = match
    return best
