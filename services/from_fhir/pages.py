"""The chart while it is being written."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from mappings.questionnaire import Questionnaire
from mappings.value_set import ValueSetIndex
from services.chart import (
    Chart,
    Finding,
    Measurement,
    Medication,
    Order,
    Qualitative,
    Unable,
    Unusable,
)
from services.from_fhir.values import (
    Resource,
)


@dataclass(frozen=True, slots=True)
class Readable:
    """What reading needs to know besides the resources; compiled once, at start."""

    index: ValueSetIndex
    plausible: Mapping[tuple[str, str], tuple[float, float]]  # (observation, unit) -> low, high
    questionnaire: Questionnaire


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
    measurements: dict[str, list[Measurement]] = field(default_factory=lambda: defaultdict(list))
    unusable: dict[str, list[Unusable]] = field(default_factory=lambda: defaultdict(list))
    unable: dict[str, list[Unable]] = field(default_factory=lambda: defaultdict(list))
    qualitative: dict[str, list[Qualitative]] = field(default_factory=lambda: defaultdict(list))
    findings: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    medications: dict[str, list[Medication]] = field(default_factory=lambda: defaultdict(list))
    orders: dict[str, list[Order]] = field(default_factory=lambda: defaultdict(list))
    dropped: Counter[str] = field(default_factory=Counter)
    about: frozenset[str] | None = None
    in_same_words: object = field(default_factory=object)
    seen: set[str] = field(default_factory=set)


def bound(pages: Pages, unknown: frozenset[str], incomplete: frozenset[str]) -> Chart:
    for results in pages.measurements.values():
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
        measurements={name: tuple(found) for name, found in pages.measurements.items()},
        unusable={name: tuple(found) for name, found in pages.unusable.items()},
        unable={name: tuple(found) for name, found in pages.unable.items()},
        qualitative={name: tuple(found) for name, found in pages.qualitative.items()},
        findings={name: tuple(found) for name, found in pages.findings.items()},
        medications={name: tuple(found) for name, found in pages.medications.items()},
        orders={name: tuple(found) for name, found in pages.orders.items()},
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
        result.instant,
        -result.rank if result.comparator is None else -99,
        result.resource,
    )
