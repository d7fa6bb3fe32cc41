"""Next steps and flags of each B12 category, by the guideline."""

from typing import assert_never

from mappings.text import make_text
from services.assessment.b12_steps import B12Rule, B12Step
from services.assessment.codes import B12Category, B12Flag
from services.assessment.evidence import AssessmentLog
from services.vitamin_b12.case import Case
from services.vitamin_b12.outcome import DEFICIENT
from services.vitamin_b12.testing import choose_first_step
from services.vitamin_b12.treatment import is_twice_high, write_deficient, write_on_treatment

DOUBTFUL = frozenset({B12Category.INDETERMINATE, B12Category.UNINTERPRETABLE})


def write_next_steps(case: Case, notes: AssessmentLog, category: B12Category) -> None:
    """Add the next steps and flags of `category`."""
    _write_category(case, notes, category)
    if case.chart.drafted_concepts:
        _write_session_orders(case, notes, category)
    if category in DEFICIENT | DOUBTFUL and case.has_group("muscle"):
        notes.add_flag(B12Flag.DO_NOT_ATTRIBUTE_SARCOPENIA_SOLELY_TO_B12)


def _write_category(case: Case, notes: AssessmentLog, category: B12Category) -> None:
    match category:
        case B12Category.NO_ACTION:
            _write_no_action(case, notes)
        case B12Category.AT_RISK_UNTESTED:
            _write_untested(case, notes)
        case B12Category.DEFICIENT | B12Category.DEFICIENT_FUNCTIONAL:
            write_deficient(case, notes)
        case B12Category.INDETERMINATE:
            _write_indeterminate(case, notes)
        case B12Category.UNLIKELY:
            _write_unlikely(case, notes)
        case B12Category.UNINTERPRETABLE:
            _write_uninterpretable(case, notes)
        case B12Category.HIGH_B12:
            _write_high(case, notes)
        case B12Category.INSUFFICIENT_DATA:
            _write_insufficient_data(case, notes)
        case B12Category.ON_TREATMENT:
            write_on_treatment(case, notes)
        case B12Category.OUT_OF_SCOPE:
            pass  # nothing is said of children but whom to ask
        case _:
            assert_never(category)


def _write_indeterminate(case: Case, notes: AssessmentLog) -> None:
    testing, features = case.knowledge.guideline.testing, case.features
    notes.add_findings(B12Rule.RISK_FACTOR, features.risks, testing.risk_locator)
    symptomatic = bool(features.symptoms or features.neurological)
    if case.mma_means is None and (symptomatic or not testing.second_test_needs_symptom):
        if case.kidneys == "impaired":
            notes.add_step(B12Step.CONSIDER_ACTIVE_B12_OR_URINE_MMA)
            notes.add_flag(B12Flag.INTERPRET_MMA_WITH_RENAL_FUNCTION)
        else:
            notes.add_step(testing.second_test_step)
            notes.add_remark(
                B12Rule.SECOND_TEST,
                make_text("a second test resolves it"),
                testing.second_test_locator,
            )
            if case.kidneys == "unknown":
                notes.add_step(B12Step.ORDER_CREATININE_EGFR)
    if not symptomatic and testing.second_test_needs_symptom and case.mma is None:
        notes.add_step(B12Step.NO_FURTHER_TEST_IF_ASYMPTOMATIC)
    if case.mma_means in ("raised", "grossly_raised"):
        notes.add_step(
            B12Step.ORDER_CREATININE_EGFR
            if case.kidneys == "unknown"
            else B12Step.CONSIDER_ACTIVE_B12_OR_URINE_MMA
        )
    _write_doubt(case, notes)
    if case.has_group("dietary"):
        notes.add_step(B12Step.DIET_ADVICE_OR_SUPPLEMENT)
    if case.chart.has("hormonal_contraceptive") and _is_total(case):
        notes.add_flag(B12Flag.FLAG_COC_LOWERS_TOTAL_B12)
        notes.add_step(B12Step.CONSIDER_ACTIVE_B12_OR_MMA)


def _write_doubt(case: Case, notes: AssessmentLog) -> None:
    """Add steps for neurological findings with an unclear result: treatment must not wait."""
    if not case.features.neurological:
        return
    notes.add_step(
        B12Step.DO_NOT_DELAY_TREATMENT_IF_PROGRESSIVE,
        B12Step.CLINICAL_JUDGEMENT_TRIAL,
        B12Step.URGENT_NEUROLOGY_HAEMATOLOGY_ADVICE,
    )
    notes.add_flag(B12Flag.DO_NOT_DISMISS)
    if case.features.strong:
        notes.add_step(B12Step.TAKE_BLOOD_THEN_TREAT)


def _is_total(case: Case) -> bool:
    return case.deciding is not None and case.deciding.result.observation == "total_b12"


def _write_unlikely(case: Case, notes: AssessmentLog) -> None:
    features = case.features
    if features.symptoms or features.neurological:
        notes.add_step(B12Step.REASSESS_IF_SYMPTOMS_PERSIST, B12Step.CONSIDER_ALTERNATIVE_DIAGNOSIS)
        if features.neurological:
            notes.add_flag(B12Flag.DO_NOT_DISMISS)
            if case.knowledge.guideline.testing.rule == "clinical_picture":
                notes.add_step(B12Step.CLINICAL_JUDGEMENT_TRIAL)
    else:
        indeterminate = case.deciding is not None and case.deciding.means == "indeterminate"
        notes.add_step(
            B12Step.NO_FURTHER_TEST_IF_ASYMPTOMATIC if indeterminate else B12Step.NO_FURTHER_TEST
        )
    if case.has_group("dietary"):
        notes.add_step(B12Step.PREVENTION_ADVICE, B12Step.DIET_ADVICE_OR_SUPPLEMENT)
    if case.mma_means in ("raised", "grossly_raised"):
        notes.add_flag(B12Flag.FLAG_DISCORDANCE)
        if case.kidneys == "unknown":
            notes.add_step(B12Step.ORDER_CREATININE_EGFR)
    testing = case.knowledge.guideline.testing
    if testing.asymptomatic_drug_step and case.chart.has(testing.asymptomatic_drugs):
        notes.add_step(testing.asymptomatic_drug_step)
    if case.replacement.oral:
        notes.add_flag(B12Flag.NOTE_SUPPLEMENT_MASKS)


def _write_uninterpretable(case: Case, notes: AssessmentLog) -> None:
    testing, features = case.knowledge.guideline.testing, case.features
    if features.pregnant and _is_total(case):
        notes.add_step(testing.pregnancy_step)
    if features.nitrous_oxide:
        notes.add_step(B12Step.STOP_NITROUS_OXIDE)
        if case.mma_means is None or case.hcy_means is None:
            notes.add_step(testing.nitrous_oxide_step)
        notes.add_flag(B12Flag.DO_NOT_DISMISS)
    if case.replacement.oral and not features.nitrous_oxide:
        notes.add_flag(B12Flag.NOTE_SUPPLEMENT_MASKS)
        notes.add_step(B12Step.CHECK_SUPPLEMENT_USE, B12Step.ORDER_HCY_OR_MMA)
    if B12Flag.FLAG_ASSAY_INTERFERENCE in notes.flags or case.chart.has(
        "transcobalamin_deficiency"
    ):
        notes.add_step(
            B12Step.ORDER_HCY_OR_MMA if case.kidneys != "impaired" else B12Step.ORDER_ACTIVE_B12
        )
        notes.add_flag(B12Flag.DO_NOT_DISMISS)
    if case.has_group("raises_b12"):
        notes.add_flag(B12Flag.DO_NOT_DISMISS)
        notes.add_step(
            B12Step.ORDER_HCY_OR_MMA
            if features.symptoms or features.neurological
            else B12Step.VERIFY_RESULT
        )
        if is_twice_high(case):
            notes.add_step(B12Step.EVALUATE_LIVER_HAEMATOLOGICAL_MALIGNANCY)
    _write_doubt(case, notes)


def _write_high(case: Case, notes: AssessmentLog) -> None:
    notes.add_step(B12Step.CHECK_SUPPLEMENT_USE)
    if is_twice_high(case):
        notes.add_step(B12Step.EVALUATE_LIVER_HAEMATOLOGICAL_MALIGNANCY)
        other = next(reading for reading in case.other_readings if reading.means == "high")
        notes.add_reading(B12Rule.FIRST_LINE_BAND, other, make_text("Vitamin B12 high before"))
    else:
        notes.add_step(B12Step.VERIFY_RESULT)
    if case.features.symptoms or case.features.neurological:
        notes.add_flag(B12Flag.DO_NOT_DISMISS)


def _write_insufficient_data(case: Case, notes: AssessmentLog) -> None:
    testing, features = case.knowledge.guideline.testing, case.features
    notes.add_step(
        testing.nitrous_oxide_step if features.nitrous_oxide else choose_first_step(case)
    )
    if features.nitrous_oxide:
        notes.add_step(B12Step.STOP_NITROUS_OXIDE)
    if features.strong:
        notes.add_step(
            B12Step.TAKE_BLOOD_THEN_TREAT,
            B12Step.URGENT_NEUROLOGY_HAEMATOLOGY_ADVICE,
            B12Step.DO_NOT_DELAY_TREATMENT_IF_PROGRESSIVE,
        )
        notes.add_flag(B12Flag.DO_NOT_DISMISS)
    elif features.neurological:
        notes.add_step(B12Step.DO_NOT_DELAY_TREATMENT_IF_PROGRESSIVE)


def _write_untested(case: Case, notes: AssessmentLog) -> None:
    if case.features.nitrous_oxide:
        notes.add_step(
            case.knowledge.guideline.testing.nitrous_oxide_step, B12Step.STOP_NITROUS_OXIDE
        )
    if case.features.neurological:
        notes.add_step(B12Step.ASSESS_NEUROPATHY, B12Step.DO_NOT_DELAY_TREATMENT_IF_PROGRESSIVE)
    if case.has_group("dietary"):
        notes.add_step(B12Step.DIET_ADVICE_OR_SUPPLEMENT)
    if case.folate_low is not None or case.chart.has("folate_deficiency"):
        notes.add_step(B12Step.EXCLUDE_B12_BEFORE_FOLIC_ACID)


def _write_no_action(case: Case, notes: AssessmentLog) -> None:
    testing, features = case.knowledge.guideline.testing, case.features
    if features.risks and testing.rule == "symptom_and_risk":
        notes.add_step(B12Step.NO_TEST_WITHOUT_SYMPTOM)
    if testing.asymptomatic_drug_step and case.chart.has(testing.asymptomatic_drugs):
        notes.add_step(testing.asymptomatic_drug_step)
        if any(risk.concept not in testing.asymptomatic_drugs for risk in features.risks):
            notes.add_step(B12Step.CONSIDER_ORDER_TOTAL_B12)
        notes.add_remark(
            B12Rule.MEDICINE, make_text("periodic monitoring"), testing.asymptomatic_drug_locator
        )
    if case.has_group("dietary"):
        notes.add_step(B12Step.DIET_ADVICE_OR_SUPPLEMENT, B12Step.PREVENTION_ADVICE)
    if features.nitrous_oxide:
        notes.add_step(B12Step.STOP_NITROUS_OXIDE)


def _write_session_orders(case: Case, notes: AssessmentLog, category: B12Category) -> None:
    """What the orders about to be signed change, the category being about the patient."""
    chart = case.chart
    if case.has_folic_acid_draft and category in DEFICIENT:
        notes.add_session_step(
            B12Step.DO_NOT_GIVE_FOLIC_ACID_ALONE, B12Step.B12_BEFORE_OR_WITH_FOLIC_ACID
        )
    if case.has_folic_acid_draft and category in DOUBTFUL:
        notes.add_session_step(B12Step.CHECK_B12_BEFORE_FOLIC_ACID)
    level = chart.list_drafted_orders(("total_b12", "active_b12"))
    if level and category == B12Category.ON_TREATMENT and case.replacement.parenteral:
        notes.add_session_step(B12Step.SUGGEST_CANCEL_REPEAT_B12)
    if case.has_nitrous_oxide_draft and category in DEFICIENT | {
        B12Category.INDETERMINATE,
        B12Category.ON_TREATMENT,
    }:
        notes.add_flag(B12Flag.WARN_AVOID_NITROUS_OXIDE)
    if chart.list_drafted_drugs(("cyanocobalamin",)) and chart.has("leber_optic_neuropathy"):
        notes.add_session_step(B12Step.USE_HYDROXOCOBALAMIN, B12Step.SUGGEST_HYDROXOCOBALAMIN_IM)
