"""What the guideline says of a patient's vitamin B12.

Precedence: unreadable data, age, replacement under way, nitrous oxide and pregnancy, the bands of
the first-line test, then methylmalonic acid with the kidneys. A neurological finding raises the
urgency in each of them.
"""

from mappings.guideline import Undecided
from services.chart import Chart, months_before
from services.vitamin_b12 import next_steps
from services.vitamin_b12.case import Case, read_case
from services.vitamin_b12.combined_indicator import combined_indicator
from services.vitamin_b12.knowledge import Knowledge
from services.vitamin_b12.notes import Assessment, Notes
from services.vitamin_b12.results import REQUESTS, Incomparable, Reading, locator_text
from services.vitamin_b12.testing import test_is_called_for

DEFICIENT = frozenset({"deficient", "deficient-functional"})


def assess(chart: Chart, knowledge: Knowledge) -> Assessment:
    """The assessment of `chart` on the day `chart.today`."""
    case = read_case(chart, knowledge)
    notes = Notes()
    if chart.age_at_least(knowledge.guideline.minimum_age) is False:
        notes.step("paediatric-specialist-advice")
        notes.remark("age", f"under {knowledge.guideline.minimum_age} years")
        return _conclude(case, notes, "out-of-scope")
    if chart.born is None:
        notes.flag("age-unknown")
    _data_quality(case, notes)
    _cautions(case, notes)
    category = _category(case, notes)
    next_steps.write(case, notes, category)
    return _conclude(case, notes, category)


def _conclude(case: Case, notes: Notes, category: str) -> Assessment:
    guideline = case.knowledge.guideline
    acted_on = category in DEFICIENT and not case.replacement.any
    return Assessment(
        guideline=guideline.id,
        guideline_version=guideline.version,
        category=category,
        urgency=next_steps.urgency(case, category),
        neurological=bool(case.features.neurological),
        evidence=tuple(notes.evidence),
        flags=tuple(notes.flags),
        next_steps=tuple(notes.steps),
        combined_indicator=combined_indicator(case.chart, case.knowledge, _indicator_flags(case)),
        situation=next_steps.situation(case) if acted_on else None,
        deciding=case.first,
        session_steps=frozenset(notes.session_steps),
    )


def _indicator_flags(case: Case) -> tuple[str, ...]:
    flags = {
        "flag-folate-raises-hcy": case.folate_low is not None,
        "flag-renal-confounding": case.kidneys != "working",
        "on-treatment": case.replacement.any,
        "nitrous-oxide": bool(case.features.nitrous_oxide),
    }
    return tuple(name for name, holds in flags.items() if holds)


def _data_quality(case: Case, notes: Notes) -> None:
    """Rule R20: what cannot be read is asked for again, and never counts as a value."""
    for result in case.unusable:
        notes.flag(REQUESTS[result.reason])
        notes.unusable(
            "unit-safety", result, f"{_title(case, result.observation)}: {REASONS[result.reason]}"
        )
    for bound in case.incomparable:
        spans = bound.reason is Undecided.SPANS
        notes.flag("request-exact-value" if spans else "no-limit-in-unit")
        notes.result(
            "unit-safety",
            bound.result,
            f"{_title(case, bound.result.observation)}: {bound.reason.value}",
        )
    for result in case.chart.unusable.get("methylmalonic_acid", ()):
        notes.flag("verify-mma-unit")
        notes.unusable("unit-safety", result, f"methylmalonic acid: {REASONS[result.reason]}")
    for metabolite in (case.mma, case.hcy):
        if isinstance(metabolite, Incomparable):
            notes.flag("request-exact-value")
            notes.result("unit-safety", metabolite.result, metabolite.reason.value)


REASONS = {
    "no-unit": "reported without a unit",
    "unknown-unit": "the unit cannot be read",
    "impossible-value": "the value is not possible in this unit",
    "no-value": "reported without a number",
    "wrong-specimen": "the code is for another specimen or unit",
}


def _title(case: Case, observation: str) -> str:
    return case.knowledge.titles.get(observation, observation)


def _cautions(case: Case, notes: Notes) -> None:
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
    shown = {finding.concept for finding in case.features.neurological}
    others = [name for name in case.features.symptoms if name not in shown]
    notes.findings("symptom", chart.present(others), guideline.testing.symptom_locator)
    _result_notes(case, notes)


def _result_notes(case: Case, notes: Notes) -> None:
    if case.first is not None:
        read = case.first.means
        if case.features.pregnant and case.first.result.observation == "total_b12":
            read = "not interpreted in pregnancy"
        named = _title(case, case.first.result.observation)
        notes.reading("first-line-band", case.first, f"{named} {read}")
        _disagreement(case, case.first, notes)
    for rule, reading in (("methylmalonic-acid", case.mma), ("homocysteine", case.hcy)):
        if isinstance(reading, Reading):
            means = reading.means.replace("_", " ")
            notes.reading(rule, reading, f"{_title(case, reading.result.observation)} {means}")
            if not reading.by_laboratory:
                notes.flag("use-lab-reference-range")
    if case.egfr is not None:
        row = case.knowledge.laboratory.rows("egfr", case.egfr.unit)[0]
        says = f"{_title(case, 'egfr')}, kidneys {case.kidneys}"
        notes.result("kidney-function", case.egfr, says, str(row), locator_text(row))
    for reading in case.features.blood:
        named = _title(case, reading.result.observation)
        notes.reading("blood-count", reading, f"{named}, {reading.means.replace('_', ' ')}")
    if case.folate_low is not None:
        notes.reading("folate", case.folate_low, "Folate low")
    _metabolite_flags(case, notes)


def _disagreement(case: Case, first: Reading, notes: Notes) -> None:
    for other in case.beside:
        if other.means == first.means:
            continue
        same_test = other.result.observation == first.result.observation
        notes.flag("use-most-recent-result" if same_test else "flag-discordance")
        notes.reading(
            "first-line-band", other, f"{_title(case, other.result.observation)} {other.means}"
        )
        return


def _metabolite_flags(case: Case, notes: Notes) -> None:
    """Rules R7 and R8: kidneys and folate first, then methylmalonic acid and homocysteine."""
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


def _category(case: Case, notes: Notes) -> str:
    given = case.replacement
    if given.under_way and not _untreated_result_decides(case) and not _dietary_dose_fails(case):
        notes.findings("replacement", (*given.parenteral, *given.oral))
        return "on-treatment"
    if case.features.nitrous_oxide:
        exposed = _after_nitrous_oxide(case, notes)
        if exposed is not None:
            return exposed
    if case.first is None:
        return _without_first_line(case, notes)
    if case.features.pregnant and case.first.result.observation == "total_b12":
        notes.remark(
            "pregnancy",
            "total B12 falls in pregnancy without deficiency",
            case.knowledge.guideline.testing.pregnancy_locator,
        )
        return "uninterpretable" if not _shown_functional(case) else "deficient-functional"
    return _by_band(case, case.first, notes)


def _untreated_result_decides(case: Case) -> bool:
    """Whether the deciding result was taken before a treatment that only just began.

    Until the first review is due, the result that led to treatment still tells the patient's
    state; after it, treatment is what is followed.
    """
    since = case.replacement.since
    if case.first is None or since is None or case.first.result.day > since:
        return False
    return since >= months_before(case.chart.today, case.knowledge.guideline.follow_up.months)


def _dietary_dose_fails(case: Case) -> bool:
    """A low result under a dose that only suits dietary lack is not being treated."""
    low = case.first is not None and case.first.means == "deficient"
    return low and not case.replacement.therapeutic


def _after_nitrous_oxide(case: Case, notes: Notes) -> str | None:
    """Rule R9: a normal B12 does not reassure after nitrous oxide. None: the bands decide."""
    notes.findings(
        "nitrous-oxide",
        case.features.nitrous_oxide,
        case.knowledge.guideline.testing.nitrous_oxide_locator,
    )
    if case.first is not None and case.first.means == "deficient":
        return None
    if _raised(case.mma_means) or _raised(case.hcy_means):
        return "deficient-functional"
    symptomatic = bool(case.features.symptoms or case.features.neurological)
    if case.mma_means == "normal" and case.hcy_means == "normal" and not symptomatic:
        return "unlikely"
    measured = case.first is not None or case.mma is not None or case.hcy is not None
    return "uninterpretable" if measured else None


def _raised(means: str | None) -> bool:
    return means in ("raised", "grossly_raised")


def _shown_functional(case: Case) -> bool:
    """Rules R6 and R7: a raised MMA with working kidneys, or grossly raised with the picture."""
    if case.mma_means == "grossly_raised" and (
        case.features.neurological or case.features.symptoms
    ):
        return True
    return _raised(case.mma_means) and case.kidneys == "working"


def _without_first_line(case: Case, notes: Notes) -> str:
    if case.unusable or case.incomparable:
        return "insufficient-data"
    if case.mma_means == "grossly_raised" and _shown_functional(case):
        return "deficient-functional"
    nothing = case.mma is None and case.hcy is None
    if case.features.strong and nothing:
        notes.remark("neurological", "strong neurological signs and nothing measured")
        return "insufficient-data"
    return "at-risk-untested" if test_is_called_for(case, notes) else "no-action"


def _by_band(case: Case, first: Reading, notes: Notes) -> str:
    if first.means == "deficient":
        return "deficient"
    if _shown_functional(case):
        return "deficient-functional"
    if first.means == "high":
        return _high(case, notes)
    resolved = first.means == "indeterminate" and case.mma_means == "normal"
    if case.replacement.oral and not resolved:
        notes.flag("note-supplement-masks")
        notes.findings("supplement", case.replacement.oral)
        return "uninterpretable"
    if first.means == "indeterminate":
        return "unlikely" if resolved else "indeterminate"
    return _unlikely(case, first, notes)


def _high(case: Case, notes: Notes) -> str:
    if case.replacement.any:
        notes.flag("note-supplement-masks")
        return "uninterpretable"
    if case.has_group("raises_b12"):
        notes.findings("high-b12", case.chart.present(case.knowledge.groups["raises_b12"]))
        return "uninterpretable"
    return "high-b12"


def _unlikely(case: Case, first: Reading, notes: Notes) -> str:
    """A normal result, unless something on record is known to make it look normal."""
    total = first.result.observation == "total_b12"
    if total and case.interfering_antibody:
        notes.flag("flag-assay-interference")
        return "uninterpretable"
    if total and case.chart.has("transcobalamin_deficiency"):
        notes.findings("transcobalamin", case.chart.present(("transcobalamin_deficiency",)))
        return "uninterpretable"
    return "unlikely"
