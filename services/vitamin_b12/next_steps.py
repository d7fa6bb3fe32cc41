"""What to do next, and how soon. Words are those of the published assessment."""

from mappings.text import make_text
from services.assessment.evidence import AssessmentLog
from services.vitamin_b12.case import Case
from services.vitamin_b12.outcome import DEFICIENT
from services.vitamin_b12.treatment import is_twice_high, write_deficient, write_on_treatment

DOUBTFUL = frozenset({"indeterminate", "uninterpretable"})


def write_next_steps(case: Case, notes: AssessmentLog, category: str) -> None:
    """Adds the next steps and flags of `category`."""
    WRITERS[category](case, notes)
    if case.chart.drafts:
        _write_session_orders(case, notes, category)
    if category in DEFICIENT | DOUBTFUL and case.has_group("muscle"):
        notes.add_flag("do-not-attribute-sarcopenia-solely-to-b12")


def _write_indeterminate(case: Case, notes: AssessmentLog) -> None:
    testing, found = case.knowledge.guideline.testing, case.features
    notes.add_findings("risk-factor", found.risks, testing.risk_locator)
    symptomatic = bool(found.symptoms or found.neurological)
    if case.mma_means is None and (symptomatic or not testing.second_test_needs_symptom):
        if case.kidneys == "impaired":
            notes.add_step("consider-active-b12-or-urine-mma")
            notes.add_flag("interpret-mma-with-renal-function")
        else:
            notes.add_step(testing.second_test_step)
            notes.add_remark(
                "second-test", make_text("a second test resolves it"), testing.second_test_locator
            )
            if case.kidneys == "unknown":
                notes.add_step("order-creatinine-egfr")
    if not symptomatic and testing.second_test_needs_symptom and case.mma is None:
        notes.add_step("no-further-test-if-asymptomatic")
    if case.mma_means in ("raised", "grossly_raised"):
        notes.add_step(
            "order-creatinine-egfr"
            if case.kidneys == "unknown"
            else "consider-active-b12-or-urine-mma"
        )
    _write_doubt(case, notes)
    if case.has_group("dietary"):
        notes.add_step("diet-advice-or-supplement")
    if case.chart.has("hormonal_contraceptive") and _is_total(case):
        notes.add_flag("flag-coc-lowers-total-b12")
        notes.add_step("consider-active-b12-or-mma")


def _write_doubt(case: Case, notes: AssessmentLog) -> None:
    """Neurological findings with a result that does not settle it: treatment must not wait."""
    if not case.features.neurological:
        return
    notes.add_step(
        "do-not-delay-treatment-if-progressive",
        "clinical-judgement-trial",
        "urgent-neurology-haematology-advice",
    )
    notes.add_flag("do-not-dismiss")
    if case.features.strong:
        notes.add_step("take-blood-then-treat")


def _is_total(case: Case) -> bool:
    return case.deciding is not None and case.deciding.result.observation == "total_b12"


def _write_unlikely(case: Case, notes: AssessmentLog) -> None:
    found = case.features
    if found.symptoms or found.neurological:
        notes.add_step("reassess-if-symptoms-persist", "consider-alternative-diagnosis")
        if found.neurological:
            notes.add_flag("do-not-dismiss")
            if case.knowledge.guideline.testing.rule == "clinical_picture":
                notes.add_step("clinical-judgement-trial")
    else:
        indeterminate = case.deciding is not None and case.deciding.means == "indeterminate"
        notes.add_step("no-further-test-if-asymptomatic" if indeterminate else "no-further-test")
    if case.has_group("dietary"):
        notes.add_step("prevention-advice", "diet-advice-or-supplement")
    if case.mma_means in ("raised", "grossly_raised"):
        notes.add_flag("flag-discordance")
        if case.kidneys == "unknown":
            notes.add_step("order-creatinine-egfr")
    testing = case.knowledge.guideline.testing
    if testing.asymptomatic_drug_step and case.chart.has(testing.asymptomatic_drugs):
        notes.add_step(testing.asymptomatic_drug_step)
    if case.replacement.oral:
        notes.add_flag("note-supplement-masks")


def _write_uninterpretable(case: Case, notes: AssessmentLog) -> None:
    testing, found = case.knowledge.guideline.testing, case.features
    if found.pregnant and _is_total(case):
        notes.add_step(testing.pregnancy_step)
    if found.nitrous_oxide:
        notes.add_step("stop-nitrous-oxide")
        if case.mma_means is None or case.hcy_means is None:
            notes.add_step(testing.nitrous_oxide_step)
        notes.add_flag("do-not-dismiss")
    if case.replacement.oral and not found.nitrous_oxide:
        notes.add_flag("note-supplement-masks")
        notes.add_step("check-supplement-use", "order-hcy-or-mma")
    if "flag-assay-interference" in notes.flags or case.chart.has("transcobalamin_deficiency"):
        notes.add_step("order-hcy-or-mma" if case.kidneys != "impaired" else "order-active-b12")
        notes.add_flag("do-not-dismiss")
    if case.has_group("raises_b12"):
        notes.add_flag("do-not-dismiss")
        notes.add_step(
            "order-hcy-or-mma" if found.symptoms or found.neurological else "verify-result"
        )
        if is_twice_high(case):
            notes.add_step("evaluate-liver-haematological-malignancy")
    _write_doubt(case, notes)


def _write_high(case: Case, notes: AssessmentLog) -> None:
    notes.add_step("check-supplement-use")
    if is_twice_high(case):
        notes.add_step("evaluate-liver-haematological-malignancy")
        other = next(reading for reading in case.other_readings if reading.means == "high")
        notes.add_reading("first-line-band", other, make_text("Vitamin B12 high before"))
    else:
        notes.add_step("verify-result")
    if case.features.symptoms or case.features.neurological:
        notes.add_flag("do-not-dismiss")


def _write_insufficient_data(case: Case, notes: AssessmentLog) -> None:
    testing, found = case.knowledge.guideline.testing, case.features
    notes.add_step(testing.nitrous_oxide_step if found.nitrous_oxide else _choose_first_step(case))
    if found.nitrous_oxide:
        notes.add_step("stop-nitrous-oxide")
    if found.strong:
        notes.add_step(
            "take-blood-then-treat",
            "urgent-neurology-haematology-advice",
            "do-not-delay-treatment-if-progressive",
        )
        notes.add_flag("do-not-dismiss")
    elif found.neurological:
        notes.add_step("do-not-delay-treatment-if-progressive")


def _choose_first_step(case: Case) -> str:
    testing = case.knowledge.guideline.testing
    return testing.pregnancy_step if case.features.pregnant else testing.offer_step


def _write_untested(case: Case, notes: AssessmentLog) -> None:
    if case.features.nitrous_oxide:
        notes.add_step(case.knowledge.guideline.testing.nitrous_oxide_step, "stop-nitrous-oxide")
    if case.features.neurological:
        notes.add_step("assess-neuropathy", "do-not-delay-treatment-if-progressive")
    if case.has_group("dietary"):
        notes.add_step("diet-advice-or-supplement")
    if case.folate_low is not None or case.chart.has("folate_deficiency"):
        notes.add_step("exclude-b12-before-folic-acid")


def _write_no_action(case: Case, notes: AssessmentLog) -> None:
    testing, found = case.knowledge.guideline.testing, case.features
    if found.risks and testing.rule == "symptom_and_risk":
        notes.add_step("no-test-without-symptom")
    if testing.asymptomatic_drug_step and case.chart.has(testing.asymptomatic_drugs):
        notes.add_step(testing.asymptomatic_drug_step)
        if any(risk.concept not in testing.asymptomatic_drugs for risk in found.risks):
            notes.add_step("consider-order-total-b12")
        notes.add_remark(
            "medicine", make_text("periodic monitoring"), testing.asymptomatic_drug_locator
        )
    if case.has_group("dietary"):
        notes.add_step("diet-advice-or-supplement", "prevention-advice")
    if found.nitrous_oxide:
        notes.add_step("stop-nitrous-oxide")


def _write_out_of_scope(_case: Case, _notes: AssessmentLog) -> None:
    """Nothing is said of children but whom to ask."""


def _write_session_orders(case: Case, notes: AssessmentLog, category: str) -> None:
    """What the orders about to be signed change, the category being about the patient."""
    chart = case.chart
    if case.has_folic_acid_draft and category in DEFICIENT:
        notes.add_session_step("do-not-give-folic-acid-alone", "b12-before-or-with-folic-acid")
    if case.has_folic_acid_draft and category in DOUBTFUL:
        notes.add_session_step("check-b12-before-folic-acid")
    level = chart.list_drafted_orders(("total_b12", "active_b12"))
    if level and category == "on-treatment" and case.replacement.parenteral:
        notes.add_session_step("suggest-cancel-repeat-b12")
    if case.has_nitrous_oxide_draft and category in DEFICIENT | {"indeterminate", "on-treatment"}:
        notes.add_flag("warn-avoid-nitrous-oxide")
    if chart.list_drafted_drugs(("cyanocobalamin",)) and chart.has("leber_optic_neuropathy"):
        notes.add_session_step("use-hydroxocobalamin", "suggest-hydroxocobalamin-im")


WRITERS = {
    "deficient": write_deficient,
    "deficient-functional": write_deficient,
    "indeterminate": _write_indeterminate,
    "unlikely": _write_unlikely,
    "uninterpretable": _write_uninterpretable,
    "high-b12": _write_high,
    "insufficient-data": _write_insufficient_data,
    "at-risk-untested": _write_untested,
    "no-action": _write_no_action,
    "on-treatment": write_on_treatment,
    "out-of-scope": _write_out_of_scope,
}
