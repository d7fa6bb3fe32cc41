"""Collect what is read of a patient's resources, and build the `Chart` from it."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, TypeVar

from mappings.terminology.questionnaire import Questionnaire
from mappings.terminology.value_set import ValueSetIndex
from services.chart.fhir_values import Resource, make_sort_key
from services.chart.model import (
    Chart,
    FailedTest,
    Finding,
    Measurement,
    Medication,
    Order,
    QualitativeResult,
    UnusableResult,
)
from services.chart.quantities import Scale, build_scales

Kind = TypeVar("Kind")
make_lists: Callable[[], dict[str, list[Any]]] = partial(defaultdict, list)


@dataclass(frozen=True, slots=True)
class ChartKnowledge:
    """Value sets, plausible ranges and unit scales that readers use; compiled at start."""

    index: ValueSetIndex
    plausible: Mapping[tuple[str, str], tuple[float, float]]  # (observation, unit) -> low, high
    questionnaire: Questionnaire
    scales: Mapping[tuple[str, str], Scale] = field(init=False)  # by observation and unit reported

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", build_scales(self.index.sets, self.plausible))


@dataclass(slots=True)
class ChartBuilder:
    """Collects measurements, findings, drugs and orders for `build_chart`."""

    patient: str
    today: date
    last_day: date  # nothing dated later is known yet
    knowledge: ChartKnowledge
    patient_references: frozenset[str]
    drugs: Mapping[str, Resource] = field(default_factory=dict)
    devices: Mapping[str, Resource] = field(default_factory=dict)
    sex: str | None = None
    born: tuple[date, date] | None = None
    deceased: bool = False
    measurements: dict[str, list[Measurement]] = field(default_factory=make_lists)
    unusable: dict[str, list[UnusableResult]] = field(default_factory=make_lists)
    unable: dict[str, list[FailedTest]] = field(default_factory=make_lists)
    qualitative: dict[str, list[QualitativeResult]] = field(default_factory=make_lists)
    findings: dict[str, list[Finding]] = field(default_factory=make_lists)
    medications: dict[str, list[Medication]] = field(default_factory=make_lists)
    orders: dict[str, list[Order]] = field(default_factory=make_lists)
    dropped: dict[str, int] = field(default_factory=partial(defaultdict, int))
    about: frozenset[str] | None = None
    last_matching_reference: object = field(default_factory=object)
    references_read: set[str] = field(default_factory=set)


def _freeze_lists(lists: Mapping[str, list[Kind]]) -> Mapping[str, tuple[Kind, ...]]:
    return {name: tuple(values) for name, values in lists.items()} if lists else {}


def build_chart(pages: ChartBuilder, unknown: frozenset[str], incomplete: frozenset[str]) -> Chart:
    for results in pages.measurements.values():
        if len(results) > 1:
            results.sort(key=_get_recency, reverse=True)
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
        measurements=_freeze_lists(pages.measurements),
        unusable=_freeze_lists(pages.unusable),
        unable=_freeze_lists(pages.unable),
        qualitative=_freeze_lists(pages.qualitative),
        findings=_freeze_lists(pages.findings),
        medications=_freeze_lists(pages.medications),
        orders=_freeze_lists(pages.orders),
        about=pages.about,
        unknown=unknown,
        incomplete=incomplete,
        dropped=dict(pages.dropped),
    )


def _get_recency(result: Measurement) -> tuple[date, str, int, str]:
    # Of results of one moment, a value goes before a bound and a preferred code before another;
    # the reference only makes the order the same each time.
    return (
        result.day,
        make_sort_key(result.instant),
        -result.rank if result.comparator is None else -99,
        result.resource,
    )
