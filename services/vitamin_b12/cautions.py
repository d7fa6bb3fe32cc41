"""What holds whatever the category is: unreadable data, cautions, and what each result says."""

from functools import lru_cache

from mappings.publications.cutoffs import Undecided
from mappings.text import make_text
from services.assessment.evidence import AssessmentLog, Outcome
from services.vitamin_b12.case import Case
from services.vitamin_b12.results import (
    FLAGS_BY_REASON,
    IncomparableResult,
    Reading,
    format_locator,
)


def write_data_quality(case: Case, notes: AssessmentLog) -> None:
    """Rule R20: what cannot be read is asked for again, and never counts as a value."""
    for result in case.unusable:
        notes.add_flag(FLAGS_BY_REASON[result.reason])
        notes.add_unusable(
            "unit-safety",
            result,
            _format_reason(_get_title(case, result.observation), REASONS[result.reason]),
        )
    for bound in case.incomparable:
        spans = bound.reason is Undecided.SPANS
        notes.add_flag("request-exact-value" if spans else "no-limit-in-unit")
        notes.add_result(
            "unit-safety",
            Outcome.UNDECIDED,
            bound.result,
            _format_reason(_get_title(case, bound.result.observation), bound.reason.value),
        )
    for result in case.chart.unusable.get("methylmalonic_acid", ()):
        notes.add_flag("verify-mma-unit")
        notes.add_unusable(
            "unit-safety",
            result,
            _format_reason(make_text("methylmalonic acid"), REASONS[result.reason]),
        )
    for metabolite in (case.mma, case.hcy):
        if isinstance(metabolite, IncomparableResult):
            notes.add_flag("request-exact-value")
            says = metabolite.reason.value
            notes.add_result("unit-safety", Outcome.UNDECIDED, metabolite.result, says)


REASONS = {
    "no-unit": "reported without a unit",
    "unknown-unit": "the unit cannot be read",
    "impossible-value": "the value is not possible in this unit",
    "no-value": "reported without a number",
    "wrong-specimen": "the code is for another specimen or unit",
}


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
    """What holds whatever the category is."""
    chart, guideline = case.chart, case.knowledge.guideline
    notes.add_flag(*guideline.flags)
    if guideline.laboratory:
        notes.add_flag("show-profile-and-lab-rule")
    if chart.has("nonspecific_b_vitamin_deficiency") and not case.replacement.known_deficiency:
        notes.add_flag("do-not-assume-b12-deficiency-from-E53.8")
        notes.add_findings(
            "coded-diagnosis", chart.list_present(("nonspecific_b_vitamin_deficiency",))
        )
    if chart.has("leber_optic_neuropathy"):
        notes.add_flag("avoid-cyanocobalamin")
        notes.add_findings("leber", chart.list_present(("leber_optic_neuropathy",)))
    if chart.findings.get("cobalamin_allergy"):
        notes.add_flag("cobalamin-allergy")
        notes.add_findings("allergy", chart.list_present(("cobalamin_allergy",)))
    notes.add_findings("neurological", case.features.neurological)
    if case.features.symptoms:
        shown = {finding.concept for finding in case.features.neurological}
        others = [name for name in case.features.symptoms if name not in shown]
        notes.add_findings("symptom", chart.list_present(others), guideline.testing.symptom_locator)
    _write_results(case, notes)


def _write_results(case: Case, notes: AssessmentLog) -> None:
    if case.deciding is not None:
        _write_level(case, case.deciding, notes)
        _write_disagreement(case, case.deciding, notes)
    for rule, reading in (("methylmalonic-acid", case.mma), ("homocysteine", case.hcy)):
        if isinstance(reading, Reading):
            means = reading.means.replace("_", " ")
            notes.add_reading(
                rule, reading, _format_level(_get_title(case, reading.result.observation), means)
            )
            if not reading.by_laboratory:
                notes.add_flag("use-lab-reference-range")
    if case.egfr is not None:
        row = case.knowledge.laboratory.get_rows("egfr", case.egfr.unit)[0]
        says = _format_kidneys(_get_title(case, "egfr"), case.kidneys)
        outcome = Outcome(case.kidneys)
        notes.add_result("kidney-function", outcome, case.egfr, says, str(row), format_locator(row))
    for reading in case.features.blood:
        named = _get_title(case, reading.result.observation)
        notes.add_reading("blood-count", reading, _format_blood_finding(named, reading.means))
    if case.folate_low is not None:
        notes.add_reading("folate", case.folate_low, make_text("Folate low"))
    _flag_metabolites(case, notes)


def _write_level(case: Case, reading: Reading, notes: AssessmentLog) -> None:
    """Total or active B12 by its band; total B12 has none in pregnancy."""
    means, outcome = reading.means, None
    if case.features.pregnant and reading.result.observation == "total_b12":
        means, outcome = make_text("not interpreted in pregnancy"), Outcome.NOT_APPLIED
    says = _format_level(_get_title(case, reading.result.observation), means)
    notes.add_reading("first-line-band", reading, says, outcome)


def _write_disagreement(case: Case, first: Reading, notes: AssessmentLog) -> None:
    for other in case.other_readings:
        if other.means == first.means:
            continue
        same_test = other.result.observation == first.result.observation
        notes.add_flag("use-most-recent-result" if same_test else "flag-discordance")
        _write_level(case, other, notes)
        return


def _flag_metabolites(case: Case, notes: AssessmentLog) -> None:
    """Rules R7 and R8: kidneys and folate first, then methylmalonic acid and homocysteine."""
    if case.mma is None and case.hcy is None:
        return
    if case.mma_means in ("raised", "grossly_raised") and case.kidneys != "working":
        notes.add_flag("interpret-mma-with-renal-function")
        if case.kidneys == "impaired":
            notes.add_flag("flag-renal-confounding")
    if case.mma is not None and case.chart.has("inborn_methylmalonic_acidaemia"):
        notes.add_flag("mma-not-interpretable")
    if case.hcy_means not in (None, "normal"):
        if case.kidneys != "working":
            notes.add_flag("interpret-hcy-with-renal-function")
        if case.folate_low is not None or case.chart.has("folate_deficiency"):
            notes.add_flag("flag-folate-raises-hcy")
