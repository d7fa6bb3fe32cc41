"""What holds whatever the category is: unreadable data, cautions, and what each result says."""

from functools import lru_cache

from mappings.publications.guideline import Undecided
from mappings.text import say
from services.assessment.evidence import Notes, Outcome
from services.vitamin_b12.case import Case
from services.vitamin_b12.results import REQUESTS, Incomparable, Reading, locator_text


def data_quality(case: Case, notes: Notes) -> None:
    """Rule R20: what cannot be read is asked for again, and never counts as a value."""
    for result in case.unusable:
        notes.flag(REQUESTS[result.reason])
        notes.unusable(
            "unit-safety",
            result,
            _because(_title(case, result.observation), REASONS[result.reason]),
        )
    for bound in case.incomparable:
        spans = bound.reason is Undecided.SPANS
        notes.flag("request-exact-value" if spans else "no-limit-in-unit")
        notes.result(
            "unit-safety",
            Outcome.UNDECIDED,
            bound.result,
            _because(_title(case, bound.result.observation), bound.reason.value),
        )
    for result in case.chart.unusable.get("methylmalonic_acid", ()):
        notes.flag("verify-mma-unit")
        notes.unusable(
            "unit-safety", result, _because(say("methylmalonic acid"), REASONS[result.reason])
        )
    for metabolite in (case.mma, case.hcy):
        if isinstance(metabolite, Incomparable):
            notes.flag("request-exact-value")
            says = metabolite.reason.value
            notes.result("unit-safety", Outcome.UNDECIDED, metabolite.result, says)


REASONS = {
    "no-unit": "reported without a unit",
    "unknown-unit": "the unit cannot be read",
    "impossible-value": "the value is not possible in this unit",
    "no-value": "reported without a number",
    "wrong-specimen": "the code is for another specimen or unit",
}


def _title(case: Case, observation: str) -> str:
    return case.knowledge.titles.get(observation, observation)


def _because(title: str, reason: str) -> str:
    return say("{title}: {reason}", title=title, reason=reason)


# Said of every patient in the same few words: made once.
@lru_cache(1024)
def _reads(title: str, means: str) -> str:
    return say("{title} {means}", title=title, means=means)


@lru_cache(1024)
def _with(title: str, means: str) -> str:
    return say("{title}, {means}", title=title, means=means.replace("_", " "))


@lru_cache(1024)
def _kidneys(title: str, status: str) -> str:
    return say("{title}, kidneys {status}", title=title, status=status)


def cautions(case: Case, notes: Notes) -> None:
    """What holds whatever the category is."""
    chart, guideline = case.chart, case.knowledge.guideline
    notes.flag(*guideline.flags)
    if guideline.laboratory:
        notes.flag("show-profile-and-lab-rule")
    if chart.has("nonspecific_b_vitamin_deficiency") and not case.replacement.known_deficiency:
        notes.flag("do-not-assume-b12-deficiency-from-E53.8")
        notes.findings("coded-diagnosis", chart.present(("nonspecific_b_vitamin_deficiency",)))
    if chart.has("leber_optic_neuropathy"):
        notes.flag("avoid-cyanocobalamin")
        notes.findings("leber", chart.present(("leber_optic_neuropathy",)))
    if chart.findings.get("cobalamin_allergy"):
        notes.flag("cobalamin-allergy")
        notes.findings("allergy", chart.present(("cobalamin_allergy",)))
    notes.findings("neurological", case.features.neurological)
    if case.features.symptoms:
        shown = {finding.concept for finding in case.features.neurological}
        others = [name for name in case.features.symptoms if name not in shown]
        notes.findings("symptom", chart.present(others), guideline.testing.symptom_locator)
    _result_notes(case, notes)


def _result_notes(case: Case, notes: Notes) -> None:
    if case.first is not None:
        _level(case, case.first, notes)
        _disagreement(case, case.first, notes)
    for rule, reading in (("methylmalonic-acid", case.mma), ("homocysteine", case.hcy)):
        if isinstance(reading, Reading):
            means = reading.means.replace("_", " ")
            notes.reading(rule, reading, _reads(_title(case, reading.result.observation), means))
            if not reading.by_laboratory:
                notes.flag("use-lab-reference-range")
    if case.egfr is not None:
        row = case.knowledge.laboratory.rows("egfr", case.egfr.unit)[0]
        says = _kidneys(_title(case, "egfr"), case.kidneys)
        outcome = Outcome(case.kidneys)
        notes.result("kidney-function", outcome, case.egfr, says, str(row), locator_text(row))
    for reading in case.features.blood:
        named = _title(case, reading.result.observation)
        notes.reading("blood-count", reading, _with(named, reading.means))
    if case.folate_low is not None:
        notes.reading("folate", case.folate_low, say("Folate low"))
    _metabolite_flags(case, notes)


def _level(case: Case, reading: Reading, notes: Notes) -> None:
    """Total or active B12 by its band; total B12 has none in pregnancy."""
    means, outcome = reading.means, None
    if case.features.pregnant and reading.result.observation == "total_b12":
        means, outcome = say("not interpreted in pregnancy"), Outcome.NOT_APPLIED
    says = _reads(_title(case, reading.result.observation), means)
    notes.reading("first-line-band", reading, says, outcome)


def _disagreement(case: Case, first: Reading, notes: Notes) -> None:
    for other in case.beside:
        if other.means == first.means:
            continue
        same_test = other.result.observation == first.result.observation
        notes.flag("use-most-recent-result" if same_test else "flag-discordance")
        _level(case, other, notes)
        return


def _metabolite_flags(case: Case, notes: Notes) -> None:
    """Rules R7 and R8: kidneys and folate first, then methylmalonic acid and homocysteine."""
    if case.mma is None and case.hcy is None:
        return
    if case.mma_means in ("raised", "grossly_raised") and case.kidneys != "working":
        notes.flag("interpret-mma-with-renal-function")
        if case.kidneys == "impaired":
            notes.flag("flag-renal-confounding")
    if case.mma is not None and case.chart.has("inborn_methylmalonic_acidaemia"):
        notes.flag("mma-not-interpretable")
    if case.hcy_means not in (None, "normal"):
        if case.kidneys != "working":
            notes.flag("interpret-hcy-with-renal-function")
        if case.folate_low is not None or case.chart.has("folate_deficiency"):
            notes.flag("flag-folate-raises-hcy")
