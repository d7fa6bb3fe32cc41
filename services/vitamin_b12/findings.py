"""Symptoms, signs and risk factors on record, by the guideline's own lists."""

from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from mappings.publications.guideline import Duration
from mappings.text import say
from services.chart.model import Chart, Finding, Medication, completed_years
from services.vitamin_b12.knowledge import Knowledge
from services.vitamin_b12.results import Reading, by_common_limits

BLOOD = ("mcv", "hemoglobin")  # what a blood count shows counts as a sign
COUNTED_AS = {"severe_anaemia": "anaemia"}


class Features(NamedTuple):
    """What speaks for testing or treating, besides the B12 results themselves."""

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


def features(chart: Chart, knowledge: Knowledge) -> Features:
    """Everything on record that the guideline's lists name."""
    testing = knowledge.guideline.testing
    pregnant = is_pregnant(chart, knowledge)
    blood = _blood(chart, knowledge, pregnant=pregnant)
    signs = {COUNTED_AS.get(reading.means, reading.means) for reading in blood} | chart.holds
    noted = [name for name in testing.symptoms if name in signs] if signs else []
    neurological = _findings(chart, knowledge.groups["neurological"])
    concepts = {finding.concept for finding in neurological}
    return Features(
        neurological=neurological,
        strong=len(concepts) > 1 or not concepts.isdisjoint(knowledge.groups["strong_alone"]),
        myelopathy=not concepts.isdisjoint(knowledge.groups["myelopathy"]),
        symptoms=tuple(noted),
        risks=(
            *chart.present(testing.risk_factors),
            *chart.present(testing.further_risk_factors),
            *past_deficiency(chart, knowledge),
        ),
        blood=blood,
        pregnant=pregnant,
        nitrous_oxide=exposed_to_nitrous_oxide(chart),
    )


def _blood(chart: Chart, knowledge: Knowledge, *, pregnant: bool) -> tuple[Reading, ...]:
    read = [by_common_limits(name, chart, knowledge, pregnant=pregnant) for name in BLOOD]
    return tuple([reading for reading in read if reading is not None])


def _findings(chart: Chart, concepts: Collection[str]) -> tuple[Finding, ...]:
    present = chart.present(concepts)
    return tuple([found for found in present if isinstance(found, Finding)]) if present else ()


def past_deficiency(chart: Chart, knowledge: Knowledge) -> tuple[Finding, ...]:
    """Deficiency that the record calls resolved: still a reason to look again."""
    if not chart.findings:
        return ()
    return tuple(
        finding
        for concept in knowledge.groups["known_deficiency"]
        for finding in chart.findings.get(concept, ())
        if not finding.active
    )


def exposed_to_nitrous_oxide(chart: Chart) -> tuple[Finding | Medication, ...]:
    """Exposure on record. A draft order is not an exposure yet."""
    drugs = chart.medications.get("nitrous_oxide")
    given = tuple([drug for drug in drugs if drug.status != "draft"]) if drugs else ()
    return (*_findings(chart, ("nitrous_oxide",)), *given)


def is_pregnant(chart: Chart, knowledge: Knowledge) -> bool:
    """Whether a pregnancy on record can still be going on. Undated, it is taken as it stands."""
    if "pregnancy" not in chart.holds:
        return False
    longest = knowledge.policy["pregnancy_max_days"]
    return any(
        finding.onset is None or (chart.today - finding.onset).days <= longest
        for finding in chart.findings.get("pregnancy", ())
        if finding.active
    )


def course_start(chart: Chart, concept: str, knowledge: Knowledge) -> date | None:
    """Since when a drug that is taken now has been taken without a long pause.

    None where it is not taken now or no start is recorded.
    """
    if concept not in chart.holds:
        return None
    drugs = [drug for drug in chart.medications.get(concept, ()) if drug.status != "draft"]
    if not any(drug.status == "current" for drug in drugs):
        return None
    starts = sorted({drug.start for drug in drugs if drug.start is not None}, reverse=True)
    if not starts:
        return None
    since = starts[0]
    for earlier in starts[1:]:
        if (since - earlier).days > knowledge.policy["drug_gap_days"]:
            break
        since = earlier
    return since


def duration_met(chart: Chart, row: Duration, knowledge: Knowledge) -> str | None:
    """What meets `row`, in words; None where nothing does or it cannot be known."""
    if row.subject == "age":
        if chart.born is None:
            return None
        # The latest day of birth that the record allows gives the age that is certain.
        age = completed_years(chart.born[1], chart.today)
        return say("age {age}", age=age) if row.is_met_by(age) else None
    since = course_start(chart, row.subject, knowledge)
    if since is None:
        return None
    months = (chart.today.year - since.year) * 12 + chart.today.month - since.month
    months -= chart.today.day < since.day
    # Strictly more than 4 months is 4 months and a day.
    whole = since.day == chart.today.day
    elapsed = months if whole else months + 0.5
    return say("since {day}", day=since) if row.is_met_by(elapsed) else None
