"""What to do next, and how soon. Words are those of the published assessment."""

from mappings.text import say
from services.assessment.evidence import Notes
from services.vitamin_b12.case import Case
from services.vitamin_b12.outcome import DEFICIENT
from services.vitamin_b12.treatment import deficient, on_treatment, twice_high

DOUBTFUL = frozenset({"indeterminate", "uninterpretable"})


def write(case: Case, notes: Notes, category: str) -> None:
    """Adds the next steps and flags of `category`."""
    WRITERS[category](case, notes)
    if case.chart.drafts:
        _orders_of_the_session(case, notes, category)
    if category in DEFICIENT | DOUBTFUL and case.has_group("muscle"):
        notes.flag("do-not-attribute-sarcopenia-solely-to-b12")


def _indeterminate(case: Case, notes: Notes) -> None:
    testing, found = case.knowledge.guideline.testing, case.features
    notes.findings("risk-factor", found.risks, testing.risk_locator)
    symptomatic = bool(found.symptoms or found.neurological)
    if case.mma_means is None and (symptomatic or not testing.second_test_needs_symptom):
        if case.kidneys == "impaired":
            notes.step("consider-active-b12-or-urine-mma")
            notes.flag("interpret-mma-with-renal-function")
        else:
            notes.step(testing.second_test_step)
            notes.remark(
                "second-test", say("a second test resolves it"), testing.second_test_locator
            )
            if case.kidneys == "unknown":
                notes.step("order-creatinine-egfr")
    if not symptomatic and testing.second_test_needs_symptom and case.mma is None:
        notes.step("no-further-test-if-asymptomatic")
    if case.mma_means in ("raised", "grossly_raised"):
        notes.step(
            "order-creatinine-egfr"
            if case.kidneys == "unknown"
            else "consider-active-b12-or-urine-mma"
        )
    _doubt(case, notes)
    if case.has_group("dietary"):
        notes.step("diet-advice-or-supplement")
    if case.chart.has("hormonal_contraceptive") and _is_total(case):
        notes.flag("flag-coc-lowers-total-b12")
        notes.step("consider-active-b12-or-mma")


def _doubt(case: Case, notes: Notes) -> None:
    """Neurological findings with a result that does not settle it: treatment must not wait."""
    if not case.features.neurological:
        return
    notes.step(
        "do-not-delay-treatment-if-progressive",
        "clinical-judgement-trial",
        "urgent-neurology-haematology-advice",
    )
    notes.flag("do-not-dismiss")
    if case.features.strong:
        notes.step("take-blood-then-treat")


def _is_total(case: Case) -> bool:
    return case.first is not None and case.first.result.observation == "total_b12"


def _unlikely(case: Case, notes: Notes) -> None:
    found = case.features
    if found.symptoms or found.neurological:
        notes.step("reassess-if-symptoms-persist", "consider-alternative-diagnosis")
        if found.neurological:
            notes.flag("do-not-dismiss")
            if case.knowledge.guideline.testing.rule == "clinical_picture":
                notes.step("clinical-judgement-trial")
    else:
        indeterminate = case.first is not None and case.first.means == "indeterminate"
        notes.step("no-further-test-if-asymptomatic" if indeterminate else "no-further-test")
    if case.has_group("dietary"):
        notes.step("prevention-advice", "diet-advice-or-supplement")
    if case.mma_means in ("raised", "grossly_raised"):
        notes.flag("flag-discordance")
        if case.kidneys == "unknown":
            notes.step("order-creatinine-egfr")
    testing = case.knowledge.guideline.testing
    if testing.asymptomatic_drug_step and case.chart.has(testing.asymptomatic_drugs):
        notes.step(testing.asymptomatic_drug_step)
    if case.replacement.oral:
        notes.flag("note-supplement-masks")


def _uninterpretable(case: Case, notes: Notes) -> None:
    testing, found = case.knowledge.guideline.testing, case.features
    if found.pregnant and _is_total(case):
        notes.step(testing.pregnancy_step)
    if found.nitrous_oxide:
        notes.step("stop-nitrous-oxide")
        if case.mma_means is None or case.hcy_means is None:
            notes.step(testing.nitrous_oxide_step)
        notes.flag("do-not-dismiss")
    if case.replacement.oral and not found.nitrous_oxide:
        notes.flag("note-supplement-masks")
        notes.step("check-supplement-use", "order-hcy-or-mma")
    if "flag-assay-interference" in notes.flags or case.chart.has("transcobalamin_deficiency"):
        notes.step("order-hcy-or-mma" if case.kidneys != "impaired" else "order-active-b12")
        notes.flag("do-not-dismiss")
    if case.has_group("raises_b12"):
        notes.flag("do-not-dismiss")
        notes.step("order-hcy-or-mma" if found.symptoms or found.neurological else "verify-result")
        if twice_high(case):
            notes.step("evaluate-liver-haematological-malignancy")
    _doubt(case, notes)


def _high(case: Case, notes: Notes) -> None:
    notes.step("check-supplement-use")
    if twice_high(case):
        notes.step("evaluate-liver-haematological-malignancy")
        other = next(reading for reading in case.beside if reading.means == "high")
        notes.reading("first-line-band", other, say("Vitamin B12 high before"))
    else:
        notes.step("verify-result")
    if case.features.symptoms or case.features.neurological:
        notes.flag("do-not-dismiss")


def _insufficient(case: Case, notes: Notes) -> None:
    testing, found = case.knowledge.guideline.testing, case.features
    notes.step(testing.nitrous_oxide_step if found.nitrous_oxide else _first_test(case))
    if found.nitrous_oxide:
        notes.step("stop-nitrous-oxide")
    if found.strong:
        notes.step(
            "take-blood-then-treat",
            "urgent-neurology-haematology-advice",
            "do-not-delay-treatment-if-progressive",
        )
        notes.flag("do-not-dismiss")
    elif found.neurological:
        notes.step("do-not-delay-treatment-if-progressive")


def _first_test(case: Case) -> str:
    testing = case.knowledge.guideline.testing
    return testing.pregnancy_step if case.features.pregnant else testing.offer_step


def _untested(case: Case, notes: Notes) -> None:
    if case.features.nitrous_oxide:
        notes.step(case.knowledge.guideline.testing.nitrous_oxide_step, "stop-nitrous-oxide")
    if case.features.neurological:
        notes.step("assess-neuropathy", "do-not-delay-treatment-if-progressive")
    if case.has_group("dietary"):
        notes.step("diet-advice-or-supplement")
    if case.folate_low is not None or case.chart.has("folate_deficiency"):
        notes.step("exclude-b12-before-folic-acid")


def _no_action(case: Case, notes: Notes) -> None:
    testing, found = case.knowledge.guideline.testing, case.features
    if found.risks and testing.rule == "symptom_and_risk":
        notes.step("no-test-without-symptom")
    if testing.asymptomatic_drug_step and case.chart.has(testing.asymptomatic_drugs):
        notes.step(testing.asymptomatic_drug_step)
        if any(risk.concept not in testing.asymptomatic_drugs for risk in found.risks):
            notes.step("consider-order-total-b12")
        notes.remark("medicine", say("periodic monitoring"), testing.asymptomatic_drug_locator)
    if case.has_group("dietary"):
        notes.step("diet-advice-or-supplement", "prevention-advice")
    if found.nitrous_oxide:
        notes.step("stop-nitrous-oxide")


def _out_of_scope(_case: Case, _notes: Notes) -> None:
    """Nothing is said of children but whom to ask."""


def _orders_of_the_session(case: Case, notes: Notes, category: str) -> None:
    """What the orders about to be signed change, the category being about the patient."""
    chart = case.chart
    if case.drafted_folic_acid and category in DEFICIENT:
        notes.session_step("do-not-give-folic-acid-alone", "b12-before-or-with-folic-acid")
    if case.drafted_folic_acid and category in DOUBTFUL:
        notes.session_step("check-b12-before-folic-acid")
    level = chart.ordering(("total_b12", "active_b12"))
    if level and category == "on-treatment" and case.replacement.parenteral:
        notes.session_step("suggest-cancel-repeat-b12")
    if case.drafted_nitrous_oxide and category in DEFICIENT | {"indeterminate", "on-treatment"}:
        notes.flag("warn-avoid-nitrous-oxide")
    if chart.drafted(("cyanocobalamin",)) and chart.has("leber_optic_neuropathy"):
        notes.session_step("use-hydroxocobalamin", "suggest-hydroxocobalamin-im")


WRITERS = {
    "deficient": deficient,
    "deficient-functional": deficient,
    "indeterminate": _indeterminate,
    "unlikely": _unlikely,
    "uninterpretable": _uninterpretable,
    "high-b12": _high,
    "insufficient-data": _insufficient,
    "at-risk-untested": _untested,
    "no-action": _no_action,
    "on-treatment": on_treatment,
    "out-of-scope": _out_of_scope,
}
