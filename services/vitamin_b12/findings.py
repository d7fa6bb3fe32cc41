"""Symptoms, signs and risk factors on record, by the guideline's own lists."""

from collections.abc import Collection, Iterable
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from mappings.publications.guideline import Duration
from mappings.text import make_text
from services.chart.model import Chart, Finding, Medication, calculate_age
from services.vitamin_b12.knowledge import B12Knowledge
from services.vitamin_b12.results import Reading, read_by_common_limits

BLOOD_COUNT = ("mcv", "hemoglobin")  # what a blood count shows counts as a sign
COUNTED_AS = {"severe_anaemia": "anaemia"}


class Features(NamedTuple):
    """Findings for testing or treating: nerves, symptoms, risk factors, blood count, exposure."""

    neurological: tuple[Finding, ...]
    strong: bool  # two and more of the neurological set, or one that suffices alone
    myelopathy: bool
    symptoms: tuple[str, ...]  # names on the guideline's list, blood findings included
    risks: tuple[Finding | Medication, ...]
    blood: tuple[Reading, ...]
    pregnant: bool
    nitrous_oxide: tuple[Finding | Medication, ...]

    @property
    def macrocytosis(self) -> bool:
        return "macrocytosis" in self.symptoms or "megaloblastic_anaemia" in self.symptoms

    @property
    def severe_anaemia(self) -> bool:
        return any(reading.means == "severe_anaemia" for reading in self.blood)


def read_features(chart: Chart, knowledge: B12Knowledge) -> Features:
    """Read the findings on record that the guideline's lists name."""
    testing = knowledge.guideline.testing
    pregnant = is_pregnant(chart, knowledge)
    blood = _read_blood_count(chart, knowledge, pregnant=pregnant)
    signs = {
        COUNTED_AS.get(reading.means, reading.means) for reading in blood
    } | chart.active_concepts
    noted = [name for name in testing.symptoms if name in signs] if signs else []
    neurological = _list_findings(chart, knowledge.groups["neurological"])
    concepts = {finding.concept for finding in neurological}
    return Features(
        neurological=neurological,
        strong=len(concepts) > 1 or not concepts.isdisjoint(knowledge.groups["strong_alone"]),
        myelopathy=not concepts.isdisjoint(knowledge.groups["myelopathy"]),
        symptoms=tuple(noted),
        risks=(
            *chart.list_present(testing.risk_factors),
            *chart.list_present(testing.further_risk_factors),
            *list_past_deficiencies(chart, knowledge),
        ),
        blood=blood,
        pregnant=pregnant,
        nitrous_oxide=list_nitrous_oxide_exposures(chart),
    )


def _read_blood_count(
    chart: Chart, knowledge: B12Knowledge, *, pregnant: bool
) -> tuple[Reading, ...]:
    read = [
        read_by_common_limits(name, chart, knowledge, pregnant=pregnant) for name in BLOOD_COUNT
    ]
    return tuple([reading for reading in read if reading is not None])


def _list_findings(chart: Chart, concepts: Collection[str]) -> tuple[Finding, ...]:
    present = chart.list_present(concepts)
    return (
        tuple([finding for finding in present if isinstance(finding, Finding)]) if present else ()
    )


def list_past_deficiencies(chart: Chart, knowledge: B12Knowledge) -> tuple[Finding, ...]:
    """Earlier deficiencies, which the record calls resolved: still a reason to look again."""
    if not chart.findings:
        return ()
    return tuple(
        finding
        for concept in knowledge.groups["known_deficiency"]
        for finding in chart.findings.get(concept, ())
        if not finding.active
    )


def list_nitrous_oxide_exposures(chart: Chart) -> tuple[Finding | Medication, ...]:
    """Findings and drugs of nitrous oxide on record; a draft order is not an exposure yet."""
    drugs = chart.medications.get("nitrous_oxide")
    exposures = tuple([drug for drug in drugs if drug.status != "draft"]) if drugs else ()
    return (*_list_findings(chart, ("nitrous_oxide",)), *exposures)


def is_pregnant(chart: Chart, knowledge: B12Knowledge) -> bool:
    """Whether a pregnancy on record can still be going on. Undated, it is taken as it stands."""
    if "pregnancy" not in chart.active_concepts:
        return False
    longest = knowledge.policy["pregnancy_max_days"]
    return any(
        finding.onset is None or (chart.today - finding.onset).days <= longest
        for finding in chart.findings.get("pregnancy", ())
        if finding.active
    )


def find_course_start(chart: Chart, concept: str, knowledge: B12Knowledge) -> date | None:
    """Since when a drug that is taken now has been taken without a long pause.

    None where it is not taken now or no start is recorded.
    """
    if concept not in chart.active_concepts:
        return None
    drugs = [drug for drug in chart.medications.get(concept, ()) if drug.status != "draft"]
    if not any(drug.status == "current" for drug in drugs):
        return None
    return find_latest_course_start(drugs, knowledge)


def find_latest_course_start(drugs: Iterable[Medication], knowledge: B12Knowledge) -> date | None:
    """The first day of the latest course, whose starts lie no further apart than the policy's gap.

    None where no start is recorded.
    """
    starts = sorted({drug.start for drug in drugs if drug.start is not None}, reverse=True)
    for later, earlier in pairwise(starts):
        if (later - earlier).days > knowledge.policy["drug_gap_days"]:
            return later
    return starts[-1] if starts else None


def explain_duration(chart: Chart, row: Duration, knowledge: B12Knowledge) -> str | None:
    """The age or time on a drug that meets `row`, in words; None where none does or is known."""
    if row.subject == "age":
        if chart.born is None:
            return None
        # The latest day of birth that the record allows gives the age that is certain.
        age = calculate_age(chart.born[1], chart.today)
        return make_text("age {age}", age=age) if row.is_met_by(age) else None
    since = find_course_start(chart, row.subject, knowledge)
    if since is None:
        return None
    months = (chart.today.year - since.year) * 12 + chart.today.month - since.month
    months -= chart.today.day < since.day
    # Strictly more than 4 months is 4 months and a day.
    is_full_month = since.day == chart.today.day
    elapsed = months if is_full_month else months + 0.5
    return make_text("since {day}", day=since) if row.is_met_by(elapsed) else None
