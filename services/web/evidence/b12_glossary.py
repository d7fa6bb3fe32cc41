"""The words about vitamin B12: when each category holds, how loud, what calls for each step."""

from collections.abc import Iterator, Mapping

from mappings.publications.guideline import Guideline
from services.cards import b12 as b12_card
from services.chart.model import Chart, Finding
from services.knowledge.site import SiteKnowledge
from services.vitamin_b12.case import read_case
from services.vitamin_b12.knowledge import B12Knowledge
from services.vitamin_b12.labels import NEXT_STEPS, TITLES
from services.vitamin_b12.orders import TESTS_BY_STEP
from services.vitamin_b12.outcome import B12Assessment
from services.vitamin_b12.results import format_locator
from services.vitamin_b12.treatment import rate_urgency
from services.web.evidence.glossary import GlossaryEntry, Place, translate_text
from services.web.evidence.glossary_text import B12_WHEN

# What a row of limits has to mean for a category to rest on it.
CUTOFF_MEANINGS = {
    "deficient": ("deficient",),
    "deficient-functional": ("raised", "grossly_raised"),
    "indeterminate": ("indeterminate",),
    "unlikely": ("unlikely",),
    "high-b12": ("high",),
}


def list_categories(known: SiteKnowledge) -> Iterator[GlossaryEntry]:
    guideline = known.b12.guideline
    for name, when in B12_WHEN.items():
        title = TITLES.get(name)
        yield GlossaryEntry(
            name,
            title or "",
            translate_text(known, title) if title else None,
            indicator=_describe_indicator(name, known.b12) if title else None,
            usual=_find_indicator(name, "soon") if title else None,
            when=when,
            where=tuple(
                Place(
                    f"{known.b12.titles[row.observation]} {row.text}: {format_locator(row)}",
                    f"/evidence/{guideline.id}#limit-{number}",
                )
                for number, row in enumerate(guideline.cutoffs, start=1)
                if row.means in CUTOFF_MEANINGS.get(name, ())
            ),
        )


def _describe_indicator(category: str, knowledge: B12Knowledge) -> str:
    """How loud a card about this category is, by how soon it asks for something.

    The rules are asked how soon that is with nothing on record, with a finding of nerves, and with
    one of the cord.
    """

    ever = {
        rate_urgency(read_case(chart, knowledge), category)
        for chart in _build_example_charts(knowledge)
    }
    last = _find_indicator(category, "soon")
    said = [last]
    for soon, words in (("urgent", "where days matter"), ("emergency", "on the same day")):
        if soon in ever and _find_indicator(category, soon) != last:
            last = _find_indicator(category, soon)
            said.append(f"{last} {words}")
    begun = _find_indicator(category, "soon", None)
    if begun != said[0]:
        said.append(f"{begun} once treatment has begun")
    return ", ".join(said)


def _find_indicator(category: str, soon: str, situation: str | None = "other") -> str:
    found = B12Assessment("", "", category, soon, False, (), (), (), None, situation, None)
    return b12_card.choose_indicator(found).value


def _build_example_charts(knowledge: B12Knowledge) -> Iterator[Chart]:
    day, cord = knowledge.guideline.reviewed, knowledge.groups["myelopathy"]
    nerves = next(name for name in knowledge.groups["neurological"] if name not in cord)
    yield Chart("", day)
    for name in (nerves, cord[0]):
        yield Chart("", day, findings={name: (Finding(name, ""),)})


def list_next_steps(known: SiteKnowledge) -> Iterator[GlossaryEntry]:
    places = _find_step_places(known.b12.guideline, known.b12.titles)
    by_id = known.templates.by_id
    for name, says in NEXT_STEPS.items():
        yield GlossaryEntry(
            name,
            says,
            translate_text(known, says),
            where=tuple(places.get(name, ())),
            offers=tuple(by_id[id_].label for id_ in TESTS_BY_STEP.get(name, ()) if id_ in by_id),
        )


def _find_step_places(guideline: Guideline, titles: Mapping[str, str]) -> dict[str, list[Place]]:
    """By next step the places at which the guideline's file names it."""
    testing, page = guideline.testing, f"/evidence/{guideline.id}"
    named = [
        (testing.offer_step, "first test", testing.rule_locator),
        (testing.second_test_step, "second test", testing.second_test_locator),
        (testing.pregnancy_step, "pregnancy", testing.pregnancy_locator),
        (testing.nitrous_oxide_step, "nitrous oxide", testing.nitrous_oxide_locator),
    ]
    if testing.asymptomatic_drug_step and testing.asymptomatic_drug_locator:
        drug = testing.asymptomatic_drug_locator
        named.append((testing.asymptomatic_drug_step, "medicine without symptoms", drug))
    named += [
        (row.step, titles[row.subject], f"{row.source}: {row.locator}") for row in testing.durations
    ]
    found: dict[str, list[Place]] = {}
    for step, what, locator in named:
        found.setdefault(step, []).append(Place(f"{what}: {locator}", f"{page}#testing"))
    for treatment in guideline.treatments.values():
        says = f"treatment, {treatment.situation.replace('_', ' ')}: {treatment.locator}"
        for step in treatment.steps:
            found.setdefault(step, []).append(Place(says, f"{page}#treatment"))
    return found
