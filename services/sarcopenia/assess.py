"""What a published definition says of a patient's muscle."""

from collections.abc import Iterable

from mappings.publications.cutoffs import Cutoff
from mappings.publications.definition import ADULT_AGE
from mappings.text import as_amount, format_amount, make_text
from services.assessment.evidence import AssessmentLog, Evidence, Outcome, make_age_reason
from services.chart.model import Chart
from services.sarcopenia.findings import NOTHING_MEASURED, MuscleFindings, read_findings
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.measures import MeasureResult, is_fresh
from services.sarcopenia.outcome import CONFIRMED, POSITIVE, SCREENED_POSITIVE, SarcopeniaAssessment
from services.sarcopenia.stages import ALGORITHMS, MEASURES_USED
from services.sarcopenia.weight import find_weight_loss

REASONS = {
    "sex": "the limits of men and women part here, and the sex to apply is not known",
    "method": "the limits for DXA and BIA part here, and the method is not stated",
    "bound": "only a bound is reported",
    "best-trial": "another trial of the day cannot be read",
    "unanswered": "questions are unanswered",
    "unable": "could not be done or completed",
    "no-unit": "reported without a unit",
    "unknown-unit": "the unit cannot be read",
    "impossible-value": "the value is not possible in this unit",
    "no-value": "reported without a number",
    "wrong-specimen": "the code is for another unit",
    "no-distance": "the distance walked is not stated",
}
UNREADABLE_UNIT = frozenset({"no-unit", "unknown-unit", "no-distance", "wrong-specimen"})
RULES = {"low_strength": "strength", "low_mass": "mass", "low_performance": "performance"}


def assess(chart: Chart, knowledge: SarcopeniaKnowledge) -> SarcopeniaAssessment:
    """The assessment of `chart` on the day `chart.today`."""
    definition = knowledge.definition
    notes, triggers = AssessmentLog(), list_triggers(chart, knowledge)
    in_scope = chart.has_reached_age(definition.minimum_age)
    if chart.has_reached_age(ADULT_AGE) is False:
        notes.add_remark("age", make_age_reason(ADULT_AGE), outcome=Outcome.NOT_APPLIED)
        return _conclude(triggers, knowledge, notes, "out_of_scope_age", None)
    found = read_findings(chart, knowledge)
    category = ALGORITHMS[definition.algorithm](
        found.strength, found.mass, found.performance, found.screen.outcome, found.attempted
    )
    if found is not NOTHING_MEASURED:
        _write_evidence(found, knowledge, notes)
    if triggers:
        _write_triggers(chart, knowledge, notes)
    if in_scope is False:
        locator = definition.minimum_age_locator
        years = definition.minimum_age
        notes.add_remark("age", make_age_reason(years), locator, Outcome.NOT_APPLIED)
        if found.strength == "low":
            notes.add_flag("low_grip_below_reference")
        _write_flags(found, "out_of_scope_age", chart, knowledge, notes)
        return _conclude(triggers, knowledge, notes, "out_of_scope_age", found)
    _write_flags(found, category, chart, knowledge, notes)
    if in_scope is None and triggers:
        notes.add_step("record_birth_date")
    if in_scope is None and category != "not_assessed":
        notes.add_remark(
            "age", make_text("the birth date does not say whether the definition holds")
        )
        _write_clarifications(found, notes)
        return _conclude(triggers, knowledge, notes, "indeterminate", found)
    _write_steps(found, category, triggers, MEASURES_USED[definition.algorithm], notes)
    return _conclude(triggers, knowledge, notes, category, found)


def _conclude(
    triggers: tuple[str, ...],
    knowledge: SarcopeniaKnowledge,
    notes: AssessmentLog,
    category: str,
    found: MuscleFindings | None,
) -> SarcopeniaAssessment:
    definition = knowledge.definition
    return SarcopeniaAssessment(
        definition=definition.id,
        definition_version=definition.version,
        category=category,
        strength=found.strength if found else "unknown",
        mass=found.mass if found else "unknown",
        performance=found.performance if found else "unknown",
        evidence=tuple(notes.evidence),
        flags=tuple(notes.flags),
        next_steps=tuple(notes.steps),
        triggers=triggers,
        low=tuple([t for t in found.tests if t.level == "low"]) if found and found.tests else (),
        screened=tuple([t for t in found.screen.tests if t.level == "low"]) if found else (),
        asymmetry=tuple([g.resource for g in found.asymmetry]) if found else (),
    )


def list_triggers(chart: Chart, knowledge: SarcopeniaKnowledge) -> tuple[str, ...]:
    """Why muscle is looked at; never age alone. "measured" for any measure, old ones included."""
    reasons = list(filter(chart.holds.__contains__, knowledge.groups["muscle_trigger"]))
    fallen = chart.get_latest("falls_12_months")
    if fallen is not None and fallen.value > 0 and is_fresh(chart, knowledge, fallen):
        reasons.append("falls")
    if find_weight_loss(chart, knowledge):
        reasons.append("weight_loss")
    sources = (chart.measurements, chart.unusable, chart.unable)
    if not all(map(knowledge.of_muscle.isdisjoint, sources)):
        reasons.insert(0, "measured")
    return tuple(dict.fromkeys(reasons))


def _write_triggers(chart: Chart, knowledge: SarcopeniaKnowledge, notes: AssessmentLog) -> None:
    """Why muscle is looked at, besides what was measured."""
    notes.add_findings("trigger", chart.list_present(knowledge.groups["muscle_trigger"]))
    fallen = chart.get_latest("falls_12_months")
    if fallen is not None and fallen.value > 0 and is_fresh(chart, knowledge, fallen):
        notes.add_result(
            "trigger", Outcome.PRESENT, fallen, _get_title(knowledge, fallen.observation)
        )
    for weight in find_weight_loss(chart, knowledge):
        notes.add_result("trigger", Outcome.PRESENT, weight, make_text("Weight, falling"))


def _write_evidence(
    found: MuscleFindings, knowledge: SarcopeniaKnowledge, notes: AssessmentLog
) -> None:
    for test in found.tests:
        rule = RULES.get(_find_meaning(test, knowledge), "measure")
        _write_measure(test, rule, knowledge, notes)
    for test in found.screen.tests:
        _write_measure(test, "screen", knowledge, notes)
    for measure in found.stale:
        says = make_text(
            "{title}: too old to decide", title=_get_title(knowledge, measure.observation)
        )
        notes.add_result("stale", Outcome.STALE, measure, says)
    for result in found.refused:
        why = knowledge.refused[result.observation]
        says = make_text(
            "{title} is not used: {why}", title=_get_title(knowledge, result.observation), why=why
        )
        notes.add_unusable("refused", result, says, Outcome.REFUSED)
    for grip in found.asymmetry:
        says = make_text("Grip strength, {side} hand", side=grip.side or "")
        notes.add_result("asymmetry", Outcome.PRESENT, grip, says)


def _find_meaning(test: MeasureResult, knowledge: SarcopeniaKnowledge) -> str:
    rows: Iterable[Cutoff] = knowledge.definition.cutoffs
    met = next((row.means for row in rows if row.observation == test.observation), "")
    return "low_strength" if met == "intermediate_strength" else met


def _write_measure(
    test: MeasureResult, rule: str, knowledge: SarcopeniaKnowledge, notes: AssessmentLog
) -> None:
    result, row = test.result, test.row
    title = _get_title(knowledge, test.observation)
    if test.unable is not None:
        meaning = knowledge.definition.find_unable(test.observation)
        says = make_text("{title}: {reason}", title=title, reason=REASONS["unable"])
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
            reason=REASONS[test.unusable.reason],
        )
        notes.add_unusable("unit-safety", test.unusable, says)
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


def _choose_outcome(test: MeasureResult, rule: str) -> Outcome:
    if test.level == "unknown":
        return Outcome.UNDECIDED
    if rule == "screen":
        return Outcome.POSITIVE if test.level == "low" else Outcome.NEGATIVE
    return Outcome.INTERMEDIATE if test.intermediate else Outcome(test.level)


def _format_outcome(test: MeasureResult, outcome: Outcome) -> str:
    match outcome:
        case Outcome.UNDECIDED:
            return make_text("undecided, {reason}", reason=REASONS.get(test.reason, test.reason))
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
    found: MuscleFindings,
    category: str,
    chart: Chart,
    knowledge: SarcopeniaKnowledge,
    notes: AssessmentLog,
) -> None:
    if found is NOTHING_MEASURED:
        return
    tests = (*found.tests, *found.screen.tests)
    if chart.sex is None and any(test.row is not None and test.row.sex for test in tests):
        notes.add_flag("sex_missing")
    masses = [t for t in found.tests if t.observation.startswith("asm") and t.result is not None]
    if any(test.result is not None and test.result.method is None for test in masses):
        notes.add_flag("method_missing")
    if any(test.reason == "method" for test in tests):
        notes.add_flag("method_required")
    if found.stale:
        notes.add_flag("stale")
    if found.discordant:
        notes.add_flag("mass_index_absolute_discordant")
    if found.asymmetry:
        notes.add_flag("grip_asymmetry_red_flag")
    if found.screen.at_limit:
        notes.add_flag("equality_conflict")
    if found.mass == "normal" and found.strength == "low":
        notes.add_flag("mass_normal_strength_low")
    if found.mass == "low" and category == "no_sarcopenia":
        notes.add_flag("low_mass_only")
    awgs = knowledge.definition.algorithm == "awgs2019"
    if awgs and found.performance == "unknown" and found.strength != "unknown":
        notes.add_flag("awgs_performance_not_assessed")


def _write_steps(
    found: MuscleFindings,
    category: str,
    triggers: tuple[str, ...],
    uses: frozenset[str],
    notes: AssessmentLog,
) -> None:
    """What to do, or the cheapest thing to find out."""
    if category in POSITIVE:
        notes.add_step("assess_secondary_causes", "refer_physio_resistance_exercise")
        _write_unknown_measures(found, uses, notes)
    if category in CONFIRMED:
        notes.add_step("refer_dietitian_protein", "falls_assessment")
    elif category in POSITIVE and "falls" in triggers:
        notes.add_step("falls_assessment")
    if category in SCREENED_POSITIVE:
        notes.add_step("measure_grip", "measure_chair_stand")
    _write_clarifications(found, notes)
    if category == "not_assessed" and triggers:
        if found.screen.score is None or not found.screen.score.complete:
            notes.add_step("complete_sarc_f")
        notes.add_step("measure_grip")
    if category == "indeterminate":
        if found.strength == "unknown":
            notes.add_step("measure_grip", "measure_chair_stand")
        else:
            _write_unknown_measures(found, uses, notes)
    if found.asymmetry:
        notes.add_step("neuro_exam")


def _write_unknown_measures(
    found: MuscleFindings, uses: frozenset[str], notes: AssessmentLog
) -> None:
    """Mass, where strength or performance is low; performance, where the definition uses it."""
    low = "low" in (found.strength, found.performance)
    if found.mass == "unknown" and "mass" in uses and low:
        notes.add_step("order_muscle_mass_dxa_bia")
    if found.performance == "unknown" and "performance" in uses:
        notes.add_step("measure_gait_or_sppb")


def _write_clarifications(found: MuscleFindings, notes: AssessmentLog) -> None:
    """What on record cannot be read, and what would make it readable."""
    if found is NOTHING_MEASURED:
        return
    tests = (*found.tests, *found.screen.tests)
    reasons = {test.reason for test in tests} | {
        test.unusable.reason for test in tests if test.unusable is not None
    }
    if reasons & UNREADABLE_UNIT:
        notes.add_step("clarify_unit")
    if "sex" in reasons:
        notes.add_step("record_sex_parameter")
    if found.height_missing:
        notes.add_step("record_height")
