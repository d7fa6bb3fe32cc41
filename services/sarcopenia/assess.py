"""What a published definition says of a patient's muscle."""

from collections.abc import Iterable

from mappings.publications.definition import ADULT
from mappings.publications.guideline import Cutoff
from mappings.text import amount, as_amount, say
from services.assessment.evidence import Evidence, Notes, Outcome, under
from services.chart.model import Chart
from services.sarcopenia.findings import NOTHING_MEASURED, Findings, findings
from services.sarcopenia.knowledge import Knowledge
from services.sarcopenia.measures import Tested, is_fresh
from services.sarcopenia.outcome import CONFIRMED, POSITIVE, SCREENED_POSITIVE, Assessment
from services.sarcopenia.stages import ALGORITHMS, USES
from services.sarcopenia.weight import weight_loss

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


def assess(chart: Chart, knowledge: Knowledge) -> Assessment:
    """The assessment of `chart` on the day `chart.today`."""
    definition = knowledge.definition
    notes, triggers = Notes(), triggers_of(chart, knowledge)
    in_scope = chart.age_at_least(definition.minimum_age)
    if chart.age_at_least(ADULT) is False:
        notes.remark("age", under(ADULT), outcome=Outcome.NOT_APPLIED)
        return _conclude(triggers, knowledge, notes, "out_of_scope_age", None)
    found = findings(chart, knowledge)
    category = ALGORITHMS[definition.algorithm](
        found.strength, found.mass, found.performance, found.screen.outcome, found.attempted
    )
    if found is not NOTHING_MEASURED:
        _evidence(found, knowledge, notes)
    if triggers:
        _trigger_evidence(chart, knowledge, notes)
    if in_scope is False:
        locator = definition.minimum_age_locator
        years = definition.minimum_age
        notes.remark("age", under(years), locator, Outcome.NOT_APPLIED)
        if found.strength == "low":
            notes.flag("low_grip_below_reference")
        _flags(found, "out_of_scope_age", chart, knowledge, notes)
        return _conclude(triggers, knowledge, notes, "out_of_scope_age", found)
    _flags(found, category, chart, knowledge, notes)
    if in_scope is None and triggers:
        notes.step("record_birth_date")
    if in_scope is None and category != "not_assessed":
        notes.remark("age", say("the birth date does not say whether the definition holds"))
        _clarify(found, notes)
        return _conclude(triggers, knowledge, notes, "indeterminate", found)
    _steps(found, category, triggers, USES[definition.algorithm], notes)
    return _conclude(triggers, knowledge, notes, category, found)


def _conclude(
    triggers: tuple[str, ...],
    knowledge: Knowledge,
    notes: Notes,
    category: str,
    found: Findings | None,
) -> Assessment:
    definition = knowledge.definition
    return Assessment(
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


def triggers_of(chart: Chart, knowledge: Knowledge) -> tuple[str, ...]:
    """Why muscle is looked at; never age alone. "measured" for any measure, old ones included."""
    reasons = list(filter(chart.holds.__contains__, knowledge.groups["muscle_trigger"]))
    fallen = chart.latest("falls_12_months")
    if fallen is not None and fallen.value > 0 and is_fresh(chart, knowledge, fallen):
        reasons.append("falls")
    if weight_loss(chart, knowledge):
        reasons.append("weight_loss")
    sources = (chart.measurements, chart.unusable, chart.unable)
    if not all(map(knowledge.of_muscle.isdisjoint, sources)):
        reasons.insert(0, "measured")
    return tuple(dict.fromkeys(reasons))


def _trigger_evidence(chart: Chart, knowledge: Knowledge, notes: Notes) -> None:
    """Why muscle is looked at, besides what was measured."""
    notes.findings("trigger", chart.present(knowledge.groups["muscle_trigger"]))
    fallen = chart.latest("falls_12_months")
    if fallen is not None and fallen.value > 0 and is_fresh(chart, knowledge, fallen):
        notes.result("trigger", Outcome.PRESENT, fallen, _title(knowledge, fallen.observation))
    for weight in weight_loss(chart, knowledge):
        notes.result("trigger", Outcome.PRESENT, weight, say("Weight, falling"))


def _evidence(found: Findings, knowledge: Knowledge, notes: Notes) -> None:
    for test in found.tests:
        rule = RULES.get(_meaning(test, knowledge), "measure")
        _write(test, rule, knowledge, notes)
    for test in found.screen.tests:
        _write(test, "screen", knowledge, notes)
    for measure in found.stale:
        says = say("{title}: too old to decide", title=_title(knowledge, measure.observation))
        notes.result("stale", Outcome.STALE, measure, says)
    for result in found.refused:
        why = knowledge.refused[result.observation]
        says = say(
            "{title} is not used: {why}", title=_title(knowledge, result.observation), why=why
        )
        notes.unusable("refused", result, says, Outcome.REFUSED)
    for grip in found.asymmetry:
        says = say("Grip strength, {side} hand", side=grip.side or "")
        notes.result("asymmetry", Outcome.PRESENT, grip, says)


def _meaning(test: Tested, knowledge: Knowledge) -> str:
    rows: Iterable[Cutoff] = knowledge.definition.cutoffs
    met = next((row.means for row in rows if row.observation == test.observation), "")
    return "low_strength" if met == "intermediate_strength" else met


def _write(test: Tested, rule: str, knowledge: Knowledge, notes: Notes) -> None:
    result, row = test.result, test.row
    title = _title(knowledge, test.observation)
    if test.unable is not None:
        meaning = knowledge.definition.if_unable(test.observation)
        says = say("{title}: {reason}", title=title, reason=REASONS["unable"])
        if meaning:
            says = say("{title}, {means}", title=says, means=test.level)
        unable = test.unable
        locator = meaning.locator if meaning else None
        outcome = _outcome(test, rule) if meaning else Outcome.NOT_DONE
        notes.evidence.append(
            Evidence(rule, outcome, says, unable.resource, day=unable.day, locator=locator)
        )
        return
    if test.unusable is not None:
        says = say(
            "{title}: {reason}",
            title=_title(knowledge, test.unusable.observation),
            reason=REASONS[test.unusable.reason],
        )
        notes.unusable("unit-safety", test.unusable, says)
    if result is None:
        return
    outcome = _outcome(test, rule)
    says = say("{title} {means}", title=title, means=_said(test, outcome))
    if result.reported and result.reported != amount(result.value, result.unit):
        says = say("{what} ({amount})", what=says, amount=as_amount(result.reported))
    locator = None
    if row is not None:
        locator = f"{row.source}: {row.locator}" if row.source else row.locator
    notes.result(rule, outcome, result, says, str(row) if row else None, locator)


def _outcome(test: Tested, rule: str) -> Outcome:
    if test.level == "unknown":
        return Outcome.UNDECIDED
    if rule == "screen":
        return Outcome.POSITIVE if test.level == "low" else Outcome.NEGATIVE
    return Outcome.INTERMEDIATE if test.intermediate else Outcome(test.level)


def _said(test: Tested, outcome: Outcome) -> str:
    match outcome:
        case Outcome.UNDECIDED:
            return say("undecided, {reason}", reason=REASONS.get(test.why, test.why))
        case Outcome.POSITIVE:
            return say("positive")
        case Outcome.NEGATIVE:
            return say("negative")
        case Outcome.INTERMEDIATE:
            return say("intermediate")
    return test.level


def _title(knowledge: Knowledge, observation: str) -> str:
    return knowledge.titles.get(observation, observation)


def _flags(
    found: Findings, category: str, chart: Chart, knowledge: Knowledge, notes: Notes
) -> None:
    if found is NOTHING_MEASURED:
        return
    tests = (*found.tests, *found.screen.tests)
    if chart.sex is None and any(test.row is not None and test.row.sex for test in tests):
        notes.flag("sex_missing")
    masses = [t for t in found.tests if t.observation.startswith("asm") and t.result is not None]
    if any(test.result is not None and test.result.method is None for test in masses):
        notes.flag("method_missing")
    if any(test.why == "method" for test in tests):
        notes.flag("method_required")
    if found.stale:
        notes.flag("stale")
    if found.discordant:
        notes.flag("mass_index_absolute_discordant")
    if found.asymmetry:
        notes.flag("grip_asymmetry_red_flag")
    if found.screen.at_limit:
        notes.flag("equality_conflict")
    if found.mass == "normal" and found.strength == "low":
        notes.flag("mass_normal_strength_low")
    if found.mass == "low" and category == "no_sarcopenia":
        notes.flag("low_mass_only")
    awgs = knowledge.definition.algorithm == "awgs2019"
    if awgs and found.performance == "unknown" and found.strength != "unknown":
        notes.flag("awgs_performance_not_assessed")


def _steps(
    found: Findings, category: str, triggers: tuple[str, ...], uses: frozenset[str], notes: Notes
) -> None:
    """What to do, or the cheapest thing to find out."""
    if category in POSITIVE:
        notes.step("assess_secondary_causes", "refer_physio_resistance_exercise")
        _measure_unknown(found, uses, notes)
    if category in CONFIRMED:
        notes.step("refer_dietitian_protein", "falls_assessment")
    elif category in POSITIVE and "falls" in triggers:
        notes.step("falls_assessment")
    if category in SCREENED_POSITIVE:
        notes.step("measure_grip", "measure_chair_stand")
    _clarify(found, notes)
    if category == "not_assessed" and triggers:
        if found.screen.score is None or not found.screen.score.complete:
            notes.step("complete_sarc_f")
        notes.step("measure_grip")
    if category == "indeterminate":
        if found.strength == "unknown":
            notes.step("measure_grip", "measure_chair_stand")
        else:
            _measure_unknown(found, uses, notes)
    if found.asymmetry:
        notes.step("neuro_exam")


def _measure_unknown(found: Findings, uses: frozenset[str], notes: Notes) -> None:
    """Mass, where strength or performance is low; performance, where the definition uses it."""
    low = "low" in (found.strength, found.performance)
    if found.mass == "unknown" and "mass" in uses and low:
        notes.step("order_muscle_mass_dxa_bia")
    if found.performance == "unknown" and "performance" in uses:
        notes.step("measure_gait_or_sppb")


def _clarify(found: Findings, notes: Notes) -> None:
    """What on record cannot be read, and what would make it readable."""
    if found is NOTHING_MEASURED:
        return
    tests = (*found.tests, *found.screen.tests)
    reasons = {test.why for test in tests} | {
        test.unusable.reason for test in tests if test.unusable is not None
    }
    if reasons & UNREADABLE_UNIT:
        notes.step("clarify_unit")
    if "sex" in reasons:
        notes.step("record_sex_parameter")
    if found.height_missing:
        notes.step("record_height")
