"""What to do while vitamin B12 is being given."""

from services.chart import months_before
from services.notes import Notes
from services.vitamin_b12.case import Case
from services.vitamin_b12.features import course_start


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
