"""The words about vitamin B12: when each category holds, how loud, what calls for each step."""

from collections.abc import Iterator, Mapping

from mappings.publications.guideline import Guideline
from services.assessment.b12_steps import B12Step
from services.assessment.codes import B12Category, Urgency
from services.assessment.labels import LABELS, list_sentences
from services.cards import b12 as b12_card
from services.chart.model import Chart, Finding
from services.knowledge.site import SiteKnowledge
from services.vitamin_b12.case import read_case
from services.vitamin_b12.knowledge import B12Knowledge
from services.vitamin_b12.outcome import CARD_CATEGORIES
from services.vitamin_b12.results import format_locator
from services.vitamin_b12.treatment import rate_urgency
from services.web.evidence.glossary import GlossaryEntry, Place, translate_text

# What a row of limits has to mean for a category to rest on it.
CUTOFF_MEANINGS = {
    "deficient": ("deficient",),
    "deficient-functional": ("raised", "grossly_raised"),
    "indeterminate": ("indeterminate",),
    "unlikely": ("unlikely",),
    "high-b12": ("high",),
}


def list_categories(knowledge: SiteKnowledge) -> Iterator[GlossaryEntry]:
    guideline = knowledge.b12.guideline
    for name in B12Category:
        label = LABELS[B12Category][name]
        title = label.sentence if name in CARD_CATEGORIES else None
        yield GlossaryEntry(
            name,
            title or "",
            translate_text(knowledge, title) if title else None,
            indicator=_describe_indicator(name, knowledge.b12) if title else None,
            usual=_find_indicator(name, Urgency.SOON) if title else None,
            when=label.explanation,
            where=tuple(
                Place(
                    f"{knowledge.b12.titles[row.observation]} {row.text}: {format_locator(row)}",
                    f"/evidence/{guideline.id}#limit-{number}",
                )
                for number, row in enumerate(guideline.cutoffs, start=1)
                if row.means in CUTOFF_MEANINGS.get(name, ())
            ),
        )


def _describe_indicator(category: B12Category, knowledge: B12Knowledge) -> str:
    """How loud a card about this category is, by how soon it asks for something.

    The rules are asked how soon that is with nothing on record, with a finding of nerves, and with
    one of the cord.
    """

    ever = {
        rate_urgency(read_case(chart, knowledge), category)
        for chart in _build_example_charts(knowledge)
    }
    last = _find_indicator(category, Urgency.SOON)
    parts = [last]
    for soon, words in (
        (Urgency.URGENT, "where days matter"),
        (Urgency.EMERGENCY, "on the same day"),
    ):
        if soon in ever and _find_indicator(category, soon) != last:
            last = _find_indicator(category, soon)
            parts.append(f"{last} {words}")
    treated = _find_indicator(category, Urgency.SOON, is_treated=True)
    if treated != parts[0]:
        parts.append(f"{treated} once treatment has begun")
    return ", ".join(parts)


def _find_indicator(category: B12Category, urgency: Urgency, *, is_treated: bool = False) -> str:
    return b12_card.find_indicator(category, urgency, is_treated=is_treated).value


def _build_example_charts(knowledge: B12Knowledge) -> Iterator[Chart]:
    day, cord = knowledge.guideline.reviewed, knowledge.groups["myelopathy"]
    nerves = next(name for name in knowledge.groups["neurological"] if name not in cord)
    yield Chart("", day)
    for name in (nerves, cord[0]):
        yield Chart("", day, findings={name: (Finding(name, ""),)})


def list_next_steps(knowledge: SiteKnowledge) -> Iterator[GlossaryEntry]:
    places = _find_step_places(knowledge.b12.guideline, knowledge.b12.titles)
    by_id, tests = knowledge.templates.by_id, knowledge.b12.tests_by_step
    for name, says in list_sentences(B12Step).items():
        yield GlossaryEntry(
            name,
            says,
            translate_text(knowledge, says),
            where=tuple(places.get(name, ())),
            offers=tuple(by_id[id_].label for id_ in tests.get(name, ()) if id_ in by_id),
        )


def _find_step_places(guideline: Guideline, titles: Mapping[str, str]) -> dict[str, list[Place]]:
    """By next step the places at which the guideline's file names it."""
    testing, page = guideline.testing, f"/evidence/{guideline.id}"
    mentions = [
        (testing.offer_step, "first test", testing.rule_locator),
        (testing.second_test_step, "second test", testing.second_test_locator),
        (testing.pregnancy_step, "pregnancy", testing.pregnancy_locator),
        (testing.nitrous_oxide_step, "nitrous oxide", testing.nitrous_oxide_locator),
    ]
    if testing.asymptomatic_drug_step and testing.asymptomatic_drug_locator:
        drug = testing.asymptomatic_drug_locator
        mentions.append((testing.asymptomatic_drug_step, "medicine without symptoms", drug))
    mentions += [
        (row.step, titles[row.subject], f"{row.source}: {row.locator}") for row in testing.durations
    ]
    places: dict[str, list[Place]] = {}
    for step, what, locator in mentions:
        places.setdefault(step, []).append(Place(f"{what}: {locator}", f"{page}#testing"))
    for treatment in guideline.treatments.values():
        says = f"treatment, {treatment.situation.replace('_', ' ')}: {treatment.locator}"
        for step in treatment.steps:
            places.setdefault(step, []).append(Place(says, f"{page}#treatment"))
    return places
