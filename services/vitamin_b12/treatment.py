"""Treatment steps for a deficiency and during B12 treatment, and how urgent they are."""

from mappings.text import make_text
from services.assessment.evidence import AssessmentLog
from services.chart.model import subtract_months
from services.vitamin_b12.case import Case
from services.vitamin_b12.findings import find_course_start
from services.vitamin_b12.results import get_fresh


def choose_situation(case: Case) -> str:
    """Which of the guideline's treatments fits; nerves go first, then the cause."""
    found = case.features
    if found.neurological:
        return "neurological"
    if found.severe_anaemia and "severe" in case.knowledge.guideline.treatments:
        return "severe"
    for name in ("autoimmune_gastritis", "surgical", "malabsorption"):
        if case.has_group(name):
            return name
    if case.interfering_antibody:
        return "autoimmune_gastritis"
    if found.nitrous_oxide:
        return "nitrous_oxide"
    return "dietary" if case.has_group("dietary") else "other"


def rate_urgency(case: Case, category: str) -> str:
    """Rule R10: neurological findings do not wait for results."""
    found = case.features
    neurological = bool(found.neurological)
    match category:
        case "deficient" | "deficient-functional":
            if found.myelopathy:
                return "emergency"
            return "urgent" if neurological or found.severe_anaemia else "soon"
        case "insufficient-data":
            if found.myelopathy:
                return "emergency"
            return "urgent" if neurological else "soon"
        case "indeterminate" | "uninterpretable":
            if neurological:
                return "emergency" if found.myelopathy else "urgent"
            return "soon" if found.symptoms or found.pregnant else "routine"
        case "at-risk-untested":
            return "soon" if neurological or found.symptoms else "routine"
        case "on-treatment":
            return "soon" if neurological else "routine"
        case "high-b12":
            return "soon" if is_twice_high(case) else "routine"
        case "unlikely":
            return "routine" if found.symptoms or neurological else "none"
    return "none"


def is_twice_high(case: Case) -> bool:
    """Rule R17: above the limit in two measurements."""
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
    notes.add_step("review-1-month" if pregnant else "review-symptoms-3-months")
    first = case.deciding
    if first is not None and first.means == "deficient" and first.result.observation == "total_b12":
        if case.chart.has("hormonal_contraceptive"):
            notes.add_flag("flag-coc-lowers-total-b12")
            notes.add_step("consider-active-b12-or-mma")
        if case.mma_means == "normal":
            notes.add_flag("flag-discordance")
    if first is not None and first.means != "deficient":
        notes.add_flag("flag-discordance")
        notes.add_step("check-supplement-use")


def _write_first_treatment(case: Case, notes: AssessmentLog) -> None:
    treatment = case.knowledge.guideline.treatments[choose_situation(case)]
    steps = [step for step in treatment.steps if step != "diet-advice-or-supplement"]
    notes.add_step("start-b12-replacement", *steps)
    notes.add_findings("risk-factor", case.features.risks)
    if case.has_group("leber"):
        notes.add_remark("treatment", *case.knowledge.group_texts["leber"])
    else:
        notes.add_remark("treatment", treatment.says, treatment.locator)
    if case.features.neurological:
        notes.add_step("start-im-b12-neuro-regimen", "urgent-neurology-haematology-advice")
        if case.has_group("autoimmune_gastritis") or case.has_group("surgical"):
            notes.add_step("lifelong-im-b12-recommended")
    if case.has_group("dietary"):
        notes.add_step("diet-advice-or-supplement")
    if case.chart.has("leber_optic_neuropathy"):
        notes.add_step("use-hydroxocobalamin", "suggest-hydroxocobalamin-im")


def _write_treatment_begun(case: Case, notes: AssessmentLog) -> None:
    """Deficient by a result from before, or under a dose that plainly fails."""
    notes.add_findings("replacement", (*case.replacement.parenteral, *case.replacement.oral))
    if case.replacement.oral and not case.replacement.parenteral:
        notes.add_step("check-adherence")
        absorbs_badly = any(
            case.has_group(g) for g in ("autoimmune_gastritis", "surgical", "malabsorption")
        )
        if absorbs_badly or case.features.neurological or not case.replacement.therapeutic:
            notes.add_step("switch-to-im-or-oral-1mg")
        if case.features.neurological:
            notes.add_step("start-im-b12-neuro-regimen", "urgent-neurology-haematology-advice")


def _write_work_up(case: Case, notes: AssessmentLog) -> None:
    """Rule R19: the cause where none is plain; folate and blood count beside."""
    chart = case.chart
    plain = ("autoimmune_gastritis", "surgical", "malabsorption", "dietary")
    if not any(case.has_group(group) for group in plain) and not case.features.nitrous_oxide:
        notes.add_step("identify-cause")
        if case.get_antibody("intrinsic_factor_antibody") is None:
            notes.add_step("check-if-antibody")
        if chart.get_latest("ttg_iga") is None:
            notes.add_step("coeliac-serology")
    if case.get_antibody("intrinsic_factor_antibody") is False:
        notes.add_flag("negative-if-ab-does-not-exclude")
    if case.interfering_antibody and not case.has_group("autoimmune_gastritis"):
        notes.add_step("lifelong-im-b12-recommended")
    if get_fresh(chart, "hemoglobin", case.knowledge) is None:
        notes.add_step("check-cbc")
    if get_fresh(chart, "folate_serum", case.knowledge) is None:
        notes.add_step("check-folate")


def _write_safety(case: Case, notes: AssessmentLog) -> None:
    notes.add_flag("warn-avoid-nitrous-oxide")
    if case.features.severe_anaemia:
        notes.add_step("urgent-haematology-advice", "monitor-potassium")
    if case.potassium_low is not None:
        notes.add_reading("potassium", case.potassium_low, make_text("Potassium low"))
    if case.potassium_low is not None or case.chart.has("hypokalaemia"):
        notes.add_step("correct-hypokalaemia", "monitor-potassium")
    if case.features.nitrous_oxide:
        notes.add_step("stop-nitrous-oxide")
    if case.folate_low is not None or case.chart.has(("folate_deficiency", "folic_acid")):
        notes.add_step("b12-before-or-with-folic-acid", "do-not-give-folic-acid-alone")
    if case.chart.has("chloramphenicol"):
        notes.add_flag("note-reduced-haematological-response")
    if case.chart.has("polycythaemia_vera"):
        notes.add_flag("caution-polycythaemia-vera")
    if case.features.neurological and not case.features.blood:
        notes.add_flag("do-not-dismiss")


def write_on_treatment(case: Case, notes: AssessmentLog) -> None:
    found, given = case.features, case.replacement
    begun = given.since is not None and given.since > subtract_months(
        case.chart.today, case.knowledge.guideline.follow_up.months
    )
    notes.add_flag("warn-avoid-nitrous-oxide")
    notes.add_step("review-1-month" if found.pregnant else "review-symptoms-3-months")
    if given.parenteral:
        notes.add_flag("do-not-interpret-b12-level")
        if found.neurological and not begun:
            notes.add_step("increase-injection-frequency", "reassess-if-symptoms-persist")
    else:
        _write_oral_treatment(case, notes, begun=begun)
    if case.chart.has("leber_optic_neuropathy") and find_course_start(
        case.chart, "cyanocobalamin", case.knowledge
    ):
        notes.add_step("use-hydroxocobalamin")


def _write_oral_treatment(case: Case, notes: AssessmentLog, *, begun: bool) -> None:
    found = case.features
    low = case.deciding is not None and case.deciding.means == "deficient"
    lifelong = case.has_group("autoimmune_gastritis") or case.has_group("surgical")
    if low:
        notes.add_step("check-adherence", "switch-to-im-or-oral-1mg")
    if found.neurological and not begun:
        notes.add_step(
            "check-adherence", "consider-alternative-diagnosis", "switch-to-im-or-oral-1mg"
        )
    elif not (found.symptoms or low or lifelong or begun):
        notes.add_step("consider-stop-if-cause-addressed")
