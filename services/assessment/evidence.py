"""Evidence of an assessment, and the log that rules add evidence, next steps and flags to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from mappings.text import make_text
from services.assessment.codes import Code
from services.chart.model import Finding, Measurement, Medication, UnusableResult


@lru_cache(32)
def make_age_reason(years: int) -> str:
    """Why a publication is not applied to somebody."""
    return make_text("under {years} years", years=years)


class Outcome(Code):
    """What a piece of evidence means to its rule; the meanings of limits are among them."""

    # A result against its limits.
    DEFICIENT = "deficient"
    INDETERMINATE = "indeterminate"
    UNLIKELY = "unlikely"
    HIGH = "high"
    LOW = "low"
    NORMAL = "normal"
    INTERMEDIATE = "intermediate"
    RAISED = "raised"
    GROSSLY_RAISED = "grossly_raised"
    MACROCYTOSIS = "macrocytosis"
    ANAEMIA = "anaemia"
    SEVERE_ANAEMIA = "severe_anaemia"
    POSITIVE = "positive"  # of a screening test
    NEGATIVE = "negative"
    WORKING = "working"  # of kidneys
    IMPAIRED = "impaired"
    # What decides nothing.
    UNDECIDED = "undecided"  # read, and on no side of its limits
    UNUSABLE = "unusable"  # on record, and cannot be read
    REFUSED = "refused"  # of a kind that is never read as this measure
    NOT_DONE = "not_done"  # tried, and could not be done
    STALE = "stale"  # too old
    NOT_APPLIED = "not_applied"  # the limits are not made for this patient
    # What is no result.
    PRESENT = "present"  # a finding or drug on record
    REASON = "reason"  # why something is asked for


OUTCOMES: Mapping[str, Outcome] = {outcome.value: outcome for outcome in Outcome}


class SarcopeniaRule(Code):
    """Which rule looked at a piece of evidence about muscle."""

    AGE = "age"
    ASYMMETRY = "asymmetry"
    MASS = "mass"
    MEASURE = "measure"
    PERFORMANCE = "performance"
    REFUSED = "refused"
    SCREEN = "screen"
    STALE = "stale"
    STRENGTH = "strength"
    TRIGGER = "trigger"
    UNIT_SAFETY = "unit-safety"


class ComparedResult(Protocol):
    """A result and the limit that it was compared with."""

    @property
    def result(self) -> Measurement: ...
    @property
    def means(self) -> str: ...
    @property
    def limit(self) -> str: ...
    @property
    def locator(self) -> str: ...


class Evidence(NamedTuple):
    """A result, finding or reason that a rule used, as the clinician may look it up.

    Code decides by `outcome`; `says` is for people, and no code reads it.
    """

    rule: str
    outcome: Outcome
    says: str
    resource: str | None = None
    value: float | None = None
    comparator: str | None = None
    unit: str | None = None
    day: date | None = None
    limit: str | None = None
    locator: str | None = None

    def as_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"rule": self.rule, "says": self.says}
        if self.resource is not None:
            plain["resource"] = self.resource
        if self.value is not None:
            plain["value"] = self.value
        if self.comparator is not None:
            plain["comparator"] = self.comparator
        if self.unit is not None:
            plain["unit"] = self.unit
        if self.day is not None:
            plain["date"] = self.day.isoformat()
        if self.limit is not None:
            plain["limit"] = self.limit
        if self.locator is not None:
            plain["locator"] = self.locator
        return plain


@dataclass(slots=True)
class AssessmentLog:
    """Collects evidence, next steps and flags of the rules, in the order in which they run."""

    evidence: list[Evidence] = field(default_factory=list)
    steps: dict[str, None] = field(default_factory=dict)
    session_steps: set[str] = field(default_factory=set)
    flags: dict[str, None] = field(default_factory=dict)

    def add_step(self, *names: str) -> None:
        for name in names:
            self.steps[name] = None

    def add_session_step(self, *names: str) -> None:
        """Add steps called for by an order that is about to be signed."""
        self.add_step(*names)
        self.session_steps.update(names)

    def add_flag(self, *names: str) -> None:
        for name in names:
            self.flags[name] = None

    def add_reading(
        self, rule: str, reading: ComparedResult, says: str, outcome: Outcome | None = None
    ) -> None:
        """Add a result with the limit it was compared with, and its flags.

        Without `outcome` the meaning of the limit is the outcome.
        """
        outcome = outcome or OUTCOMES[reading.means]
        self.add_result(rule, outcome, reading.result, says, reading.limit, reading.locator)
        if reading.result.flags:
            self.add_flag(*reading.result.flags)

    def add_result(
        self,
        rule: str,
        outcome: Outcome,
        result: Measurement,
        says: str,
        limit: str | None = None,
        locator: str | None = None,
    ) -> None:
        self.evidence.append(
            Evidence(
                rule,
                outcome,
                says,
                result.resource,
                result.value,
                result.comparator,
                result.unit,
                result.day,
                limit,
                locator,
            )
        )

    def add_unusable(
        self, rule: str, result: UnusableResult, says: str, outcome: Outcome = Outcome.UNUSABLE
    ) -> None:
        self.evidence.append(Evidence(rule, outcome, says, result.resource, day=result.day))

    def add_findings(
        self, rule: str, findings: Iterable[Finding | Medication], locator: str | None = None
    ) -> None:
        for finding in findings:
            day = finding.onset if isinstance(finding, Finding) else finding.start
            says = finding.text or finding.concept
            self.evidence.append(
                Evidence(rule, Outcome.PRESENT, says, finding.resource, day=day, locator=locator)
            )

    def add_remark(
        self,
        rule: str,
        says: str,
        locator: str | None = None,
        outcome: Outcome = Outcome.REASON,
    ) -> None:
        self.evidence.append(Evidence(rule, outcome, says, locator=locator))
