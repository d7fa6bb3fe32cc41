"""What can be entered of a made-up patient, by the value sets of the knowledge."""

from collections.abc import Mapping
from dataclasses import dataclass

from mappings.terminology.value_set import ValueSet
from services.knowledge.site import SiteKnowledge

SEXES = ("female", "male", "other", "unknown")
NO_UNIT = "none"
ROUTES = ("oral", "im", "subcutaneous")
METHODS = ("DXA", "BIA")
TEMPLATE, DRUG, TEST = "order", "drug", "test"  # what a draft is made of


@dataclass(frozen=True, slots=True)
class Measure:
    """A result that can be entered. `usual`: some limit in force is printed for it."""

    name: str
    title: str
    units: tuple[str, ...]  # UCUM, the unit of the printed limits first
    has_method: bool
    is_qualitative: bool
    is_muscle: bool
    usual: bool


def rank_measures(known: SiteKnowledge) -> dict[str, int]:
    """The measures that a limit in force is printed for, and their places in order."""
    tables = (known.b12.guideline, known.b12.laboratory, known.muscle.definition)
    names = dict.fromkeys(row.observation for limits in tables for row in limits.cutoffs)
    return {name: place for place, name in enumerate(names)}


def list_measures(known: SiteKnowledge) -> dict[str, Measure]:
    """By name: those with a limit in its order, antibodies, then the others by title."""
    order = rank_measures(known)
    found = [
        _build_measure(value_set, known, usual=value_set.name in order or value_set.qualitative)
        for value_set in known.index.sets.values()
        if value_set.kind == "observation"
        and value_set.refused is None
        and _has_code(known, value_set.name)
        and (value_set.units or value_set.qualitative)
    ]
    found.sort(key=lambda one: (order.get(one.name, len(order)), not one.usual, one.title.lower()))
    return {one.name: one for one in found}


def _has_code(known: SiteKnowledge, name: str) -> bool:
    return any(not row.code.endswith("*") for row in known.index.rows[name])


def _build_measure(value_set: ValueSet, known: SiteKnowledge, *, usual: bool) -> Measure:
    readable = (unit for name, unit in known.chart_knowledge.scales if name == value_set.name)
    return Measure(
        name=value_set.name,
        title=known.b12.titles[value_set.name],
        units=tuple(dict.fromkeys((*value_set.units, *readable))),
        has_method=value_set.has_method,
        is_qualitative=value_set.qualitative,
        is_muscle=value_set.topic == "muscle",
        usual=usual,
    )


def list_value_sets(known: SiteKnowledge, *kinds: str) -> dict[str, str]:
    """Titles of the value sets of these kinds that have a code, by name, in alphabetic order."""
    found = {
        name: value_set.title
        for name, value_set in known.index.sets.items()
        if value_set.kind in kinds and _has_code(known, name)
    }
    return dict(sorted(found.items(), key=lambda item: item[1].lower()))


def list_drafts(known: SiteKnowledge) -> Mapping[str, dict[str, str]]:
    """What can be drafted, in groups: our own orders, drugs, tests; each as "kind:name"."""
    tests = {
        name: value_set.title
        for name, value_set in known.index.sets.items()
        if value_set.kind == "observation" and value_set.topic is None and _has_code(known, name)
    }
    return {
        "Orders of this service": {
            f"{TEMPLATE}:{id_}": template.label
            for id_, template in known.templates.by_id.items()
            if template.resource["resourceType"] in ("MedicationRequest", "ServiceRequest")
        },
        "Drugs": {
            f"{DRUG}:{n}": title for n, title in list_value_sets(known, "medication").items()
        },
        "Tests": {
            f"{TEST}:{n}": title
            for n, title in sorted(tests.items(), key=lambda item: item[1].lower())
        },
    }
