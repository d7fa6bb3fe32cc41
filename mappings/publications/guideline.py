"""Published guidelines about vitamin B12 as data: whom to test, what results mean, what to give.

Each is one TOML file in guidelines/.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mappings.publications.cutoffs import COMPARISON_WORDS, COMPARISONS
from mappings.publications.publication import Publication

DURATION_WORDS = {"mo": "months", "a": "years"}


def describe_duration(comparison: str, limit: float, unit: str) -> str:
    """ "above 4 months"."""
    return f"{COMPARISON_WORDS[comparison]} {limit:g} {DURATION_WORDS[unit]}"


@dataclass(frozen=True, slots=True)
class Duration:
    """How long a drug must have been taken, or how old a person must be, for a rule to apply."""

    subject: str  # a value set's name, or "age"
    comparison: str
    limit: float
    unit: str  # "mo" or "a" (UCUM month, year)
    step: str  # the next step that it calls for
    locator: str
    source: str

    def is_met_by(self, value: float) -> bool:
        """Whether `value`, in `self.unit`, is long enough."""
        return COMPARISONS[self.comparison](value, self.limit)


@dataclass(frozen=True, slots=True)
class Testing:
    """Whom to test, and with what."""

    rule: str  # "symptom_and_risk", "risk" (a risk group alone suffices), "clinical_picture"
    rule_locator: str
    offer_step: str
    first_test: tuple[str, ...]  # order templates
    second_test_step: str
    second_test_needs_symptom: bool
    second_test_locator: str
    pregnancy_step: str
    pregnancy_test: tuple[str, ...]
    pregnancy_locator: str
    nitrous_oxide_step: str
    nitrous_oxide_test: tuple[str, ...]
    nitrous_oxide_locator: str
    risk_factors: tuple[str, ...]
    risk_locator: str
    further_risk_factors: tuple[str, ...]
    further_risk_locator: str
    symptoms: tuple[str, ...]
    symptom_locator: str
    asymptomatic_drugs: tuple[str, ...] = ()
    asymptomatic_drug_step: str | None = None
    asymptomatic_drug_locator: str | None = None
    durations: tuple[Duration, ...] = ()


@dataclass(frozen=True, slots=True)
class Treatment:
    """The treatment that a guideline gives in one situation."""

    situation: str
    templates: tuple[str, ...]  # order templates, the preferred first
    steps: tuple[str, ...]
    says: str
    locator: str
    confidence: str


@dataclass(frozen=True, slots=True)
class FollowUp:
    months: int
    pregnancy_months: int
    locator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guideline(Publication):
    """A guideline about vitamin B12 deficiency. Rows of `cutoffs` mean deficient, indeterminate,
    unlikely, high, raised or grossly_raised."""

    subject: str  # "b12"
    locale: str
    testing: Testing
    follow_up: FollowUp
    treatments: Mapping[str, Treatment]
    flags: tuple[str, ...] = ()  # cautions that hold for every result read by this guideline
    laboratory: str | None = None  # a laboratory whose validated limits replace the printed ones
