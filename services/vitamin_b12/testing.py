"""Whether the guideline offers a test to somebody in whom nothing usable has been measured."""

from mappings.text import say
from services.assessment.evidence import Notes, Outcome
from services.chart.model import Chart
from services.vitamin_b12.case import Case
from services.vitamin_b12.findings import Features, duration_met
from services.vitamin_b12.knowledge import Knowledge


def test_is_called_for(case: Case, notes: Notes) -> bool:
    """Rules R4, R9, R12, R14: by the guideline's rule, a duration, an order or a blood finding."""
    reasons = [
        _by_rule(case, notes),
        _by_duration(case, notes),
        _by_blood_finding(case, notes),
        _by_order(case, notes),
        _by_old_result(case, notes),
        _by_lifelong_need(case, notes),
        _by_metabolite(case, notes),
    ]
    return True in reasons


def _by_rule(case: Case, notes: Notes) -> bool:
    testing, found = case.knowledge.guideline.testing, case.features
    symptom = bool(found.symptoms or found.neurological)
    match testing.rule:
        case "symptom_and_risk":
            called = symptom and bool(found.risks)
        case "risk":
            # A drug counts once its own duration is met, where the guideline gives one.
            timed = {row.subject for row in testing.durations}
            called = any(risk.concept not in timed for risk in found.risks) or (
                symptom and bool(found.risks)
            )
        case _:
            called = symptom
    if called:
        notes.findings("risk-factor", found.risks, testing.risk_locator)
        notes.remark("offer-test", say("the guideline offers a test"), testing.rule_locator)
        notes.step(testing.nitrous_oxide_step if found.nitrous_oxide else first_step(case))
    return called


def first_step(case: Case) -> str:
    """Which first-line test to ask for: active B12 in pregnancy."""
    testing = case.knowledge.guideline.testing
    return testing.pregnancy_step if case.features.pregnant else testing.offer_step


def _by_duration(case: Case, notes: Notes) -> bool:
    met = False
    told: set[str] = set()
    for row in case.knowledge.guideline.testing.durations:
        words = None if row.subject in told else duration_met(case.chart, row, case.knowledge)
        if words is not None:
            told.add(row.subject)
            title = case.knowledge.titles.get(row.subject, row.subject)
            says = (
                words if row.subject == "age" else say("{title} {words}", title=title, words=words)
            )
            notes.remark("duration", says, f"{row.source}: {row.locator}")
            pregnant = case.features.pregnant and row.step == "order-total-b12"
            notes.step(case.knowledge.guideline.testing.pregnancy_step if pregnant else row.step)
            met = True
    return met


def _by_blood_finding(case: Case, notes: Notes) -> bool:
    if not case.features.macrocytosis:
        return False
    notes.remark("macrocytosis", say("macrocytosis calls for B12 and folate"))
    notes.step(first_step(case), "check-folate")
    if case.chart.ordering(("order_cbc",)):
        notes.step("add-total-b12", "add-folate")
    return True


def _by_order(case: Case, notes: Notes) -> bool:
    """A draft of folic acid or nitrous oxide while B12 is not known."""
    if not case.chart.drafts:
        return False
    called = False
    if case.drafted_folic_acid and folic_acid_matters(case.chart, case.features, case.knowledge):
        notes.remark("folic-acid", say("folic acid can correct the blood while nerves worsen"))
        notes.step("check-b12-before-folic-acid", "exclude-b12-before-folic-acid")
        notes.step(first_step(case))
        called = True
    if case.drafted_nitrous_oxide:
        notes.remark("nitrous-oxide", say("nitrous oxide inactivates vitamin B12"))
        notes.step(first_step(case))
        called = True
    return called


def folic_acid_matters(chart: Chart, found: Features, knowledge: Knowledge) -> bool:
    """Rule R12: not for a preconception dose without macrocytosis, risk factor or symptom.

    Nor beside an antifolate such as methotrexate, whose companion it is, without such a reason.
    """
    reason = found.macrocytosis or bool(found.risks or found.symptoms or found.neurological)
    limit = knowledge.policy["folic_acid_preconception_ug_per_day"]
    doses = chart.drafted(("folic_acid",))
    small = all(dose.ug_per_day is not None and dose.ug_per_day <= limit for dose in doses)
    companion = chart.has("antifolate") or bool(chart.drafted(("antifolate",), aside=True))
    return reason or not (small or companion)


def _by_old_result(case: Case, notes: Notes) -> bool:
    if case.stale_low is None:
        return False
    says = say("low, but too old to decide by")
    notes.reading("old-result", case.stale_low, says, Outcome.STALE)
    notes.flag("show-old-low-result")
    notes.step(first_step(case))
    return True


def _by_lifelong_need(case: Case, notes: Notes) -> bool:
    """A cause that stays, and neither replacement nor a result on record."""
    need = case.chart.present(case.knowledge.groups["lifelong_need"])
    if not need or case.replacement.any:
        return False
    notes.findings("lifelong-need", need, case.knowledge.said["lifelong_need"][1])
    notes.step(first_step(case))
    return True


def _by_metabolite(case: Case, notes: Notes) -> bool:
    if case.mma_means not in ("raised", "grossly_raised"):
        return False
    says = say("methylmalonic acid is raised and B12 is not measured")
    notes.remark("methylmalonic-acid", says, outcome=Outcome(case.mma_means))
    notes.step(first_step(case))
    if case.kidneys == "unknown":
        notes.step("order-creatinine-egfr")
    return True
