"""The chart of one patient: plain values for the rules, nothing of FHIR, HTTP or a clock.

`services.chart.reader` is the only maker. Whatever it could not use is not here; it is counted in
`Chart.dropped`, and what was never searched or could not be fetched is named in `Chart.unknown`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple


class UnusableReason(StrEnum):
    """Why a result on record cannot be read as a value."""

    NO_UNIT = "no-unit"
    UNKNOWN_UNIT = "unknown-unit"
    IMPOSSIBLE_VALUE = "impossible-value"
    NO_VALUE = "no-value"
    WRONG_SPECIMEN = "wrong-specimen"
    NO_DISTANCE = "no-distance"  # of a timed walk
    REFUSED = "refused"  # of a kind that is never read as this measure


class DroppedReason(StrEnum):
    """Why a resource was not used; where it is none of these, it is the resource's status."""

    OTHER_PATIENT = "other-patient"
    NO_PATIENT = "no-patient"
    REPEATED = "repeated"
    IN_THE_FUTURE = "in-the-future"
    UNDATED = "undated"
    NO_OUTCOME = "no-outcome"
    NO_STATUS = "no-status"
    NOT_ORDERED = "not-ordered"
    NOT_FINAL = "not-final"
    REFUTED = "refuted"
    ENTERED_IN_ERROR = "entered-in-error"


# Tuples rather than dataclasses: there are dozens of them in a call, and a frozen dataclass takes
# four times as long to make.
class Measurement(NamedTuple):
    """A usable result: final, dated, with a unit that its limits can be compared in."""

    observation: str  # a value set's name: total_b12, grip_strength ...
    value: float
    unit: str  # UCUM, rescaled exactly to the unit the limits are printed in
    day: date
    resource: str  # "Observation/9"
    comparator: str | None = None  # "<", "<=", ">" or ">=": a bound, not a value
    instant: str = ""  # the full timestamp as it was sent, to order results of one day
    reference_low: float | None = None  # the laboratory's own limits, in `unit`
    reference_high: float | None = None
    reported: str = ""  # value and unit as the laboratory sent them: "0.42 umol/L"
    flags: frozenset[str] = frozenset()  # e.g. "warn-code-unit-mismatch"
    code: str = ""
    rank: int = 0  # of results of one moment, the lowest rank goes first
    method: str | None = None  # "DXA" or "BIA"
    side: str | None = None  # "left" or "right"


class UnusableResult(NamedTuple):
    """A result that must not be read as any value: never normal, never a guess. (Rule R20.)"""

    observation: str
    reason: UnusableReason
    resource: str
    day: date | None = None
    reported: str = ""


class FailedTest(NamedTuple):
    """A test that the patient could not do or not complete."""

    observation: str
    day: date
    resource: str


class QualitativeResult(NamedTuple):
    """A result that is present or absent: an antibody."""

    observation: str
    positive: bool
    day: date
    resource: str


class Finding(NamedTuple):
    """A condition, procedure, habit, family history or allergy on record."""

    concept: str  # a value set's name
    resource: str
    onset: date | None = None
    text: str = ""  # display of the code that matched, from the value set, never from the record
    active: bool = True


class Medication(NamedTuple):
    """A drug that the patient takes, took, or is about to be ordered."""

    concept: str  # a value set's name: metformin, cyanocobalamin ...
    resource: str
    status: str  # "current", "past", "draft"
    start: date | None = None  # None: unknown
    end: date | None = None
    route: str | None = None  # "im", "oral", "sublingual", "subcutaneous"; None: unknown
    ug_per_day: float | None = None  # None: unknown
    text: str = ""

    @property
    def parenteral(self) -> bool:
        return self.route in ("im", "subcutaneous", "iv")


class Order(NamedTuple):
    """A test or service that is active, about to be signed, or only drafted."""

    concept: str
    resource: str
    status: str  # "active" or "draft"
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """The data of one patient as known on the day `today`: results, findings, drugs, orders."""

    patient: str  # "Patient/1"
    today: date
    sex: str | None = None  # "male" or "female"; None: unknown or other
    born: tuple[date, date] | None = None  # earliest and latest day of birth; None: unknown
    deceased: bool = False
    measurements: Mapping[str, tuple[Measurement, ...]] = field(default_factory=dict)
    unusable: Mapping[str, tuple[UnusableResult, ...]] = field(default_factory=dict)
    unable: Mapping[str, tuple[FailedTest, ...]] = field(default_factory=dict)
    qualitative: Mapping[str, tuple[QualitativeResult, ...]] = field(default_factory=dict)
    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    medications: Mapping[str, tuple[Medication, ...]] = field(default_factory=dict)
    orders: Mapping[str, tuple[Order, ...]] = field(default_factory=dict)
    about: frozenset[str] | None = None  # the drafts that the call is about; None: all of them
    unknown: frozenset[str] = frozenset()  # prefetch keys that could not be had
    incomplete: frozenset[str] = frozenset()  # prefetch keys of which only a part was had
    dropped: Mapping[str, int] = field(default_factory=dict)  # reason -> resources not used
    active_concepts: frozenset[str] = field(init=False)  # with an active finding or current drug
    drafted_concepts: frozenset[str] = field(init=False)  # with a drug or test about to be ordered

    def __post_init__(self) -> None:
        # Rules ask for some hundred concepts in a call; few of them are there.
        active, drafted = set(), set()
        for name, findings in self.findings.items():
            if any(finding.active for finding in findings):
                active.add(name)
        for name, drugs in self.medications.items():
            for drug in drugs:
                if drug.status == "current":
                    active.add(name)
                elif drug.status == "draft":
                    drafted.add(name)
        for name, orders in self.orders.items():
            if any(order.status == "draft" for order in orders):
                drafted.add(name)
        object.__setattr__(self, "active_concepts", frozenset(active))
        object.__setattr__(self, "drafted_concepts", frozenset(drafted))

    def get_latest(self, observation: str) -> Measurement | None:
        """The newest usable result; None where there is none."""
        results = self.measurements.get(observation)
        return results[0] if results else None

    def has(self, concepts: str | Collection[str]) -> bool:
        """Whether any of `concepts` is an active finding or a current medication."""
        if isinstance(concepts, str):
            return concepts in self.active_concepts
        return not self.active_concepts.isdisjoint(concepts)

    def list_present(self, concepts: Collection[str]) -> tuple[Finding | Medication, ...]:
        """Active findings and current medications of `concepts`, in their order."""
        if self.active_concepts.isdisjoint(concepts):
            return ()
        present: list[Finding | Medication] = []
        for concept in filter(self.active_concepts.__contains__, concepts):
            present += [f for f in self.findings.get(concept, ()) if f.active]
            present += [m for m in self.medications.get(concept, ()) if m.status == "current"]
        return tuple(present)

    def list_drafted_drugs(
        self, concepts: Collection[str], *, aside: bool = False
    ) -> tuple[Medication, ...]:
        """Drugs about to be ordered that the call is about; with `aside`, all of the session."""
        if self.drafted_concepts.isdisjoint(concepts):
            return ()
        return tuple(
            drug
            for concept in concepts
            for drug in self.medications.get(concept, ())
            if drug.status == "draft" and (aside or self.is_about(drug.resource))
        )

    def list_drafted_orders(self, concepts: Collection[str]) -> tuple[Order, ...]:
        """Tests and services about to be ordered that the call is about."""
        if self.drafted_concepts.isdisjoint(concepts):
            return ()
        return tuple(
            order
            for concept in concepts
            for order in self.orders.get(concept, ())
            if order.status == "draft" and self.is_about(order.resource)
        )

    def is_about(self, draft: str) -> bool:
        """Whether the call is about this draft, or it only stands beside."""
        return self.about is None or draft in self.about

    def has_reached_age(self, years: int) -> bool | None:
        """Whether the patient has reached `years`; None where the birth date does not say.

        A birth date of a year or a month alone decides only where every day in it agrees.
        """
        if self.born is None:
            return None
        earliest, latest = self.born
        if calculate_age(latest, self.today) >= years:
            return True
        return False if calculate_age(earliest, self.today) < years else None


def calculate_age(born: date, day: date) -> int:
    """Age in completed years; somebody born on 29 February is a year older on 1 March."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


@lru_cache(256)
def subtract_months(day: date, months: int) -> date:
    """`day` minus `months`: the same day of the month, or the last day of a shorter month."""
    years, month = divmod(day.month - 1 - months, 12)
    first = date(max(day.year + years, 1), month + 1, 1)
    last = ((first + timedelta(days=31)).replace(day=1) - timedelta(days=1)).day
    return first.replace(day=min(day.day, last))
