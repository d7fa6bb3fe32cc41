"""The assessment of vitamin B12: its fields, its JSON, and groups of categories."""

from typing import Any, NamedTuple

from services.assessment.codes import B12Category, Urgency
from services.assessment.evidence import Evidence
from services.vitamin_b12.combined_indicator import CombinedIndicator
from services.vitamin_b12.results import Reading

# Categories that say deficiency.
DEFICIENT = frozenset({B12Category.DEFICIENT, B12Category.DEFICIENT_FUNCTIONAL})
# Categories that a card can be about.
CARD_CATEGORIES = (
    B12Category.DEFICIENT,
    B12Category.DEFICIENT_FUNCTIONAL,
    B12Category.INDETERMINATE,
    B12Category.UNINTERPRETABLE,
    B12Category.INSUFFICIENT_DATA,
    B12Category.AT_RISK_UNTESTED,
    B12Category.HIGH_B12,
    B12Category.ON_TREATMENT,
)


class B12Assessment(NamedTuple):
    """The result of the B12 rules for one patient: category, urgency, evidence, next steps."""

    guideline: str
    guideline_version: str
    category: B12Category
    urgency: Urgency
    neurological: bool
    evidence: tuple[Evidence, ...]
    flags: tuple[str, ...]
    next_steps: tuple[str, ...]
    combined_indicator: CombinedIndicator | None
    situation: str | None  # which of the guideline's treatments fits; None: no treatment now
    deciding: Reading | None  # the result that decided, where one did
    session_steps: frozenset[str] = frozenset()  # steps that a draft of this session calls for

    @property
    def urgent(self) -> bool:
        """Whether days matter."""
        return self.urgency in (Urgency.URGENT, Urgency.EMERGENCY)

    def as_json(self) -> dict[str, Any]:
        """The `b12` member of the assessment."""
        plain: dict[str, Any] = {
            "guideline": self.guideline,
            "guidelineVersion": self.guideline_version,
            "category": self.category,
            "urgency": self.urgency,
            "neurological": self.neurological,
            "evidence": [evidence.as_json() for evidence in self.evidence],
            "flags": list(self.flags),
            "nextSteps": list(self.next_steps),
        }
        if self.combined_indicator is not None:
            plain["combinedIndicator"] = self.combined_indicator.as_json()
        return plain
