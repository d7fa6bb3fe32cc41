"""What comes of judging muscle by one definition."""

from typing import Any, NamedTuple

from services.assessment.evidence import Evidence
from services.sarcopenia.measures import MeasureResult

# Categories that say low strength or performance at least, and those that say sarcopenia.
POSITIVE = frozenset(
    {"probable", "confirmed", "severe", "possible", "sarcopenia", "severe_sarcopenia"}
)
CONFIRMED = frozenset({"confirmed", "severe", "sarcopenia", "severe_sarcopenia"})
SCREENED_POSITIVE = frozenset({"find_positive", "screen_positive"})
LACKS_DATA = frozenset({"not_assessed", "indeterminate"}) | SCREENED_POSITIVE


class SarcopeniaAssessment(NamedTuple):
    """What the rules say of one patient's muscle."""

    definition: str
    definition_version: str
    category: str
    strength: str  # "low", "normal" or "unknown"
    mass: str
    performance: str
    evidence: tuple[Evidence, ...]
    flags: tuple[str, ...]
    next_steps: tuple[str, ...]
    triggers: tuple[str, ...]  # why muscle is looked at: "measured", or names of value sets
    low: tuple[MeasureResult, ...]  # the measures that are low, strength first
    screened: tuple[MeasureResult, ...] = ()  # the screening tests that are positive
    asymmetry: tuple[str, ...] = ()  # the grip results of two hands that differ

    @property
    def positive(self) -> bool:
        return self.category in POSITIVE

    @property
    def confirmed(self) -> bool:
        return self.category in CONFIRMED

    @property
    def urgent(self) -> bool:
        """Whether days matter: never because of muscle itself, only of other causes."""
        return False

    def as_json(self) -> dict[str, Any]:
        """The `sarcopenia` member of the assessment."""
        return {
            "definition": self.definition,
            "definitionVersion": self.definition_version,
            "category": self.category,
            "strength": self.strength,
            "mass": self.mass,
            "performance": self.performance,
            "evidence": [evidence.as_json() for evidence in self.evidence],
            "flags": list(self.flags),
            "nextSteps": list(self.next_steps),
        }
