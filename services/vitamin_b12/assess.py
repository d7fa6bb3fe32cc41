"""Assess a patient's vitamin B12 by the guideline: category, urgency, evidence, next steps.

Precedence: unreadable data, age, replacement under way, nitrous oxide and pregnancy, the bands of
the first-line test, then methylmalonic acid with the kidneys. A neurological finding raises the
urgency in each of them.
"""

from functools import partial

from mappings.text import make_text
from services.assessment.b12_steps import B12Rule, B12Step
from services.assessment.codes import B12Category, B12Flag
from services.assessment.evidence import AssessmentLog, Outcome, make_age_reason
from services.chart.model import Chart, subtract_months
from services.vitamin_b12 import next_steps
from services.vitamin_b12.case import Case, read_case
from services.vitamin_b12.cautions import write_cautions, write_data_quality
from services.vitamin_b12.combined_indicator import calculate_combined_indicator
from services.vitamin_b12.knowledge import B12Knowledge
from services.vitamin_b12.outcome import DEFICIENT, B12Assessment
from services.vitamin_b12.results import Reading
from services.vitamin_b12.testing import is_test_indicated
from services.vitamin_b12.treatment import choose_situation, rate_urgency


def assess(chart: Chart, knowledge: B12Knowledge) -> B12Assessment:
    """The assessment of `chart` on the day `chart.today`."""
    case = read_case(chart, knowledge)
    notes = AssessmentLog()
    if chart.has_reached_age(knowledge.guideline.minimum_age) is False:
        notes.add_step(B12Step.PAEDIATRIC_SPECIALIST_ADVICE)
        years = knowledge.guideline.minimum_age
        notes.add_remark(B12Rule.AGE, make_age_reason(years), outcome=Outcome.NOT_APPLIED)
        return _conclude(case, notes, B12Category.OUT_OF_SCOPE)
    if chart.born is None:
        notes.add_flag(B12Flag.AGE_UNKNOWN)
    write_data_quality(case, notes)
    write_cautions(case, notes)
    category = _classify(case, notes)
    next_steps.write_next_steps(case, notes, category)
    return _conclude(case, notes, category)


def _conclude(case: Case, notes: AssessmentLog, category: B12Category) -> B12Assessment:
    guideline = case.knowledge.guideline
    acted_on = category in DEFICIENT and not case.replacement.is_present
    return B12Assessment(
        guideline=guideline.id,
        guideline_version=guideline.version,
        category=category,
        urgency=rate_urgency(case, category),
        neurological=bool(case.features.neurological),
        evidence=tuple(notes.evidence),
        flags=tuple(notes.flags),
        next_steps=tuple(notes.steps),
        combined_indicator=calculate_combined_indicator(
            case.chart, case.knowledge, partial(_list_indicator_flags, case)
        ),
        situation=choose_situation(case) if acted_on else None,
        deciding=case.deciding,
        session_steps=frozenset(notes.session_steps),
    )


def _list_indicator_flags(case: Case) -> tuple[str, ...]:
    flags = {
        B12Flag.FLAG_FOLATE_RAISES_HCY: case.folate_low is not None,
        B12Flag.FLAG_RENAL_CONFOUNDING: case.kidneys != "working",
        "on-treatment": case.replacement.is_present,
        "nitrous-oxide": bool(case.features.nitrous_oxide),
    }
    return tuple(name for name, holds in flags.items() if holds)


def _classify(case: Case, notes: AssessmentLog) -> B12Category:
    replacement = case.replacement
    if (
        replacement.under_way
        and not _precedes_treatment(case)
        and not _is_dietary_dose_failing(case)
    ):
        notes.add_findings(B12Rule.REPLACEMENT, (*replacement.parenteral, *replacement.oral))
        return B12Category.ON_TREATMENT
    if case.features.nitrous_oxide:
        exposed = _classify_after_nitrous_oxide(case, notes)
        if exposed is not None:
            return exposed
    if case.deciding is None:
        return _classify_without_first_line(case, notes)
    if case.features.pregnant and case.deciding.result.observation == "total_b12":
        notes.add_remark(
            B12Rule.PREGNANCY,
            make_text("total B12 falls in pregnancy without deficiency"),
            case.knowledge.guideline.testing.pregnancy_locator,
            Outcome.NOT_APPLIED,
        )
        return (
            B12Category.UNINTERPRETABLE
            if not _is_functional_deficiency(case)
            else B12Category.DEFICIENT_FUNCTIONAL
        )
    return _classify_by_band(case, case.deciding, notes)


def _precedes_treatment(case: Case) -> bool:
    """Whether the deciding result was taken before a treatment that only just began.

    Until the first review is due, the result that led to treatment still tells the patient's
    state; after it, treatment is what is followed.
    """
    since = case.replacement.since
    if case.deciding is None or since is None or case.deciding.result.day > since:
        return False
    return since >= subtract_months(case.chart.today, case.knowledge.guideline.follow_up.months)


def _is_dietary_dose_failing(case: Case) -> bool:
    """Whether the result is low under an oral dose that only suits dietary lack."""
    low = case.deciding is not None and case.deciding.means == "deficient"
    return low and not case.replacement.therapeutic


def _classify_after_nitrous_oxide(case: Case, notes: AssessmentLog) -> B12Category | None:
    """The category after nitrous oxide, where a normal B12 does not reassure. (Rule R9.)

    None where the bands decide.
    """
    notes.add_findings(
        B12Rule.NITROUS_OXIDE,
        case.features.nitrous_oxide,
        case.knowledge.guideline.testing.nitrous_oxide_locator,
    )
    if case.deciding is not None and case.deciding.means == "deficient":
        return None
    if _is_raised(case.mma_means) or _is_raised(case.hcy_means):
        return B12Category.DEFICIENT_FUNCTIONAL
    symptomatic = bool(case.features.symptoms or case.features.neurological)
    if case.mma_means == "normal" and case.hcy_means == "normal" and not symptomatic:
        return B12Category.UNLIKELY
    measured = case.deciding is not None or case.mma is not None or case.hcy is not None
    return B12Category.UNINTERPRETABLE if measured else None


def _is_raised(means: str | None) -> bool:
    return means in ("raised", "grossly_raised")


def _is_functional_deficiency(case: Case) -> bool:
    """Whether MMA is raised with working kidneys, or grossly raised with symptoms. (R6, R7.)"""
    if case.mma_means == "grossly_raised" and (
        case.features.neurological or case.features.symptoms
    ):
        return True
    return _is_raised(case.mma_means) and case.kidneys == "working"


def _classify_without_first_line(case: Case, notes: AssessmentLog) -> B12Category:
    if case.unusable or case.incomparable:
        return B12Category.INSUFFICIENT_DATA
    if case.mma_means == "grossly_raised" and _is_functional_deficiency(case):
        return B12Category.DEFICIENT_FUNCTIONAL
    nothing = case.mma is None and case.hcy is None
    if case.features.strong and nothing:
        notes.add_remark(
            B12Rule.NEUROLOGICAL, make_text("strong neurological signs and nothing measured")
        )
        return B12Category.INSUFFICIENT_DATA
    return B12Category.AT_RISK_UNTESTED if is_test_indicated(case, notes) else B12Category.NO_ACTION


def _classify_by_band(case: Case, first: Reading, notes: AssessmentLog) -> B12Category:
    if first.means == "deficient":
        return B12Category.DEFICIENT
    if _is_functional_deficiency(case):
        return B12Category.DEFICIENT_FUNCTIONAL
    if first.means == "high":
        return _classify_high(case, notes)
    resolved = first.means == "indeterminate" and case.mma_means == "normal"
    if case.replacement.oral and not resolved:
        notes.add_flag(B12Flag.NOTE_SUPPLEMENT_MASKS)
        notes.add_findings(B12Rule.SUPPLEMENT, case.replacement.oral)
        return B12Category.UNINTERPRETABLE
    if first.means == "indeterminate":
        return B12Category.UNLIKELY if resolved else B12Category.INDETERMINATE
    return _classify_normal(case, first, notes)


def _classify_high(case: Case, notes: AssessmentLog) -> B12Category:
    if case.replacement.is_present:
        notes.add_flag(B12Flag.NOTE_SUPPLEMENT_MASKS)
        notes.add_findings(
            B12Rule.SUPPLEMENT, (*case.replacement.parenteral, *case.replacement.oral)
        )
        return B12Category.UNINTERPRETABLE
    if case.has_group("raises_b12"):
        notes.add_findings(
            B12Rule.HIGH_B12, case.chart.list_present(case.knowledge.groups["raises_b12"])
        )
        return B12Category.UNINTERPRETABLE
    return B12Category.HIGH_B12


def _classify_normal(case: Case, first: Reading, notes: AssessmentLog) -> B12Category:
    """The category of a normal result, unless an antibody or disorder may make it look normal."""
    total = first.result.observation == "total_b12"
    if total and case.interfering_antibody:
        notes.add_flag(B12Flag.FLAG_ASSAY_INTERFERENCE)
        return B12Category.UNINTERPRETABLE
    if total and case.chart.has("transcobalamin_deficiency"):
        notes.add_findings(
            B12Rule.TRANSCOBALAMIN, case.chart.list_present(("transcobalamin_deficiency",))
        )
        return B12Category.UNINTERPRETABLE
    return B12Category.UNLIKELY
