"""The chart while it is being written."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, TypeVar

from mappings.terminology.questionnaire import Questionnaire
from mappings.terminology.value_set import ValueSetIndex
from services.chart.fhir_values import Resource, sort_key
from services.chart.model import (
    Chart,
    Finding,
    Measurement,
    Medication,
    Order,
    Qualitative,
    Unable,
    Unusable,
)
from services.chart.quantities import Scale, scales

Kind = TypeVar("Kind")
by_name: Callable[[], dict[str, list[Any]]] = partial(defaultdict, list)


@dataclass(frozen=True, slots=True)
class Readable:
    """What reading needs to know besides the resources; compiled once, at start."""

    index: ValueSetIndex
    plausible: Mapping[tuple[str, str], tuple[float, float]]  # (observation, unit) -> low, high
    questionnaire: Questionnaire
    scales: Mapping[tuple[str, str], Scale] = field(init=False)  # by observation and unit reported

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", scales(self.index.sets, self.plausible))


@dataclass(slots=True)
class Pages:
    """The chart while it is being written."""

    patient: str
    today: date
    last: date  # nothing dated later is known yet
    readable: Readable
    patient_references: frozenset[str]
    drugs: Mapping[str, Resource] = field(default_factory=dict)
    devices: Mapping[str, Resource] = field(default_factory=dict)
    sex: str | None = None
    born: tuple[date, date] | None = None
    deceased: bool = False
    measurements: dict[str, list[Measurement]] = field(default_factory=by_name)
    unusable: dict[str, list[Unusable]] = field(default_factory=by_name)
    unable: dict[str, list[Unable]] = field(default_factory=by_name)
    qualitative: dict[str, list[Qualitative]] = field(default_factory=by_name)
    findings: dict[str, list[Finding]] = field(default_factory=by_name)
    medications: dict[str, list[Medication]] = field(default_factory=by_name)
    orders: dict[str, list[Order]] = field(default_factory=by_name)
    dropped: dict[str, int] = field(default_factory=partial(defaultdict, int))
    about: frozenset[str] | None = None
    in_same_words: object = field(default_factory=object)
    seen: set[str] = field(default_factory=set)


def _in_order(found: Mapping[str, list[Kind]]) -> Mapping[str, tuple[Kind, ...]]:
    return {name: tuple(several) for name, several in found.items()} if found else {}


def bound(pages: Pages, unknown: frozenset[str], incomplete: frozenset[str]) -> Chart:
    for results in pages.measurements.values():
        if len(results) > 1:
            results.sort(key=_newest_first, reverse=True)
    for antibodies in pages.qualitative.values():
        antibodies.sort(key=lambda result: result.day, reverse=True)
    for failures in pages.unable.values():
        failures.sort(key=lambda failure: failure.day, reverse=True)
    return Chart(
        patient=pages.patient,
        today=pages.today,
        sex=pages.sex,
        born=pages.born,
        deceased=pages.deceased,
        measurements=_in_order(pages.measurements),
        unusable=_in_order(pages.unusable),
        unable=_in_order(pages.unable),
        qualitative=_in_order(pages.qualitative),
        findings=_in_order(pages.findings),
        medications=_in_order(pages.medications),
        orders=_in_order(pages.orders),
        about=pages.about,
        unknown=unknown,
        incomplete=incomplete,
        dropped=dict(pages.dropped),
    )


def _newest_first(result: Measurement) -> tuple[date, str, int, str]:
    # Of results of one moment, a value goes before a bound and a preferred code before another;
    # the reference only makes the order the same each time.
    return (
        result.day,
        sort_key(result.instant),
        -result.rank if result.comparator is None else -99,
        result.resource,
    )
