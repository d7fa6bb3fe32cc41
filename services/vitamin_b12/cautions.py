"""Flags and evidence for any category: unreadable data, cautions, the band of each result."""

from functools import lru_cache

from mappings.publications.cutoffs import Undecided
from mappings.text import make_text
from services.assessment.b12_steps import B12Rule
from services.assessment.codes import B12Flag
from services.assessment.evidence import AssessmentLog, Outcome
from services.assessment.labels import get_sentence
from services.chart.model import UnusableReason
from services.vitamin_b12.case import Case
from services.vitamin_b12.results import (
    FLAGS_BY_REASON,
    IncomparableResult,
    Reading,
    format_locator,
)


def write_data_quality(case: Case, notes: AssessmentLog) -> None:
    """Add flags that ask again for data that cannot be read; it never counts as a value. (R20.)"""
    for result in case.unusable:
        notes.add_flag(FLAGS_BY_REASON[result.reason])
        notes.add_unusable(
            B12Rule.UNIT_SAFETY,
            result,
            _format_reason(
                _get_title(case, result.observation), get_sentence(UnusableReason, result.reason)
            ),
        )
    for bound in case.incomparable:
        spans = bound.reason is Undecided.SPANS
        notes.add_flag(B12Flag.REQUEST_EXACT_VALUE if spans else B12Flag.NO_LIMIT_IN_UNIT)
        notes.add_result(
            B12Rule.UNIT_SAFETY,
            Outcome.UNDECIDED,
            bound.result,
            _format_reason(_get_title(case, bound.result.observation), bound.reason.value),
        )
    for result in case.chart.unusable.get("methylmalonic_acid", ()):
        notes.add_flag(B12Flag.VERIFY_MMA_UNIT)
        notes.add_unusable(
            B12Rule.UNIT_SAFETY,
            result,
            _format_reason(
                make_text("methylmalonic acid"), get_sentence(UnusableReason, result.reason)
            ),
        )
    for metabolite in (case.mma, case.hcy):
        if isinstance(metabolite, IncomparableResult):
            notes.add_flag(B12Flag.REQUEST_EXACT_VALUE)
            says = metabolite.reason.value
            notes.add_result(B12Rule.UNIT_SAFETY, Outcome.UNDECIDED, metabolite.result, says)


def _get_title(case: Case, observation: str) -> str:
    return case.knowledge.titles.get(observation, observation)


def _format_reason(title: str, reason: str) -> str:
    return make_text("{title}: {reason}", title=title, reason=reason)


# Said of every patient in the same few words: made once.
@lru_cache(1024)
def _format_level(title: str, means: str) -> str:
    return make_text("{title} {means}", title=title, means=means)


@lru_cache(1024)
def _format_blood_finding(title: str, means: str) -> str:
    return make_text("{title}, {means}", title=title, means=means.replace("_", " "))


@lru_cache(1024)
def _format_kidneys(title: str, status: str) -> str:
    return make_text("{title}, kidneys {status}", title=title, status=status)


def write_cautions(case: Case, notes: AssessmentLog) -> None:
    """Add the cautions, and the evidence of each result, that hold for any category."""
    chart, guideline = case.chart, case.knowledge.guideline
    notes.add_flag(*guideline.flags)
    if guideline.laboratory:
        notes.add_flag(B12Flag.SHOW_PROFILE_AND_LAB_RULE)
    if chart.has("nonspecific_b_vitamin_deficiency") and not case.replacement.known_deficiency:
        notes.add_flag(B12Flag.DO_NOT_ASSUME_B12_DEFICIENCY_FROM_E53_8)
        notes.add_findings(
            B12Rule.CODED_DIAGNOSIS, chart.list_present(("nonspecific_b_vitamin_deficiency",))
        )
    if chart.has("leber_optic_neuropathy"):
        notes.add_flag(B12Flag.AVOID_CYANOCOBALAMIN)
        notes.add_findings(B12Rule.LEBER, chart.list_present(("leber_optic_neuropathy",)))
    if chart.findings.get("cobalamin_allergy"):
        notes.add_flag(B12Flag.COBALAMIN_ALLERGY)
        notes.add_findings(B12Rule.ALLERGY, chart.list_present(("cobalamin_allergy",)))
    notes.add_findings(B12Rule.NEUROLOGICAL, case.features.neurological)
    if case.features.symptoms:
        shown = {finding.concept for finding in case.features.neurological}
        others = [name for name in case.features.symptoms if name not in shown]
        notes.add_findings(
            B12Rule.SYMPTOM, chart.list_present(others), guideline.testing.symptom_locator
        )
    _write_results(case, notes)


def _write_results(case: Case, notes: AssessmentLog) -> None:
    if case.deciding is not None:
        _write_level(case, case.deciding, notes)
        _write_disagreement(case, case.deciding, notes)
    for rule, reading in ((B12Rule.METHYLMALONIC_ACID, case.mma), (B12Rule.HOMOCYSTEINE, case.hcy)):
        if isinstance(reading, Reading):
            means = reading.means.replace("_", " ")
            notes.add_reading(
                rule, reading, _format_level(_get_title(case, reading.result.observation), means)
            )
            if not reading.by_laboratory:
                notes.add_flag(B12Flag.USE_LAB_REFERENCE_RANGE)
    if case.egfr is not None:
        row = case.knowledge.laboratory.get_rows("egfr", case.egfr.unit)[0]
        says = _format_kidneys(_get_title(case, "egfr"), case.kidneys)
        outcome = Outcome(case.kidneys)
        notes.add_result(
            B12Rule.KIDNEY_FUNCTION, outcome, case.egfr, says, str(row), format_locator(row)
        )
    for reading in case.features.blood:
        title = _get_title(case, reading.result.observation)
        notes.add_reading(B12Rule.BLOOD_COUNT, reading, _format_blood_finding(title, reading.means))
    if case.folate_low is not None:
        notes.add_reading(B12Rule.FOLATE, case.folate_low, make_text("Folate low"))
    _flag_metabolites(case, notes)


def _write_level(case: Case, reading: Reading, notes: AssessmentLog) -> None:
    """Total or active B12 by its band; total B12 has none in pregnancy."""
    means, outcome = reading.means, None
    if case.features.pregnant and reading.result.observation == "total_b12":
        means, outcome = make_text("not interpreted in pregnancy"), Outcome.NOT_APPLIED
    says = _format_level(_get_title(case, reading.result.observation), means)
    notes.add_reading(B12Rule.FIRST_LINE_BAND, reading, says, outcome)


def _write_disagreement(case: Case, first: Reading, notes: AssessmentLog) -> None:
    for other in case.other_readings:
        if other.means == first.means:
            continue
        same_test = other.result.observation == first.result.observation
        notes.add_flag(B12Flag.USE_MOST_RECENT_RESULT if same_test else B12Flag.FLAG_DISCORDANCE)
        _write_level(case, other, notes)
        return


def _flag_metabolites(case: Case, notes: AssessmentLog) -> None:
    """Rules R7 and R8: kidneys and folate first, then methylmalonic acid and homocysteine."""
    if case.mma is None and case.hcy is None:
        return
    if case.mma_means in ("raised", "grossly_raised") and case.kidneys != "working":
        notes.add_flag(B12Flag.INTERPRET_MMA_WITH_RENAL_FUNCTION)
        if case.kidneys == "impaired":
            notes.add_flag(B12Flag.FLAG_RENAL_CONFOUNDING)
    if case.mma is not None and case.chart.has("inborn_methylmalonic_acidaemia"):
        notes.add_flag(B12Flag.MMA_NOT_INTERPRETABLE)
    if case.hcy_means not in (None, "normal"):
        if case.kidneys != "working":
            notes.add_flag(B12Flag.INTERPRET_HCY_WITH_RENAL_FUNCTION)
        if case.folate_low is not None or case.chart.has("folate_deficiency"):
            notes.add_flag(B12Flag.FLAG_FOLATE_RAISES_HCY)
