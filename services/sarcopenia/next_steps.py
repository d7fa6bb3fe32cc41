"""Next steps and flags about muscle, by the category and by what is not known."""

from services.assessment.codes import (
    Level,
    SarcopeniaCategory,
    SarcopeniaFlag,
    SarcopeniaStep,
    Trigger,
    UnknownLevelReason,
)
from services.assessment.evidence import AssessmentLog
from services.chart.model import Chart, UnusableReason
from services.sarcopenia.findings import NOTHING_MEASURED, MuscleFindings
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.outcome import CONFIRMED, POSITIVE, SCREENED_POSITIVE

UNREADABLE_UNIT = frozenset(
    {
        UnusableReason.NO_UNIT,
        UnusableReason.UNKNOWN_UNIT,
        UnusableReason.NO_DISTANCE,
        UnusableReason.WRONG_SPECIMEN,
    }
)


def write_flags(
    findings: MuscleFindings,
    category: SarcopeniaCategory,
    chart: Chart,
    knowledge: SarcopeniaKnowledge,
    notes: AssessmentLog,
) -> None:
    """Add the flags: what could mislead about the measures and the category."""
    if findings is NOTHING_MEASURED:
        return
    tests = (*findings.tests, *findings.screen.tests)
    if chart.sex is None and any(test.row is not None and test.row.sex for test in tests):
        notes.add_flag(SarcopeniaFlag.SEX_MISSING)
    masses = [t for t in findings.tests if t.observation.startswith("asm") and t.result is not None]
    if any(test.result is not None and test.result.method is None for test in masses):
        notes.add_flag(SarcopeniaFlag.METHOD_MISSING)
    if any(test.reason == UnknownLevelReason.METHOD for test in tests):
        notes.add_flag(SarcopeniaFlag.METHOD_REQUIRED)
    if findings.stale:
        notes.add_flag(SarcopeniaFlag.STALE)
    if findings.discordant:
        notes.add_flag(SarcopeniaFlag.MASS_INDEX_ABSOLUTE_DISCORDANT)
    if findings.asymmetry:
        notes.add_flag(SarcopeniaFlag.GRIP_ASYMMETRY_RED_FLAG)
    if findings.screen.at_limit:
        notes.add_flag(SarcopeniaFlag.EQUALITY_CONFLICT)
    if findings.mass == Level.NORMAL and findings.strength == Level.LOW:
        notes.add_flag(SarcopeniaFlag.MASS_NORMAL_STRENGTH_LOW)
    if findings.mass == Level.LOW and category == SarcopeniaCategory.NO_SARCOPENIA:
        notes.add_flag(SarcopeniaFlag.LOW_MASS_ONLY)
    awgs = knowledge.definition.algorithm == "awgs2019"
    if awgs and findings.performance == Level.UNKNOWN and findings.strength != Level.UNKNOWN:
        notes.add_flag(SarcopeniaFlag.AWGS_PERFORMANCE_NOT_ASSESSED)


def write_steps(
    findings: MuscleFindings,
    category: SarcopeniaCategory,
    triggers: tuple[str, ...],
    uses: frozenset[str],
    notes: AssessmentLog,
) -> None:
    """Add the next steps of `category`; where it is open, the cheapest measure that would tell."""
    if category in POSITIVE:
        notes.add_step(
            SarcopeniaStep.ASSESS_SECONDARY_CAUSES, SarcopeniaStep.REFER_PHYSIO_RESISTANCE_EXERCISE
        )
        _write_unknown_measures(findings, uses, notes)
    if category in CONFIRMED:
        notes.add_step(SarcopeniaStep.REFER_DIETITIAN_PROTEIN, SarcopeniaStep.FALLS_ASSESSMENT)
    elif category in POSITIVE and Trigger.FALLS in triggers:
        notes.add_step(SarcopeniaStep.FALLS_ASSESSMENT)
    if category in SCREENED_POSITIVE:
        notes.add_step(SarcopeniaStep.MEASURE_GRIP, SarcopeniaStep.MEASURE_CHAIR_STAND)
    write_clarifications(findings, notes)
    if category == SarcopeniaCategory.NOT_ASSESSED and triggers:
        if findings.screen.score is None or not findings.screen.score.complete:
            notes.add_step(SarcopeniaStep.COMPLETE_SARC_F)
        notes.add_step(SarcopeniaStep.MEASURE_GRIP)
    if category == SarcopeniaCategory.INDETERMINATE:
        if findings.strength == Level.UNKNOWN:
            notes.add_step(SarcopeniaStep.MEASURE_GRIP, SarcopeniaStep.MEASURE_CHAIR_STAND)
        else:
            _write_unknown_measures(findings, uses, notes)
    if findings.asymmetry:
        notes.add_step(SarcopeniaStep.NEURO_EXAM)


def _write_unknown_measures(
    findings: MuscleFindings, uses: frozenset[str], notes: AssessmentLog
) -> None:
    """Add steps to measure mass, where strength or performance is low, and performance.

    Only what the definition uses (`uses`) is asked for.
    """
    low = Level.LOW in (findings.strength, findings.performance)
    if findings.mass == Level.UNKNOWN and "mass" in uses and low:
        notes.add_step(SarcopeniaStep.ORDER_MUSCLE_MASS_DXA_BIA)
    if findings.performance == Level.UNKNOWN and "performance" in uses:
        notes.add_step(SarcopeniaStep.MEASURE_GAIT_OR_SPPB)


def write_clarifications(findings: MuscleFindings, notes: AssessmentLog) -> None:
    """Add steps that make unreadable measures readable: unit, sex parameter, height."""
    if findings is NOTHING_MEASURED:
        return
    tests = (*findings.tests, *findings.screen.tests)
    reasons = {test.reason for test in tests} | {
        test.unusable.reason for test in tests if test.unusable is not None
    }
    if reasons & UNREADABLE_UNIT:
        notes.add_step(SarcopeniaStep.CLARIFY_UNIT)
    if UnknownLevelReason.SEX in reasons:
        notes.add_step(SarcopeniaStep.RECORD_SEX_PARAMETER)
    if findings.height_missing:
        notes.add_step(SarcopeniaStep.RECORD_HEIGHT)
