"""Decide whether the guideline offers a B12 test, where no usable result is on record."""

from mappings.text import make_text
from services.assessment.b12_steps import B12Rule, B12Step
from services.assessment.codes import B12Flag
from services.assessment.evidence import AssessmentLog, Outcome
from services.chart.model import Chart
from services.vitamin_b12.case import Case
from services.vitamin_b12.findings import Features, explain_duration
from services.vitamin_b12.knowledge import B12Knowledge


def is_test_indicated(case: Case, notes: AssessmentLog) -> bool:
    """Whether a test is offered: by the guideline's rule, a duration, an order or a finding.

    Rules R4, R9, R12, R14.
    """
    reasons = [
        _check_rule(case, notes),
        _check_durations(case, notes),
        _check_blood_findings(case, notes),
        _check_orders(case, notes),
        _check_old_result(case, notes),
        _check_lifelong_need(case, notes),
        _check_metabolite(case, notes),
    ]
    return True in reasons


def _check_rule(case: Case, notes: AssessmentLog) -> bool:
    testing, features = case.knowledge.guideline.testing, case.features
    symptom = bool(features.symptoms or features.neurological)
    match testing.rule:
        case "symptom_and_risk":
            called = symptom and bool(features.risks)
        case "risk":
            # A drug counts once its own duration is met, where the guideline gives one.
            timed = {row.subject for row in testing.durations}
            called = any(risk.concept not in timed for risk in features.risks) or (
                symptom and bool(features.risks)
            )
        case _:
            called = symptom
    if called:
        notes.add_findings(B12Rule.RISK_FACTOR, features.risks, testing.risk_locator)
        notes.add_remark(
            B12Rule.OFFER_TEST, make_text("the guideline offers a test"), testing.rule_locator
        )
        notes.add_step(
            testing.nitrous_oxide_step if features.nitrous_oxide else choose_first_step(case)
        )
    return called


def choose_first_step(case: Case) -> str:
    """The step for the first-line test: the guideline's offer, or its test for pregnancy."""
    testing = case.knowledge.guideline.testing
    return testing.pregnancy_step if case.features.pregnant else testing.offer_step


def _check_durations(case: Case, notes: AssessmentLog) -> bool:
    met = False
    subjects: set[str] = set()
    for row in case.knowledge.guideline.testing.durations:
        words = (
            None if row.subject in subjects else explain_duration(case.chart, row, case.knowledge)
        )
        if words is not None:
            subjects.add(row.subject)
            title = case.knowledge.titles.get(row.subject, row.subject)
            says = (
                words
                if row.subject == "age"
                else make_text("{title} {words}", title=title, words=words)
            )
            notes.add_remark(B12Rule.DURATION, says, f"{row.source}: {row.locator}")
            pregnant = case.features.pregnant and row.step == B12Step.ORDER_TOTAL_B12
            notes.add_step(
                case.knowledge.guideline.testing.pregnancy_step if pregnant else row.step
            )
            met = True
    return met


def _check_blood_findings(case: Case, notes: AssessmentLog) -> bool:
    if not case.features.macrocytosis:
        return False
    notes.add_remark(B12Rule.MACROCYTOSIS, make_text("macrocytosis calls for B12 and folate"))
    notes.add_step(choose_first_step(case), B12Step.CHECK_FOLATE)
    if case.chart.list_drafted_orders(("order_cbc",)):
        notes.add_step(B12Step.ADD_TOTAL_B12, B12Step.ADD_FOLATE)
    return True


def _check_orders(case: Case, notes: AssessmentLog) -> bool:
    """Whether folic acid or nitrous oxide is drafted while B12 is not known."""
    if not case.chart.drafted_concepts:
        return False
    called = False
    if case.has_folic_acid_draft and is_folic_acid_relevant(
        case.chart, case.features, case.knowledge
    ):
        notes.add_remark(
            B12Rule.FOLIC_ACID, make_text("folic acid can correct the blood while nerves worsen")
        )
        notes.add_step(B12Step.CHECK_B12_BEFORE_FOLIC_ACID, B12Step.EXCLUDE_B12_BEFORE_FOLIC_ACID)
        notes.add_step(choose_first_step(case))
        called = True
    if case.has_nitrous_oxide_draft:
        notes.add_remark(B12Rule.NITROUS_OXIDE, make_text("nitrous oxide inactivates vitamin B12"))
        notes.add_step(choose_first_step(case))
        called = True
    return called


def is_folic_acid_relevant(chart: Chart, features: Features, knowledge: B12Knowledge) -> bool:
    """Whether a draft of folic acid calls for a B12 test first. (Rule R12.)

    Not a preconception dose without macrocytosis, risk factor or symptom.

    Nor beside an antifolate such as methotrexate, whose companion it is, without such a reason.
    """
    reason = features.macrocytosis or bool(
        features.risks or features.symptoms or features.neurological
    )
    limit = knowledge.policy["folic_acid_preconception_ug_per_day"]
    doses = chart.list_drafted_drugs(("folic_acid",))
    small = all(dose.ug_per_day is not None and dose.ug_per_day <= limit for dose in doses)
    companion = chart.has("antifolate") or bool(
        chart.list_drafted_drugs(("antifolate",), aside=True)
    )
    return reason or not (small or companion)


def _check_old_result(case: Case, notes: AssessmentLog) -> bool:
    if case.stale_low is None:
        return False
    says = make_text("low, but too old to decide by")
    notes.add_reading(B12Rule.OLD_RESULT, case.stale_low, says, Outcome.STALE)
    notes.add_flag(B12Flag.SHOW_OLD_LOW_RESULT)
    notes.add_step(choose_first_step(case))
    return True


def _check_lifelong_need(case: Case, notes: AssessmentLog) -> bool:
    """Whether a lifelong cause is on record, and neither replacement nor a result."""
    need = case.chart.list_present(case.knowledge.groups["lifelong_need"])
    if not need or case.replacement.is_present:
        return False
    notes.add_findings(B12Rule.LIFELONG_NEED, need, case.knowledge.group_texts["lifelong_need"][1])
    notes.add_step(choose_first_step(case))
    return True


def _check_metabolite(case: Case, notes: AssessmentLog) -> bool:
    if case.mma_means not in ("raised", "grossly_raised"):
        return False
    says = make_text("methylmalonic acid is raised and B12 is not measured")
    notes.add_remark(B12Rule.METHYLMALONIC_ACID, says, outcome=Outcome(case.mma_means))
    notes.add_step(choose_first_step(case))
    if case.kidneys == "unknown":
        notes.add_step(B12Step.ORDER_CREATININE_EGFR)
    return True
