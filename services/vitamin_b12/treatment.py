"""Treatment steps for a deficiency and during B12 treatment, and how urgent they are."""

from typing import assert_never

from mappings.publications.laboratory import Marker
from mappings.text import make_text
from services.assessment.b12_steps import B12Rule, B12Step
from services.assessment.codes import B12Category, B12Flag, Urgency
from services.assessment.evidence import AssessmentLog
from services.chart.model import subtract_months
from services.vitamin_b12.case import Case
from services.vitamin_b12.findings import find_course_start
from services.vitamin_b12.results import get_fresh, read_by_common_limits


def choose_situation(case: Case) -> str:
    """Choose the guideline's treatment: nerves go first, then the cause."""
    features = case.features
    if features.neurological:
        return "neurological"
    if features.severe_anaemia and "severe" in case.knowledge.guideline.treatments:
        return "severe"
    for name in ("autoimmune_gastritis", "surgical", "malabsorption"):
        if case.has_group(name):
            return name
    if case.interfering_antibody:
        return "autoimmune_gastritis"
    if features.nitrous_oxide:
        return "nitrous_oxide"
    return "dietary" if case.has_group("dietary") else "other"


def rate_urgency(case: Case, category: B12Category) -> Urgency:
    """Rate the urgency of `category`; neurological findings do not wait for results. (R10.)"""
    features = case.features
    neurological = bool(features.neurological)
    match category:
        case B12Category.DEFICIENT | B12Category.DEFICIENT_FUNCTIONAL:
            if features.myelopathy:
                return Urgency.EMERGENCY
            return Urgency.URGENT if neurological or features.severe_anaemia else Urgency.SOON
        case B12Category.INSUFFICIENT_DATA:
            if features.myelopathy:
                return Urgency.EMERGENCY
            return Urgency.URGENT if neurological else Urgency.SOON
        case B12Category.INDETERMINATE | B12Category.UNINTERPRETABLE:
            if neurological:
                return Urgency.EMERGENCY if features.myelopathy else Urgency.URGENT
            return Urgency.SOON if features.symptoms or features.pregnant else Urgency.ROUTINE
        case B12Category.AT_RISK_UNTESTED:
            return Urgency.SOON if neurological or features.symptoms else Urgency.ROUTINE
        case B12Category.ON_TREATMENT:
            return Urgency.SOON if neurological else Urgency.ROUTINE
        case B12Category.HIGH_B12:
            return Urgency.SOON if is_twice_high(case) else Urgency.ROUTINE
        case B12Category.UNLIKELY:
            return Urgency.ROUTINE if features.symptoms or neurological else Urgency.NONE
        case B12Category.NO_ACTION | B12Category.OUT_OF_SCOPE:
            return Urgency.NONE
        case _:
            assert_never(category)


def is_twice_high(case: Case) -> bool:
    """Whether B12 is above the limit in two measurements. (Rule R17.)"""
    readings = [reading for reading in (case.deciding, *case.other_readings) if reading is not None]
    return sum(reading.means == "high" for reading in readings) > 1


def write_deficient(case: Case, notes: AssessmentLog) -> None:
    if case.replacement.is_present:
        _write_treatment_begun(case, notes)
    else:
        _write_first_treatment(case, notes)
    _write_safety(case, notes)
    _write_work_up(case, notes)
    guideline = case.knowledge.guideline
    pregnant = case.features.pregnant and guideline.follow_up.pregnancy_months == 1
    notes.add_step(B12Step.REVIEW_1_MONTH if pregnant else B12Step.REVIEW_SYMPTOMS_3_MONTHS)
    first = case.deciding
    if first is not None and first.means == "deficient" and first.result.observation == "total_b12":
        if case.chart.has("hormonal_contraceptive"):
            notes.add_flag(B12Flag.FLAG_COC_LOWERS_TOTAL_B12)
            notes.add_step(B12Step.CONSIDER_ACTIVE_B12_OR_MMA)
        if case.mma_means == "normal":
            notes.add_flag(B12Flag.FLAG_DISCORDANCE)
    if first is not None and first.means != "deficient":
        notes.add_flag(B12Flag.FLAG_DISCORDANCE)
        notes.add_step(B12Step.CHECK_SUPPLEMENT_USE)


def _write_first_treatment(case: Case, notes: AssessmentLog) -> None:
    treatment = case.knowledge.guideline.treatments[choose_situation(case)]
    steps = [step for step in treatment.steps if step != B12Step.DIET_ADVICE_OR_SUPPLEMENT]
    notes.add_step(B12Step.START_B12_REPLACEMENT, *steps)
    notes.add_findings(B12Rule.RISK_FACTOR, case.features.risks)
    if case.has_group("leber"):
        notes.add_remark(B12Rule.TREATMENT, *case.knowledge.group_texts["leber"])
    else:
        notes.add_remark(B12Rule.TREATMENT, treatment.says, treatment.locator)
    if case.features.neurological:
        notes.add_step(
            B12Step.START_IM_B12_NEURO_REGIMEN, B12Step.URGENT_NEUROLOGY_HAEMATOLOGY_ADVICE
        )
        if case.has_group("autoimmune_gastritis") or case.has_group("surgical"):
            notes.add_step(B12Step.LIFELONG_IM_B12_RECOMMENDED)
    if case.has_group("dietary"):
        notes.add_step(B12Step.DIET_ADVICE_OR_SUPPLEMENT)
    if case.chart.has("leber_optic_neuropathy"):
        notes.add_step(B12Step.USE_HYDROXOCOBALAMIN, B12Step.SUGGEST_HYDROXOCOBALAMIN_IM)


def _write_treatment_begun(case: Case, notes: AssessmentLog) -> None:
    """Deficient by a result from before, or under a dose that plainly fails."""
    notes.add_findings(B12Rule.REPLACEMENT, (*case.replacement.parenteral, *case.replacement.oral))
    if case.replacement.oral and not case.replacement.parenteral:
        notes.add_step(B12Step.CHECK_ADHERENCE)
        absorbs_badly = any(
            case.has_group(g) for g in ("autoimmune_gastritis", "surgical", "malabsorption")
        )
        if absorbs_badly or case.features.neurological or not case.replacement.therapeutic:
            notes.add_step(B12Step.SWITCH_TO_IM_OR_ORAL_1MG)
        if case.features.neurological:
            notes.add_step(
                B12Step.START_IM_B12_NEURO_REGIMEN, B12Step.URGENT_NEUROLOGY_HAEMATOLOGY_ADVICE
            )


def _write_work_up(case: Case, notes: AssessmentLog) -> None:
    """Add steps to find the cause where none is plain; folate and blood count too. (R19.)"""
    chart = case.chart
    plain = ("autoimmune_gastritis", "surgical", "malabsorption", "dietary")
    if not any(case.has_group(group) for group in plain) and not case.features.nitrous_oxide:
        notes.add_step(B12Step.IDENTIFY_CAUSE)
        if case.get_antibody("intrinsic_factor_antibody") is None:
            notes.add_step(B12Step.CHECK_IF_ANTIBODY)
        if chart.get_latest("ttg_iga") is None:
            notes.add_step(B12Step.COELIAC_SEROLOGY)
    if case.get_antibody("intrinsic_factor_antibody") is False:
        notes.add_flag(B12Flag.NEGATIVE_IF_AB_DOES_NOT_EXCLUDE)
    if case.interfering_antibody and not case.has_group("autoimmune_gastritis"):
        notes.add_step(B12Step.LIFELONG_IM_B12_RECOMMENDED)
    if get_fresh(chart, "hemoglobin", case.knowledge) is None:
        notes.add_step(B12Step.CHECK_CBC)
    if get_fresh(chart, "folate_serum", case.knowledge) is None:
        notes.add_step(B12Step.CHECK_FOLATE)


def _write_safety(case: Case, notes: AssessmentLog) -> None:
    notes.add_flag(B12Flag.WARN_AVOID_NITROUS_OXIDE)
    if case.features.severe_anaemia:
        notes.add_step(B12Step.URGENT_HAEMATOLOGY_ADVICE, B12Step.MONITOR_POTASSIUM)
    for marker in case.knowledge.markers:
        _write_marker(marker, case, notes)
    if case.features.nitrous_oxide:
        notes.add_step(B12Step.STOP_NITROUS_OXIDE)
    if case.folate_low is not None or case.chart.has(("folate_deficiency", "folic_acid")):
        notes.add_step(B12Step.B12_BEFORE_OR_WITH_FOLIC_ACID, B12Step.DO_NOT_GIVE_FOLIC_ACID_ALONE)
    if case.chart.has("chloramphenicol"):
        notes.add_flag(B12Flag.NOTE_REDUCED_HAEMATOLOGICAL_RESPONSE)
    if case.chart.has("polycythaemia_vera"):
        notes.add_flag(B12Flag.CAUTION_POLYCYTHAEMIA_VERA)
    if case.features.neurological and not case.features.blood:
        notes.add_flag(B12Flag.DO_NOT_DISMISS)


def _write_marker(marker: Marker, case: Case, notes: AssessmentLog) -> None:
    """What is looked at beside the treatment, by its row in mappings/clinical/laboratory.toml."""
    reading = read_by_common_limits(marker.observation, case.chart, case.knowledge)
    if reading is not None:
        title = case.knowledge.titles[marker.observation]
        means = reading.means.replace("_", " ")
        notes.add_reading(
            marker.rule, reading, make_text("{title} {means}", title=title, means=means)
        )
    if reading is not None or case.chart.has(marker.conditions):
        notes.add_step(*marker.steps)


def write_on_treatment(case: Case, notes: AssessmentLog) -> None:
    features, replacement = case.features, case.replacement
    has_just_begun = replacement.since is not None and replacement.since > subtract_months(
        case.chart.today, case.knowledge.guideline.follow_up.months
    )
    notes.add_flag(B12Flag.WARN_AVOID_NITROUS_OXIDE)
    notes.add_step(
        B12Step.REVIEW_1_MONTH if features.pregnant else B12Step.REVIEW_SYMPTOMS_3_MONTHS
    )
    if replacement.parenteral:
        notes.add_flag(B12Flag.DO_NOT_INTERPRET_B12_LEVEL)
        if features.neurological and not has_just_begun:
            notes.add_step(
                B12Step.INCREASE_INJECTION_FREQUENCY, B12Step.REASSESS_IF_SYMPTOMS_PERSIST
            )
    else:
        _write_oral_treatment(case, notes, has_just_begun=has_just_begun)
    if case.chart.has("leber_optic_neuropathy") and find_course_start(
        case.chart, "cyanocobalamin", case.knowledge
    ):
        notes.add_step(B12Step.USE_HYDROXOCOBALAMIN)


def _write_oral_treatment(case: Case, notes: AssessmentLog, *, has_just_begun: bool) -> None:
    features = case.features
    low = case.deciding is not None and case.deciding.means == "deficient"
    lifelong = case.has_group("autoimmune_gastritis") or case.has_group("surgical")
    if low:
        notes.add_step(B12Step.CHECK_ADHERENCE, B12Step.SWITCH_TO_IM_OR_ORAL_1MG)
    if features.neurological and not has_just_begun:
        notes.add_step(
            B12Step.CHECK_ADHERENCE,
            B12Step.CONSIDER_ALTERNATIVE_DIAGNOSIS,
            B12Step.SWITCH_TO_IM_OR_ORAL_1MG,
        )
    elif not (features.symptoms or low or lifelong or has_just_begun):
        notes.add_step(B12Step.CONSIDER_STOP_IF_CAUSE_ADDRESSED)
