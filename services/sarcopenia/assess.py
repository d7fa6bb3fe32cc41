"""Assess a patient's muscle by a published definition: category, levels, evidence, next steps."""

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
from services.sarcopenia import next_steps
from services.sarcopenia.findings import NOTHING_MEASURED, MuscleFindings, read_findings
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.measures import MeasureResult, is_fresh
from services.sarcopenia.outcome import SarcopeniaAssessment
from services.sarcopenia.stages import ALGORITHMS, MEASURES_USED
from services.sarcopenia.weight import find_weight_loss

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
        next_steps.write_flags(
            findings, SarcopeniaCategory.OUT_OF_SCOPE_AGE, chart, knowledge, notes
        )
        return _conclude(triggers, knowledge, notes, SarcopeniaCategory.OUT_OF_SCOPE_AGE, findings)
    next_steps.write_flags(findings, category, chart, knowledge, notes)
    if in_scope is None and triggers:
        notes.add_step(SarcopeniaStep.RECORD_BIRTH_DATE)
    if in_scope is None and category != SarcopeniaCategory.NOT_ASSESSED:
        notes.add_remark(
            SarcopeniaRule.AGE,
            make_text("the birth date does not say whether the definition holds"),
        )
        next_steps.write_clarifications(findings, notes)
        return _conclude(triggers, knowledge, notes, SarcopeniaCategory.INDETERMINATE, findings)
    next_steps.write_steps(findings, category, triggers, MEASURES_USED[definition.algorithm], notes)
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
    """Triggers, the reasons to assess muscle; never age alone.

    "measured" for any measure, old ones included.
    """
    reasons = list(filter(chart.active_concepts.__contains__, knowledge.groups["muscle_trigger"]))
    fallen = chart.get_latest("falls_12_months")
    if fallen is not None and fallen.value > 0 and is_fresh(chart, knowledge, fallen):
        reasons.append(Trigger.FALLS)
    if find_weight_loss(chart, knowledge):
        reasons.append(Trigger.WEIGHT_LOSS)
    sources = (chart.measurements, chart.unusable, chart.unable)
    if not all(map(knowledge.muscle_measures.isdisjoint, sources)):
        reasons.insert(0, Trigger.MEASURED)
    return tuple(dict.fromkeys(reasons))


def _write_triggers(chart: Chart, knowledge: SarcopeniaKnowledge, notes: AssessmentLog) -> None:
    """Add the evidence of the triggers, besides what was measured."""
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
