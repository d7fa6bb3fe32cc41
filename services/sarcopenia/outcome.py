"""The assessment of muscle: its fields, its JSON, and groups of categories."""

from typing import Any, NamedTuple

from services.assessment.codes import Level, SarcopeniaCategory
from services.assessment.evidence import Evidence
from services.sarcopenia.measures import MeasureResult

# Categories that say low strength or performance at least, and those that say sarcopenia.
POSITIVE = frozenset(
    {
        SarcopeniaCategory.PROBABLE,
        SarcopeniaCategory.CONFIRMED,
        SarcopeniaCategory.SEVERE,
        SarcopeniaCategory.POSSIBLE,
        SarcopeniaCategory.SARCOPENIA,
        SarcopeniaCategory.SEVERE_SARCOPENIA,
    }
)
CONFIRMED = frozenset(
    {
        SarcopeniaCategory.CONFIRMED,
        SarcopeniaCategory.SEVERE,
        SarcopeniaCategory.SARCOPENIA,
        SarcopeniaCategory.SEVERE_SARCOPENIA,
    }
)
SCREENED_POSITIVE = frozenset(
    {SarcopeniaCategory.FIND_POSITIVE, SarcopeniaCategory.SCREEN_POSITIVE}
)
LACKS_DATA = (
    frozenset({SarcopeniaCategory.NOT_ASSESSED, SarcopeniaCategory.INDETERMINATE})
    | SCREENED_POSITIVE
)


class SarcopeniaAssessment(NamedTuple):
    """The result of the muscle rules for one patient: category, levels, evidence, next steps."""

    definition: str
    definition_version: str
    category: SarcopeniaCategory
    strength: Level
    mass: Level
    performance: Level
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
