"""Read B12 replacement on record: injections and oral doses, since when, and whether they treat."""

from datetime import date, timedelta
from typing import NamedTuple

from services.chart.model import Chart, Medication, subtract_months
from services.vitamin_b12.findings import find_latest_course_start, list_past_deficiencies
from services.vitamin_b12.knowledge import B12Knowledge


class Replacement(NamedTuple):
    """B12 that the patient takes, or took until recently. Empty tuples: none on record."""

    parenteral: tuple[Medication, ...]
    oral: tuple[Medication, ...]
    since: date | None  # None: no start is recorded
    therapeutic: bool  # by injection, or by mouth at a dose that treats, or at an unknown dose
    known_deficiency: bool

    @property
    def under_way(self) -> bool:
        """Whether it is treatment, and no supplement without a deficiency on record."""
        return bool(self.parenteral) or (bool(self.oral) and self.known_deficiency)

    @property
    def is_present(self) -> bool:
        return bool(self.parenteral or self.oral)


NO_REPLACEMENT = Replacement((), (), since=None, therapeutic=False, known_deficiency=False)


def read_replacement(chart: Chart, knowledge: B12Knowledge) -> Replacement:
    """Read injections within the policy's window, and oral B12."""
    is_deficiency_known = chart.has(knowledge.groups["known_deficiency"])
    is_deficiency_known = is_deficiency_known or bool(list_past_deficiencies(chart, knowledge))
    if chart.medications.keys().isdisjoint(knowledge.groups["replacement"]):
        return (
            NO_REPLACEMENT._replace(known_deficiency=True)
            if is_deficiency_known
            else NO_REPLACEMENT
        )
    drugs = [
        drug
        for concept in knowledge.groups["replacement"]
        for drug in chart.medications.get(concept, ())
        if drug.status != "draft" and not is_antidote(drug, chart)
    ]
    injected = [drug for drug in drugs if is_injected(drug, knowledge)]
    swallowed = [d for d in drugs if d not in injected]
    parenteral = tuple(d for d in injected if _is_within_window(d, chart, knowledge))
    oral = tuple(d for d in swallowed if _is_still_masking(d, chart, knowledge))
    treats = any(is_therapeutic(drug, knowledge) for drug in oral)
    present = (*parenteral, *oral)
    # A course of which a part is undated has no start.
    is_dated = bool(present) and all(drug.start is not None for drug in present)
    return Replacement(
        parenteral=parenteral,
        oral=oral,
        since=find_latest_course_start(drugs, knowledge) if is_dated else None,
        therapeutic=bool(parenteral) or treats,
        known_deficiency=is_deficiency_known,
    )


def is_injected(drug: Medication, knowledge: B12Knowledge) -> bool:
    """Whether the drug is injected; where no route is recorded, by its nature."""
    if drug.route is None:
        return drug.concept in knowledge.groups["parenteral_by_nature"]
    return drug.parenteral


def is_therapeutic(drug: Medication, knowledge: B12Knowledge) -> bool:
    """Whether an oral dose treats rather than supplements; an unknown dose is taken to."""
    limit = knowledge.policy["therapeutic_oral_ug_per_day"]
    return drug.ug_per_day is None or drug.ug_per_day >= limit


def is_antidote(drug: Medication, chart: Chart) -> bool:
    """Whether the drug is hydroxocobalamin against cyanide, which is no replacement."""
    antidotes = chart.medications.get("hydroxocobalamin_antidote", ())
    return any(drug.resource == antidote.resource for antidote in antidotes)


def _is_within_window(drug: Medication, chart: Chart, knowledge: B12Knowledge) -> bool:
    stopped = [f.onset for f in chart.findings.get("b12_injections_stopped", ()) if f.onset]
    last = drug.end or drug.start
    over = [day for day in stopped if drug.start is None or day >= drug.start]
    if drug.status == "current" and not over:
        return True
    last = max(over) if drug.status == "current" and over else last
    window = int(knowledge.policy["parenteral_window_months"])
    return last is not None and last >= subtract_months(chart.today, window)


def _is_still_masking(drug: Medication, chart: Chart, knowledge: B12Knowledge) -> bool:
    if drug.status == "current":
        return True
    window = timedelta(days=knowledge.policy["supplement_window_days"])
    last = drug.end or drug.start
    return last is not None and last >= chart.today - window
