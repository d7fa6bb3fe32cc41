"""What the guideline says of a patient's vitamin B12.

Precedence: unreadable data, age, replacement under way, nitrous oxide and pregnancy, the bands of
the first-line test, then methylmalonic acid with the kidneys. A neurological finding raises the
urgency in each of them.
"""

from functools import partial

from mappings.text import say
from services.assessment.evidence import Notes, Outcome, under
from services.chart.model import Chart, months_before
from services.vitamin_b12 import next_steps
from services.vitamin_b12.case import Case, read_case
from services.vitamin_b12.cautions import cautions, data_quality
from services.vitamin_b12.combined_indicator import combined_indicator
from services.vitamin_b12.knowledge import Knowledge
from services.vitamin_b12.outcome import DEFICIENT, Assessment
from services.vitamin_b12.results import Reading
from services.vitamin_b12.testing import test_is_called_for
from services.vitamin_b12.treatment import situation, urgency


def assess(chart: Chart, knowledge: Knowledge) -> Assessment:
    """The assessment of `chart` on the day `chart.today`."""
    case = read_case(chart, knowledge)
    notes = Notes()
    if chart.age_at_least(knowledge.guideline.minimum_age) is False:
        notes.step("paediatric-specialist-advice")
        years = knowledge.guideline.minimum_age
        notes.remark("age", under(years), outcome=Outcome.NOT_APPLIED)
        return _conclude(case, notes, "out-of-scope")
    if chart.born is None:
        notes.flag("age-unknown")
    data_quality(case, notes)
    cautions(case, notes)
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
        urgency=urgency(case, category),
        neurological=bool(case.features.neurological),
        evidence=tuple(notes.evidence),
        flags=tuple(notes.flags),
        next_steps=tuple(notes.steps),
        combined_indicator=combined_indicator(
            case.chart, case.knowledge, partial(_indicator_flags, case)
        ),
        situation=situation(case) if acted_on else None,
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
            say("total B12 falls in pregnancy without deficiency"),
            case.knowledge.guideline.testing.pregnancy_locator,
            Outcome.NOT_APPLIED,
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
        notes.remark("neurological", say("strong neurological signs and nothing measured"))
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
        notes.findings("supplement", (*case.replacement.parenteral, *case.replacement.oral))
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
