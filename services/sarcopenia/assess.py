"""What a published definition says of a patient's muscle."""

from collections.abc import Iterable

from mappings.publications.cutoffs import Cutoff
from mappings.publications.definition import ADULT_AGE
from mappings.text import as_amount, format_amount, make_text
from services.assessment.codes import (
    Level,
    SarcopeniaCategory,
    SarcopeniaFlag,
    SarcopeniaStep,
    Trigger,
    UnknownLevelReason,
)
from services.assessment.evidence import (
    AssessmentLog,
    Evidence,
    Outcome,
    SarcopeniaRule,
    make_age_reason,
)
from services.assessment.labels import get_sentence
from services.chart.model import Chart, UnusableReason
from services.sarcopenia.findings import NOTHING_MEASURED, MuscleFindings, read_findings
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.measures import MeasureResult, is_fresh
from services.sarcopenia.outcome import CONFIRMED, POSITIVE, SCREENED_POSITIVE, SarcopeniaAssessment
from services.sarcopenia.stages import ALGORITHMS, MEASURES_USED
from services.sarcopenia.weight import find_weight_loss

UNREADABLE_UNIT = frozenset(
    {
        UnusableReason.NO_UNIT,
        UnusableReason.UNKNOWN_UNIT,
        UnusableReason.NO_DISTANCE,
        UnusableReason.WRONG_SPECIMEN,
    }
)
RULES = {
    "low_strength": SarcopeniaRule.STRENGTH,
    "low_mass": SarcopeniaRule.MASS,
    "low_performance": SarcopeniaRule.PERFORMANCE,
}


def assess(chart: Chart, knowledge: SarcopeniaKnowledge) -> SarcopeniaAssessment:
    """The assessment of `chart` on the day `chart.today`."""
    definition = knowledge.definition
    notes, triggers = AssessmentLog(), list_triggers(chart, knowledge)
    in_scope = chart.has_reached_age(definition.minimum_age)
    if chart.has_reached_age(ADULT_AGE) is False:
        notes.add_remark(
            SarcopeniaRule.AGE, make_age_reason(ADULT_AGE), outcome=Outcome.NOT_APPLIED
        )
        return _conclude(triggers, knowledge, notes, SarcopeniaCategory.OUT_OF_SCOPE_AGE, None)
    findings = read_findings(chart, knowledge)
    category = ALGORITHMS[definition.algorithm](
        findings.strength,
        findings.mass,
        findings.performance,
        findings.screen.outcome,
        findings.attempted,
    )
    if findings is not NOTHING_MEASURED:
        _write_evidence(findings, knowledge, notes)
    if triggers:
        _write_triggers(chart, knowledge, notes)
    if in_scope is False:
        locator = definition.minimum_age_locator
        years = definition.minimum_age
        notes.add_remark(SarcopeniaRule.AGE, make_age_reason(years), locator, Outcome.NOT_APPLIED)
        if findings.strength == Level.LOW:
            notes.add_flag(SarcopeniaFlag.LOW_GRIP_BELOW_REFERENCE)
        _write_flags(findings, SarcopeniaCategory.OUT_OF_SCOPE_AGE, chart, knowledge, notes)
        return _conclude(triggers, knowledge, notes, SarcopeniaCategory.OUT_OF_SCOPE_AGE, findings)
    _write_flags(findings, category, chart, knowledge, notes)
    if in_scope is None and triggers:
        notes.add_step(SarcopeniaStep.RECORD_BIRTH_DATE)
    if in_scope is None and category != SarcopeniaCategory.NOT_ASSESSED:
        notes.add_remark(
            SarcopeniaRule.AGE,
            make_text("the birth date does not say whether the definition holds"),
        )
        _write_clarifications(findings, notes)
        return _conclude(triggers, knowledge, notes, SarcopeniaCategory.INDETERMINATE, findings)
    _write_steps(findings, category, triggers, MEASURES_USED[definition.algorithm], notes)
    return _conclude(triggers, knowledge, notes, category, findings)


def _conclude(
    triggers: tuple[str, ...],
    knowledge: SarcopeniaKnowledge,
    notes: AssessmentLog,
    category: SarcopeniaCategory,
    findings: MuscleFindings | None,
) -> SarcopeniaAssessment:
    definition = knowledge.definition
    return SarcopeniaAssessment(
        definition=definition.id,
        definition_version=definition.version,
        category=category,
        strength=findings.strength if findings else Level.UNKNOWN,
        mass=findings.mass if findings else Level.UNKNOWN,
        performance=findings.performance if findings else Level.UNKNOWN,
        evidence=tuple(notes.evidence),
        flags=tuple(notes.flags),
        next_steps=tuple(notes.steps),
        triggers=triggers,
        low=tuple([t for t in findings.tests if t.level == Level.LOW])
        if findings and findings.tests
        else (),
        screened=tuple([t for t in findings.screen.tests if t.level == Level.LOW])
        if findings
        else (),
        asymmetry=tuple([g.resource for g in findings.asymmetry]) if findings else (),
    )


def list_triggers(chart: Chart, knowledge: SarcopeniaKnowledge) -> tuple[str, ...]:
    """Why muscle is looked at; never age alone. "measured" for any measure, old ones included."""
    reasons = list(filter(chart.holds.__contains__, knowledge.groups["muscle_trigger"]))
    fallen = chart.get_latest("falls_12_months")
    if fallen is not None and fallen.value > 0 and is_fresh(chart, knowledge, fallen):
        reasons.append(Trigger.FALLS)
    if find_weight_loss(chart, knowledge):
        reasons.append(Trigger.WEIGHT_LOSS)
    sources = (chart.measurements, chart.unusable, chart.unable)
    if not all(map(knowledge.of_muscle.isdisjoint, sources)):
        reasons.insert(0, Trigger.MEASURED)
    return tuple(dict.fromkeys(reasons))


def _write_triggers(chart: Chart, knowledge: SarcopeniaKnowledge, notes: AssessmentLog) -> None:
    """Why muscle is looked at, besides what was measured."""
    notes.add_findings(
        SarcopeniaRule.TRIGGER, chart.list_present(knowledge.groups["muscle_trigger"])
    )
    fallen = chart.get_latest("falls_12_months")
    if fallen is not None and fallen.value > 0 and is_fresh(chart, knowledge, fallen):
        notes.add_result(
            SarcopeniaRule.TRIGGER,
            Outcome.PRESENT,
            fallen,
            _get_title(knowledge, fallen.observation),
        )
    for weight in find_weight_loss(chart, knowledge):
        notes.add_result(
            SarcopeniaRule.TRIGGER, Outcome.PRESENT, weight, make_text("Weight, falling")
        )


def _write_evidence(
    findings: MuscleFindings, knowledge: SarcopeniaKnowledge, notes: AssessmentLog
) -> None:
    for test in findings.tests:
        rule = RULES.get(_find_meaning(test, knowledge), SarcopeniaRule.MEASURE)
        _write_measure(test, rule, knowledge, notes)
    for test in findings.screen.tests:
        _write_measure(test, SarcopeniaRule.SCREEN, knowledge, notes)
    for measure in findings.stale:
        says = make_text(
            "{title}: too old to decide", title=_get_title(knowledge, measure.observation)
        )
        notes.add_result(SarcopeniaRule.STALE, Outcome.STALE, measure, says)
    for result in findings.refused:
        why = knowledge.refused[result.observation]
        says = make_text(
            "{title} is not used: {why}", title=_get_title(knowledge, result.observation), why=why
        )
        notes.add_unusable(SarcopeniaRule.REFUSED, result, says, Outcome.REFUSED)
    for grip in findings.asymmetry:
        says = make_text("Grip strength, {side} hand", side=grip.side or "")
        notes.add_result(SarcopeniaRule.ASYMMETRY, Outcome.PRESENT, grip, says)


def _find_meaning(test: MeasureResult, knowledge: SarcopeniaKnowledge) -> str:
    rows: Iterable[Cutoff] = knowledge.definition.cutoffs
    met = next((row.means for row in rows if row.observation == test.observation), "")
    return "low_strength" if met == "intermediate_strength" else met


def _write_measure(
    test: MeasureResult, rule: SarcopeniaRule, knowledge: SarcopeniaKnowledge, notes: AssessmentLog
) -> None:
    result, row = test.result, test.row
    title = _get_title(knowledge, test.observation)
    if test.unable is not None:
        meaning = knowledge.definition.find_unable(test.observation)
        says = make_text(
            "{title}: {reason}",
            title=title,
            reason=get_sentence(UnknownLevelReason, UnknownLevelReason.UNABLE),
        )
        if meaning:
            says = make_text("{title}, {means}", title=says, means=test.level)
        unable = test.unable
        locator = meaning.locator if meaning else None
        outcome = _choose_outcome(test, rule) if meaning else Outcome.NOT_DONE
        notes.evidence.append(
            Evidence(rule, outcome, says, unable.resource, day=unable.day, locator=locator)
        )
        return
    if test.unusable is not None:
        says = make_text(
            "{title}: {reason}",
            title=_get_title(knowledge, test.unusable.observation),
            reason=get_sentence(UnusableReason, test.unusable.reason),
        )
        notes.add_unusable(SarcopeniaRule.UNIT_SAFETY, test.unusable, says)
    if result is None:
        return
    outcome = _choose_outcome(test, rule)
    says = make_text("{title} {means}", title=title, means=_format_outcome(test, outcome))
    if result.reported and result.reported != format_amount(result.value, result.unit):
        says = make_text("{what} ({amount})", what=says, amount=as_amount(result.reported))
    locator = None
    if row is not None:
        locator = f"{row.source}: {row.locator}" if row.source else row.locator
    notes.add_result(rule, outcome, result, says, str(row) if row else None, locator)


def _choose_outcome(test: MeasureResult, rule: SarcopeniaRule) -> Outcome:
    if test.level == Level.UNKNOWN:
        return Outcome.UNDECIDED
    if rule == SarcopeniaRule.SCREEN:
        return Outcome.POSITIVE if test.level == Level.LOW else Outcome.NEGATIVE
    return Outcome.INTERMEDIATE if test.intermediate else Outcome(test.level)


def _format_outcome(test: MeasureResult, outcome: Outcome) -> str:
    match outcome:
        case Outcome.UNDECIDED:
            return make_text(
                "undecided, {reason}",
                reason=get_sentence(type(test.reason), test.reason) if test.reason else "",
            )
        case Outcome.POSITIVE:
            return make_text("positive")
        case Outcome.NEGATIVE:
            return make_text("negative")
        case Outcome.INTERMEDIATE:
            return make_text("intermediate")
    return test.level


def _get_title(knowledge: SarcopeniaKnowledge, observation: str) -> str:
    return knowledge.titles.get(observation, observation)


def _write_flags(
    findings: MuscleFindings,
    category: SarcopeniaCategory,
    chart: Chart,
    knowledge: SarcopeniaKnowledge,
    notes: AssessmentLog,
) -> None:
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


def _write_steps(
    findings: MuscleFindings,
    category: SarcopeniaCategory,
    triggers: tuple[str, ...],
    uses: frozenset[str],
    notes: AssessmentLog,
) -> None:
    """What to do, or the cheapest thing to find out."""
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
    _write_clarifications(findings, notes)
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
    """Mass, where strength or performance is low; performance, where the definition uses it."""
    low = Level.LOW in (findings.strength, findings.performance)
    if findings.mass == Level.UNKNOWN and "mass" in uses and low:
        notes.add_step(SarcopeniaStep.ORDER_MUSCLE_MASS_DXA_BIA)
    if findings.performance == Level.UNKNOWN and "performance" in uses:
        notes.add_step(SarcopeniaStep.MEASURE_GAIT_OR_SPPB)


def _write_clarifications(findings: MuscleFindings, notes: AssessmentLog) -> None:
    """What on record cannot be read, and what would make it readable."""
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
