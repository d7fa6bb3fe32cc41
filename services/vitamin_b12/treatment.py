"""Treatment steps for a deficiency and during B12 treatment, and how urgent they are."""

from mappings.text import say
from services.assessment.evidence import Notes
from services.chart.model import months_before
from services.vitamin_b12.case import Case
from services.vitamin_b12.findings import course_start
from services.vitamin_b12.results import fresh


def situation(case: Case) -> str:
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


def urgency(case: Case, category: str) -> str:
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
            return "soon" if twice_high(case) else "routine"
        case "unlikely":
            return "routine" if found.symptoms or neurological else "none"
    return "none"


def twice_high(case: Case) -> bool:
    """Rule R17: above the limit in two measurements."""
    readings = [reading for reading in (case.first, *case.beside) if reading is not None]
    return sum(reading.means == "high" for reading in readings) > 1


def deficient(case: Case, notes: Notes) -> None:
    if case.replacement.any:
        _already_begun(case, notes)
    else:
        _begin(case, notes)
    _safety(case, notes)
    _work_up(case, notes)
    guideline = case.knowledge.guideline
    pregnant = case.features.pregnant and guideline.follow_up.pregnancy_months == 1
    notes.step("review-1-month" if pregnant else "review-symptoms-3-months")
    first = case.first
    if first is not None and first.means == "deficient" and first.result.observation == "total_b12":
        if case.chart.has("hormonal_contraceptive"):
            notes.flag("flag-coc-lowers-total-b12")
            notes.step("consider-active-b12-or-mma")
        if case.mma_means == "normal":
            notes.flag("flag-discordance")
    if first is not None and first.means != "deficient":
        notes.flag("flag-discordance")
        notes.step("check-supplement-use")


def _begin(case: Case, notes: Notes) -> None:
    treatment = case.knowledge.guideline.treatments[situation(case)]
    steps = [step for step in treatment.steps if step != "diet-advice-or-supplement"]
    notes.step("start-b12-replacement", *steps)
    notes.findings("risk-factor", case.features.risks)
    if case.has_group("leber"):
        notes.remark("treatment", *case.knowledge.said["leber"])
    else:
        notes.remark("treatment", treatment.says, treatment.locator)
    if case.features.neurological:
        notes.step("start-im-b12-neuro-regimen", "urgent-neurology-haematology-advice")
        if case.has_group("autoimmune_gastritis") or case.has_group("surgical"):
            notes.step("lifelong-im-b12-recommended")
    if case.has_group("dietary"):
        notes.step("diet-advice-or-supplement")
    if case.chart.has("leber_optic_neuropathy"):
        notes.step("use-hydroxocobalamin", "suggest-hydroxocobalamin-im")


def _already_begun(case: Case, notes: Notes) -> None:
    """Deficient by a result from before, or under a dose that plainly fails."""
    notes.findings("replacement", (*case.replacement.parenteral, *case.replacement.oral))
    if case.replacement.oral and not case.replacement.parenteral:
        notes.step("check-adherence")
        absorbs_badly = any(
            case.has_group(g) for g in ("autoimmune_gastritis", "surgical", "malabsorption")
        )
        if absorbs_badly or case.features.neurological or not case.replacement.therapeutic:
            notes.step("switch-to-im-or-oral-1mg")
        if case.features.neurological:
            notes.step("start-im-b12-neuro-regimen", "urgent-neurology-haematology-advice")


def _work_up(case: Case, notes: Notes) -> None:
    """Rule R19: the cause where none is plain; folate and blood count beside."""
    chart = case.chart
    plain = ("autoimmune_gastritis", "surgical", "malabsorption", "dietary")
    if not any(case.has_group(group) for group in plain) and not case.features.nitrous_oxide:
        notes.step("identify-cause")
        if case.antibody("intrinsic_factor_antibody") is None:
            notes.step("check-if-antibody")
        if chart.latest("ttg_iga") is None:
            notes.step("coeliac-serology")
    if case.antibody("intrinsic_factor_antibody") is False:
        notes.flag("negative-if-ab-does-not-exclude")
    if case.interfering_antibody and not case.has_group("autoimmune_gastritis"):
        notes.step("lifelong-im-b12-recommended")
    if fresh(chart, "hemoglobin", case.knowledge) is None:
        notes.step("check-cbc")
    if fresh(chart, "folate_serum", case.knowledge) is None:
        notes.step("check-folate")


def _safety(case: Case, notes: Notes) -> None:
    notes.flag("warn-avoid-nitrous-oxide")
    if case.features.severe_anaemia:
        notes.step("urgent-haematology-advice", "monitor-potassium")
    if case.potassium_low is not None:
        notes.reading("potassium", case.potassium_low, say("Potassium low"))
    if case.potassium_low is not None or case.chart.has("hypokalaemia"):
        notes.step("correct-hypokalaemia", "monitor-potassium")
    if case.features.nitrous_oxide:
        notes.step("stop-nitrous-oxide")
    if case.folate_low is not None or case.chart.has(("folate_deficiency", "folic_acid")):
        notes.step("b12-before-or-with-folic-acid", "do-not-give-folic-acid-alone")
    if case.chart.has("chloramphenicol"):
        notes.flag("note-reduced-haematological-response")
    if case.chart.has("polycythaemia_vera"):
        notes.flag("caution-polycythaemia-vera")
    if case.features.neurological and not case.features.blood:
        notes.flag("do-not-dismiss")


def on_treatment(case: Case, notes: Notes) -> None:
    found, given = case.features, case.replacement
    begun = given.since is not None and given.since > months_before(
        case.chart.today, case.knowledge.guideline.follow_up.months
    )
    notes.flag("warn-avoid-nitrous-oxide")
    notes.step("review-1-month" if found.pregnant else "review-symptoms-3-months")
    if given.parenteral:
        notes.flag("do-not-interpret-b12-level")
        if found.neurological and not begun:
            notes.step("increase-injection-frequency", "reassess-if-symptoms-persist")
    else:
        _on_oral_treatment(case, notes, begun=begun)
    if case.chart.has("leber_optic_neuropathy") and course_start(
        case.chart, "cyanocobalamin", case.knowledge
    ):
        notes.step("use-hydroxocobalamin")


def _on_oral_treatment(case: Case, notes: Notes, *, begun: bool) -> None:
    found = case.features
    low = case.first is not None and case.first.means == "deficient"
    lifelong = case.has_group("autoimmune_gastritis") or case.has_group("surgical")
    if low:
        notes.step("check-adherence", "switch-to-im-or-oral-1mg")
    if found.neurological and not begun:
        notes.step("check-adherence", "consider-alternative-diagnosis", "switch-to-im-or-oral-1mg")
    elif not (found.symptoms or low or lifelong or begun):
        notes.step("consider-stop-if-cause-addressed")
