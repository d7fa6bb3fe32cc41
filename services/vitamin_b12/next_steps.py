"""What to do next, and how soon. Words are those of the published assessment."""

from services.chart import months_before
from services.vitamin_b12.case import Case
from services.vitamin_b12.features import course_start
from services.vitamin_b12.notes import Notes
from services.vitamin_b12.results import fresh

DEFICIENT = ("deficient", "deficient-functional")


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
            return "soon" if _twice_high(case) else "routine"
        case "unlikely":
            return "routine" if found.symptoms or neurological else "none"
    return "none"


def write(case: Case, notes: Notes, category: str) -> None:
    """Adds the next steps and flags of `category`."""
    WRITERS[category](case, notes)
    _orders_of_the_session(case, notes, category)
    if case.has_group("muscle") and category in (*DEFICIENT, "indeterminate", "uninterpretable"):
        notes.flag("do-not-attribute-sarcopenia-solely-to-b12")


def _deficient(case: Case, notes: Notes) -> None:
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
        notes.reading("potassium", case.potassium_low, "Potassium low")
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
            notes.remark("second-test", "a second test resolves it", testing.second_test_locator)
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
        if _twice_high(case):
            notes.step("evaluate-liver-haematological-malignancy")
    _doubt(case, notes)


def _high(case: Case, notes: Notes) -> None:
    notes.step("check-supplement-use")
    if _twice_high(case):
        notes.step("evaluate-liver-haematological-malignancy")
        other = next(reading for reading in case.beside if reading.means == "high")
        notes.reading("first-line-band", other, "Vitamin B12 high before")
    else:
        notes.step("verify-result")
    if case.features.symptoms or case.features.neurological:
        notes.flag("do-not-dismiss")


def _twice_high(case: Case) -> bool:
    """Rule R17: above the limit in two measurements."""
    readings = [reading for reading in (case.first, *case.beside) if reading is not None]
    return sum(reading.means == "high" for reading in readings) > 1


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
        notes.remark("medicine", "periodic monitoring", testing.asymptomatic_drug_locator)
    if case.has_group("dietary"):
        notes.step("diet-advice-or-supplement", "prevention-advice")
    if found.nitrous_oxide:
        notes.step("stop-nitrous-oxide")


def _on_treatment(case: Case, notes: Notes) -> None:
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


def _out_of_scope(_case: Case, _notes: Notes) -> None:
    """Nothing is said of children but whom to ask."""


def _orders_of_the_session(case: Case, notes: Notes, category: str) -> None:
    """What the orders about to be signed change, the category being about the patient."""
    chart = case.chart
    if case.drafted_folic_acid and category in DEFICIENT:
        notes.session_step("do-not-give-folic-acid-alone", "b12-before-or-with-folic-acid")
    if case.drafted_folic_acid and category in ("indeterminate", "uninterpretable"):
        notes.session_step("check-b12-before-folic-acid")
    level = [o for name in ("total_b12", "active_b12") for o in chart.orders.get(name, ())]
    if level and category == "on-treatment" and case.replacement.parenteral:
        notes.session_step("suggest-cancel-repeat-b12")
    if case.drafted_nitrous_oxide and category in (*DEFICIENT, "indeterminate", "on-treatment"):
        notes.flag("warn-avoid-nitrous-oxide")
    drafted = [m for m in chart.medications.get("cyanocobalamin", ()) if m.status == "draft"]
    if drafted and chart.has("leber_optic_neuropathy"):
        notes.session_step("use-hydroxocobalamin", "suggest-hydroxocobalamin-im")


WRITERS = {
    "deficient": _deficient,
    "deficient-functional": _deficient,
    "indeterminate": _indeterminate,
    "unlikely": _unlikely,
    "uninterpretable": _uninterpretable,
    "high-b12": _high,
    "insufficient-data": _insufficient,
    "at-risk-untested": _untested,
    "no-action": _no_action,
    "on-treatment": _on_treatment,
    "out-of-scope": _out_of_scope,
}
